"""DVSNet's flow network: FlowNet2-s with a scale head (paper, section 3.1; the original's `FlowNets`)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from dvsnet_jax.config import FlowNet2sConfig
from dvsnet_jax.networks.flownet.decoder import refine
from dvsnet_jax.networks.flownet.encoder import coarse_layers, contract, convolution, deep_layers
from dvsnet_jax.networks.layers import Convolution


class FlowNet2s(nn.Module):
    """A pair of images → `predict_flow2` × flow_gain, and every intermediate by its name in the original.

    Input: current and key image stacked on channels, in this order; BGR / 255, any height and width from 8 up; the flow
    is current → key, (x, y) in pixels of the output grid, which is ¼ of the input (so ⅛ of the region, whose halves the
    frame step feeds). `predict_scale` starts at weights 0 and biases 1: no change.

    Or the current image alone and, as `key_half`, what `key_half` made of the key image: the same up to rounding, with
    the parameters that `for_current` leaves.
    """

    config: FlowNet2sConfig
    num_classes: int

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "n h w 6"] | Float[Array, "n h w 3"],
        key_half: Float[Array, "n h2 w2 c"] | None = None,
    ) -> tuple[Float[Array, "n rows columns 2"], dict[str, Float[Array, "..."]]]:
        c1, c2, c3, c4, c5, c6 = self.config.channels
        layers = (*coarse_layers((c1, c2, c3)), *deep_layers((c3, c4, c5, c6)))
        seen = contract(images, layers, known=key_half)
        skips = {5: seen["conv5_1"], 4: seen["conv4_1"], 3: seen["conv3_1"], 2: seen["conv2"]}
        seen |= refine(seen["conv6_1"], skips, self.config.deconv_channels)
        unchanged = {"kernel_init": nn.initializers.zeros, "bias_init": nn.initializers.ones}
        scale = Convolution(self.num_classes, 3, padding=1, name="predict_scale", **unchanged)
        seen["predict_scale"] = scale(seen["concat2"])
        return seen["predict_flow2"] * self.config.flow_gain, seen


def key_half(
    params: dict[str, Any], key: Float[Array, "n h w 3"], config: FlowNet2sConfig
) -> Float[Array, "n h2 w2 c"]:
    """What the first convolution makes of the key image, BGR / 255, alone: half of its work, the same for every frame
    that is compared with this key. Without the bias: that is in the other half. `params` are FlowNet2s's.
    """
    weights = params["conv1"]["weights"][:, :, 3:]
    first, *_ = coarse_layers(config.channels[:3])
    return convolution(first, use_bias=False).apply({"params": {"weights": weights}}, key)


def for_current(params: dict[str, Any]) -> dict[str, Any]:
    """FlowNet2s's parameters, the first convolution cut to the channels of the current image."""
    return {**params, "conv1": {**params["conv1"], "weights": params["conv1"]["weights"][:, :, :3]}}
