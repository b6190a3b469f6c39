"""Motion from a frame to the one before it, on the networks' ⅛ grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from dvsnet_jax.frame_motion import FrameMotion, motion_shape


class Motion(NamedTuple):
    """How one frame came from the frame delivered before it. Where that is not known there is None in its place.

    Cell (i, j) stands for the 8×8 pixels from row 8i, column 8j on, so its centre is at (8i + 3.5, 8j + 3.5), with
    pixels at whole numbers; a side that 8 does not divide has a last cell that reaches over the edge.
    """

    flow: Float32[np.ndarray, "rows columns 2"]
    """(x, y), from a place in this frame to where the same thing was in the one before, in cells (8 pixels), right and
    down. Always finite: what a source leaves open is filled from around."""
    trust: Float32[np.ndarray, "rows columns"]
    """0..1, how far the source knows: 0 where `flow` is filled in from around or contradicts the pictures."""


def for_step(motion: Motion | None, height: int, width: int) -> FrameMotion:
    """What `segment_frame` takes for one stream of frames of this size; None, not known, becomes NaN."""
    if motion is None:
        shape = motion_shape(height, width)
        motion = Motion(np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32))
    return FrameMotion(motion.flow[None], motion.trust[None])


def warp(values: Float32[np.ndarray, "h w c"], flow: Float32[np.ndarray, "h w 2"]) -> Float32[np.ndarray, "h w c"]:
    """`values` at the end of each cell's flow: bilinear, places outside clamped to the border, as `ops.warp` does."""
    height, width = flow.shape[:2]
    x = np.clip(flow[..., 0] + np.arange(width, dtype=np.float32), 0, width - 1)
    y = np.clip(flow[..., 1] + np.arange(height, dtype=np.float32)[:, None], 0, height - 1)
    left, top = x.astype(np.intp), y.astype(np.intp)
    dx, dy = (x % 1)[..., None], (y % 1)[..., None]
    flat = values.reshape(height * width, -1)
    here = top * width + left
    right, down = (left < width - 1).astype(np.intp), (top < height - 1) * np.intp(width)
    upper = flat[here] * (1 - dx) + flat[here + right] * dx
    lower = flat[here + down] * (1 - dx) + flat[here + down + right] * dx
    return upper * (1 - dy) + lower * dy


def compose(later: Motion | None, earlier: Motion | None) -> Motion | None:
    """The motion over two frames, for a frame in between that is dropped; None where either is not known.

    Flow is carried as the frame step does, later + earlier at its end; trust is the product of the two.
    """
    if later is None or earlier is None or later.trust.shape != earlier.trust.shape:
        return None
    carried = warp(np.concatenate([earlier.flow, earlier.trust[..., None]], -1), later.flow)
    return Motion(later.flow + carried[..., :2], later.trust * carried[..., 2])
