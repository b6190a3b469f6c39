"""The decision network: flow features → expected confidence score (paper, section 3.4)."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.config import DecisionConfig
from dvsnet_jax.networks.layers import Convolution, FullyConnected, leaky_relu


class DecisionNetwork(nn.Module):
    """Features of the flow network on the decision grid → expected confidence score in percent, [n].

    LeakyReLU follows every layer, the output too, and the output is not bounded to 0..100; both as in the original.
    `dropout` (a `dropout` random key is then needed) acts after the three hidden layers, in training only.
    """

    config: DecisionConfig
    dropout: float = 0.0

    @nn.compact
    def __call__(self, feature: Float[Array, "n gh gw c"]) -> tuple[Float[Array, "n"], dict[str, Float[Array, "..."]]]:
        tenth = nn.initializers.constant(0.1)
        seen = {"conv": leaky_relu(Convolution(self.config.conv_width, 3, name="Conv")(feature))}
        x = seen["conv"].reshape(feature.shape[0], -1)
        for index, features in enumerate(self.config.hidden):
            name = f"fully_connected_{index}" if index else "fully_connected"
            x = seen[name] = leaky_relu(FullyConnected(features, bias_init=tenth, name=name)(x))
            x = nn.Dropout(self.dropout, deterministic=self.dropout == 0)(x)
        name = f"fully_connected_{len(self.config.hidden)}"
        # In bfloat16 scores about 90 would be multiples of a half.
        seen[name] = leaky_relu(FullyConnected(1, bias_init=tenth, name=name)(x.astype(jnp.float32)))
        return seen[name][:, 0], seen
