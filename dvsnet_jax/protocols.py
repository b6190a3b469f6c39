"""Anyone's network inside the frame step: two small protocols, and the two dataclasses that carry a function of yours.

    config = DVSNetConfig(segmentation=SegmentationFunction(function=my_network, num_classes=19))
    params = {"segmentation": my_parameters, "flow": …, "decision": …}

Functions must be pure: they are traced into the one compiled program of the frame step. Parameters are any pytree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Float


class FlowOutput(NamedTuple):
    """What a flow network gives the frame step, on the region's ⅛ grid."""

    flow: Float[Array, "n h//8 w//8 2"]
    """Displacement (x, y) in pixels of this grid, current → key: where in the key frame each point was."""
    scale: Float[Array, "n h//8 w//8 classes"]
    """What the warped scores are multiplied by; 1 changes nothing, and one channel serves all classes."""
    feature: Float[Array, "n fh fw fc"]
    """Deep features of the pair, on a grid of their own: what the paper's decision network reads. A local one
    (`LocalDecisionConfig`) does without, and any array will do."""
    warped: Float[Array, "n h//8 w//8 c"] | None = None
    """The key picture and its scores on this grid, warped (`ops.warp_cues.warped_key`), where there already."""


class ScoresOfImages(Protocol):
    """A segmentation network: what takes the segmentation path.

    It gets its parameters and float32 RGB images, 0..255, `[n, height, width, 3]`, whose sides are multiples of 16, and
    returns class scores (any real numbers, the largest wins) `[n, h, w, classes]` on any regular grid: ⅛ or 1⁄16 of the
    image is usual, and what is finer is warped on its own grid. n varies (it is the router's chunk).

    -inf is "never this class" (a masked one) and inf "surely this one", in the warp too. Where a score is NaN none of
    that image's is trusted: its labels are void (255), and it is segmented again at the next frame.
    """

    def __call__(self, params: Any, images: Float[Array, "n height width 3"]) -> Float[Array, "n h w classes"]: ...


class FlowOfPairs(Protocol):
    """A flow network: what the warping path and the decision network feed on.

    It gets its parameters and two batches of float32 RGB images, 0..255, `[n, height / 2, width / 2, 3]` (half the
    region's size, multiples of 8): the current frame and the key frame. It returns a `FlowOutput`.
    """

    def __call__(
        self, params: Any, current: Float[Array, "n h//2 w//2 3"], key: Float[Array, "n h//2 w//2 3"]
    ) -> FlowOutput: ...


@dataclass(frozen=True, kw_only=True)
class SegmentationFunction:
    """A segmentation network of your own, for `DVSNetConfig.segmentation`.

    `function` is compared by identity: make it once (a module-level function, or one closure kept), or every new one
    is compiled anew.
    """

    function: ScoresOfImages
    num_classes: int
    init: Callable[[Any], Any] | None = None
    """Random key → parameters, where `networks.init_params` is to make them too."""
    classes: tuple[str, ...] | None = None
    """Names of the classes, for legends and reports."""
    any_precision: bool = False
    """Whether it runs in the precision of its parameters, so that `networks.prepare` may make those bfloat16."""
    has_void: bool = False
    """Whether the scores of the classes are followed by one more, that of void: where it wins the label is 255."""

    def __post_init__(self) -> None:
        if not 2 <= self.num_classes <= 255:
            raise ValueError(f"num_classes is {self.num_classes}, but labels are uint8 and 255 is void: 2 to 255")
        if self.classes is not None and len(self.classes) != self.num_classes:
            raise ValueError(f"{len(self.classes)} names of classes, but num_classes is {self.num_classes}")

    @property
    def num_scores(self) -> int:
        """Scores of a point: one for each class, and void's where there is one."""
        return self.num_classes + self.has_void


@dataclass(frozen=True, kw_only=True)
class FlowFunction:
    """A flow network of your own, for `DVSNetConfig.flow`; `function` is compared by identity."""

    function: FlowOfPairs
    feature_channels: int
    """Channels of `FlowOutput.feature`: the decision network's input."""
    init: Callable[[Any], Any] | None = None
    """Random key → parameters, where `networks.init_params` is to make them too."""
