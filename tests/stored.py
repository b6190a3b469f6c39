"""What golden files keep of large tensors."""

from __future__ import annotations

import numpy as np


def stored(array: np.ndarray, what: str) -> np.ndarray:
    """The slice of a full tensor that the golden file keeps ('[:, ::4, ::4, :]')."""
    if what == "full":
        return array
    slices = [
        slice(*(int(part) if part.strip() else None for part in axis.split(":"))) for axis in what[1:-1].split(",")
    ]
    return array[tuple(slices)]
