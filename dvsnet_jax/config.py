"""Configuration: frozen dataclasses of plain values, hashable, so that they can be static under `jax.jit`.

`DVSNetConfig` is besides a pytree, whose leaves are its policy's numbers and whose structure is all the rest: given to
a jitted function as any other argument, another target is no other program.

DVSNetConfig.cityscapes()                                        # the original's settings
DVSNetConfig.cityscapes(overlap=16, policy=DynamicTarget(98.0))  # presets take overrides
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import jax

from dvsnet_jax import policies
from dvsnet_jax.flownet_config import FLOW_FEATURES as FLOW_FEATURES
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.flownet_config import FlowNet2sConfig as FlowNet2sConfig
from dvsnet_jax.own_segmentation import ImageInput as ImageInput
from dvsnet_jax.own_segmentation import OwnSegmentationConfig as OwnSegmentationConfig
from dvsnet_jax.protocols import FlowFunction, SegmentationFunction

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
"""The mean that the original's inference subtracts, blue, green, red, of 0..255 (`parity.md`'s quirk 18)."""
DRSLEEP_MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)
"""The mean that DeepLab-v2 and the original's training of the decision network subtract."""

_LONGEST_SIDE = 32768


def _check_classes(num_classes: int) -> None:
    if not 2 <= num_classes <= 255:
        raise ValueError(f"num_classes is {num_classes}, but labels are uint8 and 255 is void: 2 to 255")


@dataclass(frozen=True, kw_only=True)
class DeepLabFastConfig:
    """DeepLab-Fast: DeepLab-v2 with output stride 16 (paper, section 4.1); by default the original's ResNet-101."""

    num_classes: int = 19
    blocks: tuple[int, int, int, int] = (3, 4, 23, 3)
    """Residual units in res2 … res5; ResNet-50 is (3, 4, 6, 3)."""
    width: int = 64
    """Channels of conv1; res2 … res5 have 4, 8, 16, 32 times as many."""
    head_width: int = 256
    """Channels of the atrous pyramid (fc1_voc12) and of fc_oooo."""
    mean: tuple[float, float, float] = CAFFE_MEAN_BGR

    def __post_init__(self) -> None:
        _check_classes(self.num_classes)
        if len(self.blocks) != 4 or min(self.blocks) < 1 or min(self.width, self.head_width) < 1:
            raise ValueError(f"{self}: four block counts and widths of at least 1 are needed")


@dataclass(frozen=True, kw_only=True)
class DeepLabV2Config:
    """DeepLab-v2 as tensorflow-deeplab-resnet has it: ResNet-101 at output stride 8, four summed atrous branches."""

    num_classes: int = 21
    blocks: tuple[int, int, int, int] = (3, 4, 23, 3)
    width: int = 64
    mean: tuple[float, float, float] = DRSLEEP_MEAN_BGR

    def __post_init__(self) -> None:
        _check_classes(self.num_classes)
        if len(self.blocks) != 4 or min(self.blocks) < 1 or self.width < 1:
            raise ValueError(f"{self}: four block counts and a width of at least 1 are needed")


@dataclass(frozen=True, kw_only=True)
class DeepLabLiteConfig:
    """DeepLab on EfficientNet-Lite with a small decoder: scores at ¼ of the image."""

    num_classes: int = 19
    decoder_widths: tuple[int, int, int] = (128, 96, 48)
    """Channels of the decoder at strides 16, 8 and 4."""
    trunk: Literal["lite0", "lite2"] = "lite0"
    """EfficientNet-Lite0, 3.4 million parameters with the decoder as it is here, or Lite2."""

    def __post_init__(self) -> None:
        _check_classes(self.num_classes)
        if self.trunk not in ("lite0", "lite2"):
            raise ValueError(f"trunk is {self.trunk!r}, expected 'lite0' or 'lite2'")
        if len(self.decoder_widths) != 3 or min(self.decoder_widths) < 1:
            raise ValueError(f"{self}: three decoder widths of at least 1 are needed")


@dataclass(frozen=True, kw_only=True)
class DeepLabPairConfig:
    """Two DeepLab-Lites, trained one by one, and the mean of their scores: scores at ¼ of the image."""

    first: DeepLabLiteConfig = field(default_factory=DeepLabLiteConfig)
    """Sees the image as it is."""
    second: DeepLabLiteConfig
    """Sees the image enlarged, and so more of what is small or far away."""
    enlarged: float = 1.5
    """How much larger, 1 to 4; its sides are then the nearest multiples of 32."""

    @property
    def num_classes(self) -> int:
        return self.first.num_classes

    def __post_init__(self) -> None:
        if self.first.num_classes != self.second.num_classes:
            raise ValueError(
                f"a pair of {self.first.num_classes} and {self.second.num_classes} classes: both must have the same"
            )
        if not 1 <= self.enlarged <= 4:
            raise ValueError(f"enlarged is {self.enlarged}, expected 1 to 4")


@dataclass(frozen=True, kw_only=True)
class DecisionConfig:
    """The decision network: one convolution and four fully connected layers (paper, section 3.4)."""

    grid: tuple[int, int] = (4, 8)
    """Height and width that the flow network's feature is resized to; it fixes the first fully connected layer."""
    conv_width: int = 96
    hidden: tuple[int, int, int] = (1024, 1024, 10)


@dataclass(frozen=True, kw_only=True)
class LocalDecisionConfig:
    """A small decision network that predicts agreement cell by cell, from what the warp shows (`ops.warp_cues`)."""

    grid: tuple[int, int] = (16, 16)
    """Rows and columns of cells."""
    width: int = 16
    """Channels of its two hidden layers."""

    def __post_init__(self) -> None:
        if len(self.grid) != 2 or min(*self.grid, self.width) < 1:
            raise ValueError(f"{self}: a grid of rows and columns and a width of at least 1 are needed")


@dataclass(frozen=True)
class CarriedMotionConfig:
    """In place of a flow network: motion from frame to frame, chained inside the step into the flow to the key frame
    (`ops.carried_motion`). It is given with each frame (`segment_frame`'s `motion`), or searched for inside the step.

    The decision network is then the local one, as there are no features of a flow network to read.
    """

    scale_width: int = 0
    """Channels of the two hidden layers of a small network that predicts the scale field (`networks.carried_scale`),
    whose parameters are the entry "flow". 0: scores are carried as they are, and there are no parameters."""

    searched: bool = False
    """Whether motion is searched for inside the step (`ops.motion_search`) in place of being given: for accelerators,
    as on a CPU it costs more than what finds it outside. The same weights serve both."""

    def __post_init__(self) -> None:
        if self.scale_width < 0:
            raise ValueError(f"scale_width is {self.scale_width}, but it counts channels: 0 or more")


SegmentationConfig = (
    DeepLabFastConfig
    | DeepLabV2Config
    | DeepLabLiteConfig
    | DeepLabPairConfig
    | OwnSegmentationConfig
    | SegmentationFunction
)
FlowConfig = FlowNet2sConfig | FlowNet2Config | FlowFunction | CarriedMotionConfig
AnyDecisionConfig = DecisionConfig | LocalDecisionConfig


@dataclass(frozen=True, kw_only=True)
class DVSNetConfig:
    """Everything that decides what the frame step computes; the weights belong to it and are stored with it."""

    segmentation: SegmentationConfig = field(default_factory=DeepLabFastConfig)
    """Which segmentation network, built in or your own (`dvsnet_jax.protocols`)."""
    flow: FlowConfig = field(default_factory=FlowNet2sConfig)
    """Which flow network, built in or your own."""
    decision: AnyDecisionConfig = field(default_factory=DecisionConfig)
    """Which decision network: the paper's, on features of the flow network, or the local one, on cues of the warp."""
    regions: tuple[int, int] = (2, 2)
    """Rows and columns that a frame is cut into."""
    overlap: int = 64
    """Pixels that a region reaches over the border it shares with its neighbour: two neighbours share twice as many."""
    policy: policies.Policy = field(default_factory=policies.ExpectedConfidence)
    routing: Literal["compact", "dense"] = "compact"
    """`compact`: the segmentation network runs on the masked regions only. `dense`: on all, then `jnp.where`."""
    chunk: int | None = None
    """Regions that `compact` segments at once; None chooses by backend."""
    input_size: tuple[int, int] | None = None
    """Height and width that frames are resized to first (TensorFlow's legacy bilinear, as the original does with
    1024×2048); labels come out at that size. None works at each frame's own size."""

    fuse: float = 0.0
    """How much say carried scores keep where a region is segmented anew, 0..1, at most (`networks.fusion`): 0, none, as
    in the paper; more steadies labels. For carried motion."""
    class_offsets: tuple[float, ...] = ()
    """What is added to the segmentation network's score of each class, before anything is made of them
    (`training.class_offsets`); () adds nothing."""

    @property
    def num_classes(self) -> int:
        return self.segmentation.num_classes

    @property
    def num_scores(self) -> int:
        """Scores of a point: one for each class, and one more where the segmentation network knows void."""
        return getattr(self.segmentation, "num_scores", self.num_classes)

    @property
    def num_regions(self) -> int:
        return self.regions[0] * self.regions[1]

    @property
    def carries_motion(self) -> bool:
        """Whether motion from frame to frame is chained, in place of a flow network."""
        return isinstance(self.flow, CarriedMotionConfig)

    @property
    def searches_motion(self) -> bool:
        """Whether the frame step carries motion that it searches for itself."""
        return isinstance(self.flow, CarriedMotionConfig) and self.flow.searched

    @property
    def takes_motion(self) -> bool:
        """Whether the frame step wants the motion of each frame (`segment_frame`'s `motion`)."""
        return self.carries_motion and not self.searches_motion

    def __post_init__(self) -> None:
        if len(self.regions) != 2 or min(self.regions) < 1:
            raise ValueError(f"regions is {self.regions}, but it is (rows, columns), each at least 1")
        if self.overlap < 0:
            raise ValueError(f"overlap is {self.overlap}, but it counts pixels: 0 or more")
        if self.routing not in ("compact", "dense"):
            raise ValueError(f"routing is {self.routing!r}; it is 'compact' or 'dense'")
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"chunk is {self.chunk}, but it counts regions: 1 or more, or None")
        if self.input_size is not None and min(self.input_size) < 64:
            raise ValueError(f"input_size is {self.input_size}; the smallest frame is 64×64")
        if self.input_size is not None and max(self.input_size) > _LONGEST_SIDE:
            raise ValueError(f"input_size is {self.input_size}; sides of a frame have at most {_LONGEST_SIDE} pixels")
        for name, network, known in (
            ("segmentation", self.segmentation, SegmentationConfig),
            ("flow", self.flow, FlowConfig),
            ("decision", self.decision, AnyDecisionConfig),
        ):
            if not isinstance(network, known):
                allowed = ", ".join(kind.__name__ for kind in known.__args__)
                raise TypeError(f"{name} is {network!r}; it is one of {allowed}")
        if isinstance(self.flow, CarriedMotionConfig) and not isinstance(self.decision, LocalDecisionConfig):
            raise ValueError(
                "flow is CarriedMotionConfig, which has no features for the paper's decision network; "
                "use decision=LocalDecisionConfig()"
            )
        if self.class_offsets and len(self.class_offsets) != self.num_classes:
            raise ValueError(
                f"class_offsets are {len(self.class_offsets)}, but there are {self.num_classes} classes; give one for "
                "each, or () for none"
            )
        if not all(map(math.isfinite, self.class_offsets)):
            raise ValueError(f"class_offsets are {self.class_offsets}, but they are added to scores: finite numbers")
        if not 0 <= self.fuse <= 1:
            raise ValueError(f"fuse is {self.fuse}, but it is a part of the whole: 0..1")
        if self.fuse and not self.carries_motion:
            raise ValueError(
                f"fuse is {self.fuse}, but the flow is {type(self.flow).__name__}; only carried motion "
                "(CarriedMotionConfig) says how sure and how old carried scores are, so set fuse to 0"
            )
        if not isinstance(self.policy, policies.Policy):
            raise TypeError(f"policy is {self.policy!r}, which lacks init, decide or targets; see dvsnet_jax.policies")
        policies.check_traced(self.policy)

    @classmethod
    def cityscapes(cls, **overrides: Any) -> DVSNetConfig:
        """The original's release: DeepLab-Fast with 19 classes, four regions, overlap 64, target 90.

        A frame of 1024×2048 is then cut into regions of 576×1088, exactly as the original cuts it.
        """
        return cls(**overrides)

    @classmethod
    def street(cls, *, num_classes: int = 19, **overrides: Any) -> DVSNetConfig:
        """The compact preset, for a CPU: DeepLab-Lite, a flow network of half the width, the local decision network.

        The package has its weights for 19 classes (`checkpoints.load_bundled`).
        """
        settings: dict[str, Any] = {
            "segmentation": DeepLabLiteConfig(num_classes=num_classes),
            "flow": FlowNet2sConfig(channels=(12, 24, 48, 96, 96, 192)),
            "decision": LocalDecisionConfig(),
            "overlap": 32,
        }
        return cls(**{**settings, **overrides})

    @classmethod
    def street_large(cls, *, num_classes: int = 19, **overrides: Any) -> DVSNetConfig:
        """`street` around a heavier segmentation network, for those who have it segment less: `street`'s own beside
        a DeepLab-Lite on EfficientNet-Lite2 with a decoder of twice the width, which sees the image 1.5 times as large.

        The package has its weights for 19 classes and carried motion (`checkpoints.load_bundled`).
        """
        small = DeepLabLiteConfig(num_classes=num_classes)
        segmentation = DeepLabPairConfig(first=small, second=_lite2(num_classes))
        return cls.street(num_classes=num_classes, **{"segmentation": segmentation, **overrides})

    @classmethod
    def street_lite2(cls, *, num_classes: int = 19, **overrides: Any) -> DVSNetConfig:
        """`street` around `street_large`'s second network alone, as that is trained."""
        return cls.street(num_classes=num_classes, **{"segmentation": _lite2(num_classes), **overrides})

    def replace(self, **overrides: Any) -> DVSNetConfig:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **overrides)


def _lite2(num_classes: int) -> DeepLabLiteConfig:
    return DeepLabLiteConfig(num_classes=num_classes, trunk="lite2", decoder_widths=(256, 192, 96))


_STATIC = tuple(each.name for each in dataclasses.fields(DVSNetConfig) if each.name != "policy")


def _flatten(config: DVSNetConfig) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    numbers, kind = policies.split(config.policy)
    return numbers, (kind, *(getattr(config, name) for name in _STATIC))


def _unflatten(structure: tuple[Any, ...], numbers: tuple[Any, ...]) -> DVSNetConfig:
    kind, *values = structure
    made = object.__new__(DVSNetConfig)  # past __post_init__: it was checked when it was made
    for name, value in zip(("policy", *_STATIC), (policies.join(numbers, kind), *values), strict=True):
        object.__setattr__(made, name, value)
    return made


jax.tree_util.register_pytree_node(DVSNetConfig, _flatten, _unflatten)
