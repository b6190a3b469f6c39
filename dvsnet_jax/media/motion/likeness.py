"""Whether a motion field explains a frame from the one before it: the check that no source goes without.

Motion that is found always looks like motion, at a cut too. What tells is whether the earlier frame, moved along it,
is like the later one. Coarse means of a cell suffice for that, and cost less than the search for motion.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from dvsnet_jax.frame_motion import CELL, motion_shape
from dvsnet_jax.media.opencv import opencv

_MOST_PIXELS = 2**19
"""512×1024. More costs more than it gains: agreement of carried labels grows by half a point to one with each doubling
of the sides, the time of dense inverse search fourfold."""
_NOISE = 1.0  # grey levels, squared: detail below it does not count, and cells without detail are like each other


class Grey(NamedTuple):
    """A frame as the sources of motion look at it: grey (its green channel, which is close to luma and costs nothing),
    continued at its right and lower edge to whole cells, and halved, again and again."""

    fine: UInt8[np.ndarray, "rows*n columns*n"]
    """Reduced to half a million pixels at most: `n` is 8, 4, 2 or 1."""
    coarse: UInt8[np.ndarray, "rows*m columns*m"]
    """`fine`, its sides halved twice where cells do not come before it."""
    cells: Float32[np.ndarray, "rows columns"]
    """Means of cells."""
    shape: tuple[int, ...]
    """Height and width of the frame itself."""

    @property
    def scale(self) -> int:
        """Pixels of the frame along a side of one of `fine`: 1, 2, 4 or 8."""
        return CELL * self.cells.shape[0] // self.fine.shape[0]


def grey(image: UInt8[np.ndarray, "height width 3"]) -> Grey:
    """What is looked at of an RGB frame. Raises InputError where OpenCV cannot be loaded."""
    cv2 = _opencv()
    height, width = image.shape[:2]
    rows, columns = motion_shape(height, width)
    picture = cv2.extractChannel(image, 1)
    if (height, width) != (rows * CELL, columns * CELL):
        below, right = rows * CELL - height, columns * CELL - width
        picture = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
    fine = picture
    while fine.size > _MOST_PIXELS and len(fine) > rows:
        fine = _halved(fine)
    coarse = fine
    while 4 * len(coarse) > len(fine) and len(coarse) > rows:
        coarse = _halved(coarse)
    cells = cv2.resize(coarse.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return Grey(fine, coarse, cells, (height, width))


def _halved(picture: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h/2 w/2"]:
    cv2 = _opencv()
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def likeness(
    later: Grey, earlier: Grey, flow: Float32[np.ndarray, "rows columns 2"]
) -> tuple[float, Float32[np.ndarray, "rows columns"]]:
    """`(whole, cells)`: how like a frame is to the one before it, moved along `flow` (in cells, later → earlier; what
    lies outside repeats the border).

    Both are correlations, 0..1, of detail (a cell less the mean around it), so that neither a change of light nor a sky
    without detail counts. `whole` is that of the frame, `cells` those of 5×5 cells around each.
    """
    cv2 = _opencv()
    rows, columns = later.cells.shape
    x = flow[..., 0] + np.arange(columns, dtype=np.float32)
    y = flow[..., 1] + np.arange(rows, dtype=np.float32)[:, None]
    moved = cv2.remap(earlier.cells, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    here, there = _detail(later.cells), _detail(moved)
    products = here * there, here * here, there * there
    cells = _correlation([_mean_around(product, 5) for product in products], _NOISE)
    return float(_correlation([product.mean() for product in products], _NOISE / 100)), cells


def _correlation(products: Any, noise: float) -> Any:
    common, first, second = products
    return np.clip((common + noise) / np.sqrt((first + noise) * (second + noise)), 0, 1)


def _detail(cells: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    return cells - _mean_around(cells, 3)


def _mean_around(cells: Float32[np.ndarray, "rows columns"], side: int) -> Float32[np.ndarray, "rows columns"]:
    cv2 = _opencv()
    return np.asarray(cv2.blur(cells, (side, side), borderType=cv2.BORDER_REPLICATE))


def _opencv() -> Any:
    return opencv("motion between frames")
