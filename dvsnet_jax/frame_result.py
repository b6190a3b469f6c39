"""What one frame gives, of the frame step and of an exported program alike."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Bool, Float, UInt8


class FrameResult(NamedTuple):
    """What one frame gives; from `segment_clip` every field has a leading time axis."""

    labels: UInt8[Array, "streams height width"]
    """Class of every pixel (train ids for the Cityscapes networks)."""
    scores: Float[Array, "streams regions"]
    """Expected confidence score of warping, percent; NaN on a stream's first frame, which has nothing to warp."""
    targets: Float[Array, "streams regions"]
    """What the policy held against: the confidence target, or its threshold or interval; before this frame's update."""
    segmented: Bool[Array, "streams regions"]
    """True where the region was segmented anew, False where its key scores were warped."""
