"""KITTI-STEP: `images/SPLIT/0002/000000.png` and `panoptic_maps/SPLIT/0002/000000.png`, Cityscapes' train ids in red.

Weber et al., STEP: Segmenting and Tracking Every Pixel, NeurIPS Datasets and Benchmarks 2021; layout by
google-research/deeplab2, g3doc/setup/kitti_step.md. In a panoptic map red is the class, 255 void, and green · 256 +
blue the id of a person or car, the same one in every frame; 0 is none.
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


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The sequences of `train` or `val` with their frames, in order. There are no other classes than Cityscapes'.

    Raises `InputError` for what is missing. The test split has no maps.
    """
    maps = folder_of(Path(root) / "panoptic_maps" / split, "KITTI-STEP's panoptic maps, of train or val")
    images = folder_of(Path(root) / "images" / split, "KITTI-STEP's frames, moved there as its instructions say")
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


def read_panoptic(path: Path) -> tuple[UInt8[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    """Classes and ids of a panoptic map, for `metrics.tracking`. Raises `InputError` for another kind of file."""
    stored = read_stored(path)
    labels = ids_in(stored, path, _RED)
    return labels, stored[..., 1] * np.int64(256) + stored[..., 2]
