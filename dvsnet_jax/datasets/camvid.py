"""CamVid as the SegNet tutorial packs it: `train/`, `trainannot/`, `val/`, `valannot/`, 480×360, 11 classes and void.

Brostow et al., Semantic object classes in video, 2009; Badrinarayanan et al., SegNet, 2017. Stored labels are 0..10,
11 is void. Both mappings to and from Cityscapes' 19 train ids are choices, made here once:

| CamVid | → train id | and back from |
|---|---|---|
| sky | sky | sky |
| building | building | building, wall (CamVid's own `Wall` was merged into building) |
| pole | pole | pole |
| road | road | road (lane markings are road in both) |
| pavement | sidewalk | sidewalk |
| tree | vegetation | vegetation, terrain (`VegetationMisc` was merged into tree, and grass is in it) |
| sign | traffic sign | traffic sign, traffic light (both were merged into sign) |
| fence | fence | fence |
| car | car | car, truck, bus, train (trucks, buses and trains were merged into car) |
| pedestrian | person | person |
| bicyclist | rider | rider, bicycle, motorcycle (CamVid labels rider and cycle as one thing) |

So a CamVid bicyclist trains `rider`, and whichever of rider, bicycle or motorcycle is predicted counts as bicyclist.
Where that is not wanted, 255 for class 10 in the table makes them void.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.samples import VOID, LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
"""Names of the stored labels 0..10."""
OWN_IDS = (*range(len(CLASSES)), VOID)
"""CamVid's own 11 classes, for `LabelledFile.train_ids`: only 11 becomes void."""

_TO_CITYSCAPES = {
    "sky": "sky", "building": "building", "pole": "pole", "road": "road", "pavement": "sidewalk", "tree": "vegetation",
    "sign": "traffic sign", "fence": "fence", "car": "car", "pedestrian": "person", "bicyclist": "rider",
}  # fmt: skip
_ALSO = {
    "wall": "building", "terrain": "tree", "traffic light": "sign", "truck": "car", "bus": "car", "train": "car",
    "motorcycle": "bicyclist", "bicycle": "bicyclist",
}  # fmt: skip
_FROM_CITYSCAPES = {theirs: ours for ours, theirs in _TO_CITYSCAPES.items()} | _ALSO

TRAIN_IDS = (*(CITYSCAPES.index(_TO_CITYSCAPES[name]) for name in CLASSES), VOID)
"""Cityscapes train id of each stored label 0..11."""
FROM_TRAIN_IDS = tuple(CLASSES.index(_FROM_CITYSCAPES[name]) for name in CITYSCAPES)
"""CamVid class of each Cityscapes train id 0..18."""


_ONE_OF_EACH = np.full(256, VOID, np.uint8)
_ONE_OF_EACH[: len(CITYSCAPES)] = [TRAIN_IDS[ours] for ours in FROM_TRAIN_IDS]


def ids_for(num_classes: int) -> tuple[int, ...]:
    """How stored labels are read for a network of so many classes: as CamVid's own 11, or as Cityscapes' train ids."""
    return OWN_IDS if num_classes == len(CLASSES) else TRAIN_IDS


def one_of_each(labels: UInt8[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Cityscapes' train ids with all that are one class of CamVid's as one of them, so that its colour stands for all;
    anything past 18 becomes 255."""
    return _ONE_OF_EACH[labels]


def to_camvid(labels: UInt8[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Cityscapes train ids as CamVid's classes 0..10; anything past 18 becomes 255."""
    table = np.full(256, VOID, np.uint8)
    table[: len(FROM_TRAIN_IDS)] = FROM_TRAIN_IDS
    return table[labels]


def list_labelled(
    root: str | os.PathLike[str], split: str, *, train_ids: tuple[int, ...] = TRAIN_IDS
) -> list[LabelledFile]:
    """The frames of `train`, `val` or `test` with their labels, in order of sequence and frame number.

    In `val` that is one drive, 0016E5_07959 … 08159, every second frame: a video with a label on each. Labels are
    read as Cityscapes train ids, or with `OWN_IDS` as CamVid's 11 classes.

    Raises `InputError` for a missing folder, an empty one, frames without labels and labels without a frame.
    """
    frames = _files(Path(root) / split)
    labels = _files(Path(root) / f"{split}annot")
    check_files((Path(root) / f"{split}annot" / f"{stem}.png" for stem in frames if stem not in labels), "labels")
    if lost := sorted(labels.keys() - frames.keys()):
        raise InputError(f"{labels[lost[0]]}: labels without a frame {lost[0]} in {split}/; add one or remove them")
    return [LabelledFile(stem, frames[stem], labels[stem], train_ids) for stem in sorted(frames, key=_order)]


def _files(folder: Path) -> dict[str, Path]:
    folder_of(folder, "CamVid's train, trainannot, val or valannot in one root")
    found = {path.stem: path for path in folder.iterdir() if is_image_name(path)}
    if not found:
        raise InputError(f"{folder}: holds no image, expected frames such as 0016E5_07959.png; check the root")
    return found


def _order(stem: str) -> tuple[str, int, str]:
    """Sequence, then number: in 0006R0_f00930 it follows a letter, and some sequences have six digits, others five."""
    match = re.fullmatch(r"(.+?)_\D?(\d+)", stem)
    return (match[1], int(match[2]), stem) if match else (stem, 0, stem)
