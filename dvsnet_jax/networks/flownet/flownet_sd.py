"""FlowNetSD: FlowNetS for small displacements, with small kernels and a convolution before each prediction.

FlowNet 2.0, section 5.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.decoder import refine
from dvsnet_jax.networks.flownet.encoder import Layer, contract, deep_layers, fine_layers


class FlowNetSD(nn.Module):
    """`predict_flow2`, in the convention's unit (`sd_gain`), and every intermediate by its name in the original.

    Height and width are multiples of 64. Which of the two ¼-size layers the decoder reads is up to the convention.
    """

    config: FlowNet2Config

    @nn.compact
    def __call__(
        self, first: Float[Array, "n h w 3"], second: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns 2"], dict[str, Float[Array, "..."]]]:
        c, convention = self.config.channels, self.config.convention
        deep = deep_layers((c(256), c(512), c(512), c(1024)))
        layers = (*fine_layers((c(64), c(128))), Layer("conv3", 3, 2, c(256)), *deep)
        seen = contract(jnp.concatenate([first, second], axis=-1), layers)
        seen |= refine(
            seen["conv6_1"],
            {5: seen["conv5_1"], 4: seen["conv4_1"], 3: seen["conv3_1"], 2: seen[convention.sd_skip]},
            (c(512), c(256), c(128), c(64)),
            deconv_biases=convention.deconv_biases,
            upsample_biases="FlowNetSD" in convention.upsample_biases,
            interconv=True,
        )
        return seen["predict_flow2"], seen
