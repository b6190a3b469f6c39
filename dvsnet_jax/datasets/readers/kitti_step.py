"""KITTI-STEP: `images/SPLIT/0002/000000.png` and `panoptic_maps/SPLIT/0002/000000.png`, Cityscapes' train ids in red.

    training/image_02/0002/000000.png   kitti-step/panoptic_maps/val/0002/000000.png   the same, as the archives have it

Weber et al., STEP: Segmenting and Tracking Every Pixel, NeurIPS Datasets and Benchmarks 2021; layout by
google-research/deeplab2, g3doc/setup/kitti_step.md, before and after its files are moved. In a panoptic map red is the
class, 255 void, and green · 256 + blue the id of a person or car, the same one in every frame; 0 is none.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.codings import ids_in
from dvsnet_jax.datasets.samples import LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name, read_stored
from dvsnet_jax.media.reading.names import is_hidden

THINGS = (11, 13)
"""The classes whose objects have ids: person and car."""
_RED = 0
_IMAGES = ("images/{}", "training/image_02", "images/training/image_02")
_MAPS = ("panoptic_maps/{}", "kitti-step/panoptic_maps/{}")


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The sequences of `train` or `val` with their frames, in order. There are no other classes than Cityscapes'.

    Raises `InputError` for what is missing. The test split has no maps.
    """
    maps = _first(root, _MAPS, split, "KITTI-STEP's panoptic maps, of train or val")
    images = _first(root, _IMAGES, split, "KITTI-STEP's frames there, or training/image_02 of KITTI's tracking")
    clips = []
    for sequence in sorted(path for path in maps.iterdir() if path.is_dir() and not is_hidden(path)):
        folder = folder_of(images / sequence.name, f"the frames of sequence {sequence.name}")
        frames = {path.stem: path for path in sorted(folder.iterdir()) if is_image_name(path)}
        labels = [sequence / f"{stem}.png" for stem in frames]
        check_files(labels, "a panoptic map for every frame")
        ids = tuple(range(len(CLASSES)))
        clips.append(
            (
                sequence.name,
                [
                    LabelledFile(f"{sequence.name}_{stem}", frames[stem], path, ids, _RED)
                    for stem, path in zip(frames, labels, strict=True)
                ],
            )
        )
    if not clips:
        raise InputError(f"{maps}: holds no sequence, expected folders such as 0002; check the root")
    return clips


def _first(root: str | os.PathLike[str], places: tuple[str, ...], split: str, what: str) -> Path:
    """The first of the folders that is there."""
    folders = [Path(root) / place.format(split) for place in places]
    return folder_of(next((folder for folder in folders if folder.is_dir()), folders[0]), what)


def read_panoptic(path: Path) -> tuple[UInt8[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    """Classes and ids of a panoptic map, for `metrics.tracking`. Raises `InputError` for another kind of file."""
    stored = read_stored(path)
    labels = ids_in(stored, path, _RED)
    return labels, stored[..., 1] * np.int64(256) + stored[..., 2]
