"""Whether a motion field explains a frame from the one before it: the check that no source goes without.

Motion that is found always looks like motion, at a cut too. What tells is whether the earlier frame, moved along it,
is like the later one. Coarse means of a cell suffice for that, and cost less than the search for motion.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

from dvsnet_jax.frame_motion import CELL, motion_shape
from dvsnet_jax.media.motion.field import warp

_MOST_PIXELS = 2**19
"""512×1024. More costs more than it gains: agreement of carried labels grows by half a point to one with each doubling
of the sides, DIS's time fivefold."""
_NOISE = 1.0  # grey levels, squared: detail below it does not count, and cells without detail are like each other


class Grey(NamedTuple):
    """A frame as the sources of motion look at it: grey (its green channel, which is close to luma and costs nothing),
    continued at its right and lower edge to whole cells."""

    fine: UInt8[np.ndarray, "rows*n columns*n"]
    """Reduced to half a million pixels at most: `n` is 8, 4, 2 or 1."""
    cells: Float32[np.ndarray, "rows columns"]
    """Means of cells."""
    shape: tuple[int, ...]
    """Height and width of the frame itself."""

    @property
    def scale(self) -> int:
        """Pixels of the frame along a side of one of `fine`: 1, 2, 4 or 8."""
        return CELL * self.cells.shape[0] // self.fine.shape[0]


def grey(image: UInt8[np.ndarray, "height width 3"]) -> Grey:
    """What is looked at of an RGB frame."""
    height, width = image.shape[:2]
    rows, columns = motion_shape(height, width)
    fine = image[..., 1]
    if (height, width) != (rows * CELL, columns * CELL):
        fine = np.pad(fine, ((0, rows * CELL - height), (0, columns * CELL - width)), mode="edge")
    side = CELL
    while fine.size > _MOST_PIXELS and side > 1:
        wide = fine.astype(np.uint16)
        wide = wide[::2] + wide[1::2]
        fine = (wide[:, ::2] + wide[:, 1::2] + 2 >> 2).astype(np.uint8)
        side //= 2
    sums = fine.reshape(rows, side, -1).sum(1, dtype=np.uint16).reshape(rows, columns, side).sum(-1, dtype=np.float32)
    return Grey(np.ascontiguousarray(fine), sums / np.float32(side**2), (height, width))


def likeness(
    later: Grey, earlier: Grey, flow: Float32[np.ndarray, "rows columns 2"]
) -> tuple[float, Float32[np.ndarray, "rows columns"]]:
    """`(whole, cells)`: how like a frame is to the one before it, moved along `flow` (in cells, later → earlier).

    Both are correlations, 0..1, of detail (a cell less the mean around it), so that neither a change of light nor a sky
    without detail counts. `whole` is that of the frame, `cells` those of 5×5 cells around each.
    """
    here = _detail(later.cells)
    there = _detail(warp(earlier.cells[..., None], flow)[..., 0])
    products = np.stack([here * there, here * here, there * there])
    cells = _correlation(ndimage.uniform_filter(products, (1, 5, 5), mode="nearest"), _NOISE)
    return float(_correlation(products.mean((1, 2)), _NOISE / 100)), cells


def _correlation(products: Float32[np.ndarray, "3 *place"], noise: float) -> Float32[np.ndarray, "*place"]:
    common, first, second = products
    return np.asarray(np.clip((common + noise) / np.sqrt((first + noise) * (second + noise)), 0, 1))


def _detail(cells: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    return cells - ndimage.uniform_filter(cells, 3, mode="nearest")
