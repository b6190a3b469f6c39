"""What one frame gives, of the frame step and of an exported program alike."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Bool, Float, Float16, UInt8


class FrameResult(NamedTuple):
    """What one frame gives; from `segment_clip` every field has a leading time axis."""

    labels: UInt8[Array, "streams height width"]
    """Class of every pixel (train ids for the Cityscapes networks). 255, void, where the segmentation network gave a
    region scores that are no numbers."""
    scores: Float[Array, "streams regions"]
    """Expected confidence score of warping, percent; NaN on a stream's first frame, which has nothing to warp, and
    where the motion since the frame before is not known (`FrameMotion`). Where
    `untrusted` says so it may be no number on later frames too."""
    targets: Float[Array, "streams regions"]
    """What the policy held against: the confidence target, or its threshold or interval; before this frame's update."""
    segmented: Bool[Array, "streams regions"]
    """True where the region was segmented anew, False where its key scores were warped."""
    untrusted: Bool[Array, "streams regions"]
    """True where a network gave what is no number (NaN, infinite): the decision or flow network, or the segmentation
    network for the key frame, so that the region was segmented whatever the policy; or the segmentation network for
    this frame, whose labels are void there, and the region is segmented again at the next."""


class AuditedResult(NamedTuple):
    """What one frame gives with `audit`: the fields of `FrameResult`, and how well warping would have done."""

    labels: UInt8[Array, "streams height width"]
    scores: Float[Array, "streams regions"]
    targets: Float[Array, "streams regions"]
    segmented: Bool[Array, "streams regions"]
    untrusted: Bool[Array, "streams regions"]
    agreement: Float[Array, "streams regions"]
    """What `expected` expects, as it turned out: percent of the grid of scores where warping would have given the label
    that segmenting gave. NaN where the region was not segmented anew, or had nothing to warp."""
    expected: Float[Array, "streams regions"]
    """The scores before they were recalibrated; `scores` itself where they are not."""


class ScoredResult(NamedTuple):
    """What one frame gives with `every_score`: the fields of `AuditedResult`, these two None without `audit`, and the
    scores that its labels are the best of."""

    labels: UInt8[Array, "streams height width"]
    scores: Float[Array, "streams regions"]
    targets: Float[Array, "streams regions"]
    segmented: Bool[Array, "streams regions"]
    untrusted: Bool[Array, "streams regions"]
    agreement: Float[Array, "streams regions"] | None
    expected: Float[Array, "streams regions"] | None
    class_scores: Float16[Array, "streams height width classes"]
    """The network's raw scores at every pixel, interpolated as for the labels; of a region that overlaps another one,
    those of the one whose best is better. Channels are train ids, and past them void, where the network knows that."""


AnyResult = FrameResult | AuditedResult | ScoredResult


def with_scores(result: AnyResult, class_scores: Float16[Array, "streams height width classes"]) -> ScoredResult:
    """The result with the scores of all classes."""
    agreement, expected = (result.agreement, result.expected) if isinstance(result, AuditedResult) else (None, None)
    labels, scores, targets, segmented, untrusted = result[:5]
    return ScoredResult(labels, scores, targets, segmented, untrusted, agreement, expected, class_scores)
