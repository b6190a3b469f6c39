"""Numbers of every pixel of a frame, as one `.npz` a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float16, Num

from dvsnet_jax.media.atomic import atomic_path


def write_scores(path: Path, scores: Float16[np.ndarray, "height width classes"]) -> None:
    """`scores`, float16 `[height, width, classes]`, as they are: packing them would take seconds a frame. Raises
    InputError where it cannot be written."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, scores=scores)


def write_maps(path: Path, **maps: Num[np.ndarray, "height width"]) -> None:
    """Maps of pixels under their names, packed: those of regions are small then. Raises InputError where it cannot be
    written."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **maps)
