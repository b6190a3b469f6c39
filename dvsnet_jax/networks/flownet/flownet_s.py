"""FlowNetS: a pair of images stacked on channels through one encoder and decoder (FlowNet, ICCV 2015, section 3)."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.decoder import refine
from dvsnet_jax.networks.flownet.encoder import coarse_layers, contract, deep_layers


class FlowNetS(nn.Module):
    """`predict_flow2`, in pixels / FLOW_DIVISOR, and every intermediate by its name in the original.

    Input: two images (6 channels), or what `stack.stacked_input` makes (12); height and width multiples of 64.
    """

    config: FlowNet2Config

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"]
    ) -> tuple[Float[Array, "n rows columns 2"], dict[str, Float[Array, "..."]]]:
        c, convention = self.config.channels, self.config.convention
        layers = (*coarse_layers((c(64), c(128), c(256))), *deep_layers((c(256), c(512), c(512), c(1024))))
        seen = contract(x, layers)
        seen |= refine(
            seen["conv6_1"],
            {5: seen["conv5_1"], 4: seen["conv4_1"], 3: seen["conv3_1"], 2: seen["conv2"]},
            (c(512), c(256), c(128), c(64)),
            deconv_biases=convention.deconv_biases,
            upsample_biases="FlowNetS" in convention.upsample_biases,
        )
        return seen["predict_flow2"], seen
