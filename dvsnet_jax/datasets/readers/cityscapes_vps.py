"""Cityscapes-VPS: snippets of 30 frames, every fifth with labels, prepared as its repository says.

    SPLIT/img/0005_0025_frankfurt_000000_001736_newImg8bit.png        a labelled frame: video, count, Cityscapes' name
    SPLIT/img/0005_0028_frankfurt_000000_001751_leftImg8bit.png       the 20th, whose labels are Cityscapes' own
    SPLIT/labelmap/0005_0025_frankfurt_000000_001736_final_mask.png   Cityscapes' train ids
    SPLIT/labelmap/0005_0028_frankfurt_000000_001751_gtFine_color.png train ids too, whatever the name says
    SPLIT/img_all/frankfurt_000000_001732_leftImg8bit.png             all 30 frames

Kim et al., Video Panoptic Segmentation, CVPR 2020; layout by mcahny/vps, docs/DATASET.md and prepare_data. `labelmap`
is what its create_panoptic_labels.py makes of `cls`, whose files of the same names hold colours.
"""

from __future__ import annotations

import os
import re
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.samples import LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError

STEP = 5
"""From one labelled frame to the next; the first is the snippet's fifth."""
_NAME = re.compile(r"(?P<video>\d{4})_\d{4}_(?P<scene>[a-z-]+_\d{6})_(?P<number>\d{6})_(?:newImg8bit|leftImg8bit)\.png")


class _Labelled(NamedTuple):
    video: str
    scene: str
    """City and sequence."""
    number: int
    path: Path


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The videos of a split with all their frames, where `img_all` is there, else with the labelled ones alone.

    Label files of frames without labels do not exist. Raises `InputError` for what is missing otherwise.
    """
    base = folder_of(Path(root) / split, "a split of Cityscapes-VPS: train, val or test")
    found = sorted(
        _Labelled(match["video"], match["scene"], int(match["number"]), path)
        for path in folder_of(base / "img", "the labelled frames, which fetch_city_images.py puts there").iterdir()
        if (match := _NAME.fullmatch(path.name))
    )
    if not found:
        raise InputError(f"{base / 'img'}: no frame is called like 0005_0025_frankfurt_000000_001736_newImg8bit.png")
    if not (base / "labelmap").is_dir() and (base / "cls").is_dir():
        raise InputError(
            f"{base}: has cls/, which holds colours, but no labelmap/ with the train ids made of them; run "
            "prepare_data/create_panoptic_labels.py of the data set's repository"
        )
    check_files((_label_of(base, frame) for frame in found), "labels of a frame in img/")
    return [
        (f"{video}_{scene}", _clip(base, list(frames)))
        for (video, scene), frames in groupby(found, key=lambda frame: (frame.video, frame.scene))
    ]


def _clip(base: Path, labelled: list[_Labelled]) -> list[LabelledFile]:
    ids = tuple(range(len(CLASSES)))
    by_number = {frame.number: frame for frame in labelled}
    files = []
    for number in range(labelled[0].number - STEP + 1, labelled[-1].number + 1):
        name = f"{labelled[0].scene}_{number:06d}"
        frame = base / "img_all" / f"{name}_leftImg8bit.png"
        if number in by_number:
            own = by_number[number]
            files.append(LabelledFile(name, frame if frame.is_file() else own.path, _label_of(base, own), ids))
        elif frame.is_file():
            files.append(LabelledFile(name, frame, base / "labelmap" / f"{name}_unlabelled.png", ids))
    return files


def _label_of(base: Path, frame: _Labelled) -> Path:
    name = frame.path.name.replace("newImg8bit", "final_mask").replace("leftImg8bit", "gtFine_color")
    return base / "labelmap" / name
