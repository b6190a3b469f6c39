"""BDD100K's 10,000 pictures with semantic masks, Cityscapes' train ids, as either release packs them.

    images/10k/SPLIT/NAME.jpg   labels/sem_seg/masks/SPLIT/NAME.png        of 2021
    seg/images/SPLIT/NAME.jpg   seg/labels/SPLIT/NAME_train_id.png         of 2018

Yu et al., BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning, CVPR 2020; layout and ids by
bdd100k/bdd100k, doc/source/download.rst and bdd100k/label/label.py. `sem_seg/colormaps` are colours, `ins_seg`,
`pan_seg` and `seg_track_20` bitmasks of other ids: neither is read. The pictures do not follow one another.
"""

from __future__ import annotations

import os
from pathlib import Path

from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.samples import LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name

_RELEASES = (("images/10k", "labels/sem_seg/masks", ""), ("seg/images", "seg/labels", "_train_id"))


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The labelled pictures of `train` or `val`, in order of their names. There are no other classes than Cityscapes'.

    Raises `InputError` for what is missing. The test split has no masks.
    """
    base = folder_of(Path(root), "BDD100K: images/ and labels/, or seg/")
    for images, labels, ending in _RELEASES:  # noqa: B007
        masks = base / labels / split
        if masks.is_dir():
            names = sorted(path.stem.removesuffix(ending) for path in masks.glob(f"[!.]*{ending}.png"))
            break
    else:
        raise InputError(
            f"{base}: has neither {' nor '.join(f'{labels}/{split}' for _, labels, _ in _RELEASES)}, expected the "
            "semantic segmentation of BDD100K's train or val; check the root and the split"
        )
    folder = folder_of(base / images / split, "BDD100K's pictures of that split")
    pictures = {path.stem: path for path in folder.iterdir() if is_image_name(path)}
    check_files((folder / f"{name}.jpg" for name in names if name not in pictures), "the picture of a mask")
    if not names:
        raise InputError(f"{masks}: holds no mask *{ending}.png; check the root")
    ids = tuple(range(len(CLASSES)))
    return [(name, [LabelledFile(name, pictures[name], masks / f"{name}{ending}.png", ids)]) for name in names]
