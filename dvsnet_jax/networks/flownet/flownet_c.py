"""FlowNetC: two images through the same first layers, then compared by correlation (FlowNet, ICCV 2015, section 3)."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.decoder import refine
from dvsnet_jax.networks.flownet.encoder import Layer, coarse_layers, contract, deep_layers
from dvsnet_jax.networks.layers import leaky_relu
from dvsnet_jax.ops.correlation import correlation


class FlowNetC(nn.Module):
    """`predict_flow2`, in pixels / FLOW_DIVISOR, and every intermediate by its name in the original.

    Height and width are multiples of 64. `conv_a_1` … `conv_a_3` are of the first image, `conv_b_…` of the second,
    `correlation` is before its LeakyReLU and `cc` after. The decoder's finest skip is `conv_a_2`.
    """

    config: FlowNet2Config

    @nn.compact
    def __call__(
        self, first: Float[Array, "n h w 3"], second: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns 2"], dict[str, Float[Array, "..."]]]:
        c, convention = self.config.channels, self.config.convention
        # Both images as one batch: the weights are shared, and the convolutions are fewer and larger.
        both = contract(jnp.concatenate([first, second]), coarse_layers((c(64), c(128), c(256))))
        seen = {}
        for level in (1, 2, 3):
            seen[f"conv_a_{level}"], seen[f"conv_b_{level}"] = jnp.split(both[f"conv{level}"], 2)
        seen["correlation"] = correlation(seen["conv_a_3"], seen["conv_b_3"])
        seen["cc"] = leaky_relu(seen["correlation"])
        seen |= contract(seen["conv_a_3"], [Layer("conv_redir", 1, 1, c(32))])
        joined = jnp.concatenate([seen["conv_redir"], seen["cc"]], axis=-1)
        seen |= contract(joined, deep_layers((c(256), c(512), c(512), c(1024))))
        seen |= refine(
            seen["conv6_1"],
            {5: seen["conv5_1"], 4: seen["conv4_1"], 3: seen["conv3_1"], 2: seen["conv_a_2"]},
            (c(512), c(256), c(128), c(64)),
            deconv_biases=convention.deconv_biases,
            upsample_biases="FlowNetC" in convention.upsample_biases,
        )
        return seen["predict_flow2"], seen
