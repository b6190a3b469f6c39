"""What the frame step takes of a frame's motion, wherever it comes from (`media.motion`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

CELL = 8
"""Pixels of the frame along each side of a cell of the motion's grid."""
SAME_SCENE = 0.3
"""Likeness (`media.motion.likeness`) from which on two frames count as neighbours. Of street videos at 15 to 25 Hz
neighbours had 0.70 to 0.95, frames five apart 0.36 and more, frames of different videos at most 0.21."""


def motion_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the motion's grid for frames of this size; the last ones may reach past the frame."""
    return -(-height // CELL), -(-width // CELL)


class FrameMotion(NamedTuple):
    """Motion from the current frame to the one before it, a vector for each 8×8 pixels of the frame; for
    `segment_clip` every field has a leading time axis. Rows and columns are rounded up where 8 does not divide the
    frame's sides."""

    flow: Float[Array | np.ndarray, "streams rows columns 2"]
    """Displacement (x, y) in cells, current → previous: where in the frame before each point was. NaN where it is not
    known at all (a cut, a lost frame): a region that holds such a cell is segmented."""
    trust: Float[Array | np.ndarray, "streams rows columns"]
    """How far each vector can be trusted, 0..1: 0 where it was only filled in from its neighbours."""


class CarriedFlow(NamedTuple):
    """Motion chained since each region's key frame: what `VideoState` holds of it."""

    flow: Float[Array, "regions h//8 w//8 2"]
    """Displacement (x, y) in cells of the region, current → key; 0 right after the region was segmented."""
    trust: Float[Array, "regions h//8 w//8"]
    """The product of what was known of each step; 1 right after the region was segmented."""
    age: Float[Array, "regions"]
    """Frames since the key frame."""
