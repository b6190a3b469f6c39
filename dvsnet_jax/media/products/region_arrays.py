"""What regions went through, frame by frame, as arrays in one `.npz`.

By region, not by pixel: age and expected agreement are a region's, and a map of pixels would only repeat them, a
million times a frame. `per_pixel` makes one where it is wanted. Where regions overlap the labels may be of either; the
boxes part them half way, as the overlay draws them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32, Shaped

from dvsnet_jax.media.atomic import atomic_path


def region_boxes(
    height: int, width: int, regions: tuple[int, int], borders: tuple[Sequence[int], Sequence[int]] | None = None
) -> Int32[np.ndarray, "regions 4"]:
    """(top, left, bottom, right) of each region, row by row, without overlaps; bottom and right are just past it. They
    meet at `borders` (`RegionGrid.borders`), evenly spaced ones if not given."""
    rows, columns = borders or [
        np.linspace(0, size, count + 1).astype(int) for size, count in zip((height, width), regions, strict=True)
    ]
    boxes = [
        (rows[row], columns[column], rows[row + 1], columns[column + 1])
        for row in range(regions[0])
        for column in range(regions[1])
    ]
    return np.array(boxes, np.int32)


def per_pixel(
    values: Shaped[np.ndarray, "regions"], boxes: Int32[np.ndarray, "regions 4"]
) -> Shaped[np.ndarray, "height width"]:
    """Each region's value at all of its pixels."""
    picture = np.empty((boxes[:, 2].max(), boxes[:, 3].max()), values.dtype)
    for value, (top, left, bottom, right) in zip(values, boxes, strict=True):
        picture[top:bottom, left:right] = value
    return picture


class RegionArrays:
    """Collects arrays of one shape under their names, a row a frame, and writes them when it is closed; without a row
    no file appears. A row takes some 20 bytes a region, in memory, too."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._rows: dict[str, list[Any]] = {}
        self._fixed: dict[str, Any] = {}

    def hold(self, **fixed: Any) -> None:
        """Arrays that are no rows."""
        self._fixed.update(fixed)

    def write(self, **row: Any) -> None:
        """The next frame's."""
        for name, value in row.items():
            self._rows.setdefault(name, []).append(value)

    def close(self) -> None:
        """Writes the file. Further calls do nothing. Raises InputError where it cannot be written."""
        rows, self._rows = self._rows, {}
        if not rows:
            return
        arrays = {name: np.stack(values) for name, values in rows.items()}
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays, **self._fixed)
