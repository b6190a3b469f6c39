"""Configuration of the FlowNet2 family (Ilg et al., FlowNet 2.0, CVPR 2017): which network, and which convention; and
of DVSNet's own narrow FlowNet2-s.

    FlowNet2Config()                                             # FlowNet2 as flownet2-tf has it
    FlowNet2Config(network="FlowNetCSS", convention=NVIDIA)      # for NVIDIA's FlowNet2-CSS_checkpoint.pth.tar
    FlowNet2Config(network="FlowNetC", width=1 / 16)             # small enough for a test

The published weights of one and the same network were made for programs that differ in a dozen details. Running them
with another program's details gives a plausible flow that is wrong by pixels, so the details travel with the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

FlowNetwork = Literal["FlowNetS", "FlowNetC", "FlowNetCS", "FlowNetCSS", "FlowNetSD", "FlowNet2"]
FLOW_NETWORKS: tuple[FlowNetwork, ...] = get_args(FlowNetwork)
Enlarging = Literal["align_corners", "half_pixel", "nearest"]
"""How a ¼-size flow gets to the image's size; see `ops.resize`."""

FLOW_DIVISOR = 20.0
"""Ground-truth flow was divided by this in training, so predictions are times this in pixels (all but FlowNetSD's)."""


def _check(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{field} is {value!r}; it is one of {', '.join(allowed)}")


@dataclass(frozen=True, kw_only=True)
class FlowConvention:
    """What the program that made the weights does, where programs differ. No field has a default: use a preset, or
    `dataclasses.replace` on one.
    """

    channel_order: Literal["BGR", "RGB"]
    """Of the images that the networks get."""
    mean: Literal["none", "pair"]
    """`pair`: every channel's mean over both images of a pair is subtracted."""
    unit_scale: Literal["always", "conditional"]
    """Division by 255, always, or only of an image that has a value above 1 (each image for itself)."""
    deconv_biases: bool
    """Whether deconv5 … deconv2 have biases. Those of FlowNet2's fusion always have."""
    upsample_biases: tuple[FlowNetwork, ...]
    """Which of FlowNetS, FlowNetC, FlowNetSD have biases in upsample_flow6to5 … 3to2; the fusion always has."""
    warp_outside: Literal["zero", "border"]
    """What a warped image has where the flow points out of it: `ops.flow_warp`."""
    enlarging: Enlarging
    """How predict_flow2 gets to the image's size: output of FlowNetS, C, SD and CS, input of each stacked FlowNetS."""
    last_enlarging: Enlarging
    """The same for the two flows that the fusion reads; FlowNetCSS's output is one of them."""
    sd_skip: Literal["conv2", "conv2_1"]
    """Which of its two ¼-size layers FlowNetSD's decoder reads: Caffe's model, and so NVIDIA's, has `conv2_1`, and
    flownet2-tf `conv2`, as its outputs show. Both have 128 channels, so no shape tells them apart."""
    sd_gain: float
    """FlowNetSD's predict_flow2 times this is its flow in pixels, when it stands alone."""
    stacked_sd_gain: float
    """The same inside FlowNet2."""

    def __post_init__(self) -> None:
        _check("channel_order", self.channel_order, ("BGR", "RGB"))
        _check("mean", self.mean, ("none", "pair"))
        _check("unit_scale", self.unit_scale, ("always", "conditional"))
        _check("warp_outside", self.warp_outside, ("zero", "border"))
        _check("enlarging", self.enlarging, get_args(Enlarging))
        _check("last_enlarging", self.last_enlarging, get_args(Enlarging))
        _check("sd_skip", self.sd_skip, ("conv2", "conv2_1"))
        for network in self.upsample_biases:
            _check("upsample_biases", network, ("FlowNetS", "FlowNetC", "FlowNetSD"))


FLOWNET2_TF = FlowConvention(
    channel_order="BGR",
    mean="none",
    unit_scale="conditional",
    deconv_biases=False,
    upsample_biases=(),
    warp_outside="zero",
    enlarging="align_corners",
    last_enlarging="align_corners",
    sd_skip="conv2",
    sd_gain=1 / FLOW_DIVISOR,
    stacked_sd_gain=1 / FLOW_DIVISOR,
)
"""sampepose/flownet2-tf: what its TensorFlow checkpoints were made for."""

NVIDIA = FlowConvention(
    channel_order="RGB",
    mean="pair",
    unit_scale="always",
    deconv_biases=True,
    upsample_biases=("FlowNetC", "FlowNetSD"),
    warp_outside="border",
    enlarging="half_pixel",
    last_enlarging="nearest",
    sd_skip="conv2_1",
    sd_gain=FLOW_DIVISOR,
    stacked_sd_gain=1 / FLOW_DIVISOR,
)
"""NVIDIA/flownet2-pytorch under torch 0.4 or later: what its `.pth.tar` files (Caffe's weights) were made for.

`enlarging="align_corners"` mimics torch 0.3 and earlier.
"""


@dataclass(frozen=True, kw_only=True)
class FlowNet2Config:
    """One network of the family, as it is to be run. Its parameters stand under `network`'s name."""

    network: FlowNetwork = "FlowNet2"
    convention: FlowConvention = FLOWNET2_TF
    width: float = 1.0
    """Multiplies the channel count of every layer but the flows' and the correlation's (441)."""

    def __post_init__(self) -> None:
        _check("network", self.network, get_args(FlowNetwork))
        if not isinstance(self.convention, FlowConvention):
            raise TypeError(f"convention is {self.convention!r}; it is a FlowConvention: FLOWNET2_TF, NVIDIA, your own")
        if not 0 < self.width <= 16:
            raise ValueError(f"width is {self.width}; it multiplies channel counts: above 0, at most 16")

    def channels(self, full: int) -> int:
        """How many channels a layer has that has `full` of them in the original."""
        return max(1, round(full * self.width))


FLOW_FEATURES = ("conv1", "conv2", "conv3_1", "conv4_1", "conv5_1", "conv6_1")
"""The last layer at each resolution of FlowNet2-s's encoder, ½ to 1⁄64 of its images."""


@dataclass(frozen=True, kw_only=True)
class FlowNet2sConfig:
    """DVSNet's FlowNet2-s: a narrow FlowNetS whose flow, at ⅛ of the region, is the warp's (paper, section 3.1)."""

    channels: tuple[int, int, int, int, int, int] = (24, 48, 96, 192, 192, 384)
    """Channels of conv1 … conv6; the decoder's follow from them (`deconv_channels`)."""
    flow_gain: float = 5.0
    """predict_flow2 → pixels of the ⅛ grid: ground truth is divided by 20 and the input is at half resolution."""
    feature: Literal["conv1", "conv2", "conv3_1", "conv4_1", "conv5_1", "conv6_1"] = "conv6_1"
    """The layer that the paper's decision network reads, which is trained for this one alone; the original's is the
    deepest. The local decision network reads none."""

    @property
    def deconv_channels(self) -> tuple[int, int, int, int]:
        """Channels of deconv5, deconv4, deconv3, deconv2: (192, 96, 48, 24) by default."""
        _, c2, c3, _, c5, _ = self.channels
        return (c5, c3, c2, c2 // 2)

    @property
    def feature_channels(self) -> int:
        """Channels of the layer that the decision network reads."""
        return self.channels[FLOW_FEATURES.index(self.feature)]

    def __post_init__(self) -> None:
        if self.feature not in FLOW_FEATURES:
            raise ValueError(f"feature is {self.feature!r}; it is one of {', '.join(FLOW_FEATURES)}")
        if len(self.channels) != 6 or min(self.channels) < 2:
            raise ValueError(f"{self}: six channel counts of at least 2 are needed")
