"""A decision network that predicts agreement place by place: cues of the warp → expected confidence score."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.config import LocalDecisionConfig
from dvsnet_jax.networks.layers import Convolution, leaky_relu


class LocalDecisionNetwork(nn.Module):
    """`ops.warp_cues` on the decision grid → expected confidence score in percent, 0..100, [n].

    *Differs from the original:* three convolutions say for each cell which share of it will agree, and the score is
    their mean, which is what the confidence score is (paper, section 3.4: the share of pixels that agree). One weight
    serves all places, so a few hundred pairs of frames are enough and other roads are no surprise. `dropout` acts on
    the hidden channels, in training only.
    """

    config: LocalDecisionConfig
    dropout: float = 0.0

    @nn.compact
    def __call__(self, cues: Float[Array, "n gh gw cues"]) -> tuple[Float[Array, "n"], dict[str, Float[Array, "..."]]]:
        seen = {"conv": leaky_relu(Convolution(self.config.width, 3, name="Conv")(cues))}
        x = nn.Dropout(self.dropout, deterministic=self.dropout == 0)(seen["conv"])
        x = seen["hidden"] = leaky_relu(Convolution(self.config.width, 1, name="hidden")(x))
        x = nn.Dropout(self.dropout, deterministic=self.dropout == 0)(x)
        seen["agreement"] = jax.nn.sigmoid(Convolution(1, 1, name="agreement")(x.astype(jnp.float32))[..., 0])
        return 100.0 * seen["agreement"].mean((1, 2)), seen
