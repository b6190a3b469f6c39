"""DVSNet's flow network: FlowNet2-s with a scale head (paper, section 3.1; the original's `FlowNets`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flax.linen as nn
import jax.numpy as jnp

from dvsnet_jax.config import FlowNet2sConfig
from dvsnet_jax.networks.layers import Convolution, TransposedConvolution, leaky_relu

if TYPE_CHECKING:
    from jaxtyping import Array, Float

_ENCODER = (
    # name, kernel, stride, padding, index into FlowNet2sConfig.channels
    ("conv1", 7, 2, 3, 0),
    ("conv2", 5, 2, 2, 1),
    ("conv3", 5, 2, 2, 2),
    ("conv3_1", 3, 1, 1, 2),
    ("conv4", 3, 2, 1, 3),
    ("conv4_1", 3, 1, 1, 3),
    ("conv5", 3, 2, 1, 4),
    ("conv5_1", 3, 1, 1, 4),
    ("conv6", 3, 2, 1, 5),
    ("conv6_1", 3, 1, 1, 5),
)


class FlowNet2s(nn.Module):
    """A pair of images → `predict_flow2` × flow_gain, and every intermediate by its name in the original.

    Input: current and key image stacked on channels, in this order; BGR / 255, any height and width from 8 up; the flow
    is current → key, (x, y) in pixels of the output grid, which is ¼ of the input (so ⅛ of the region, whose halves the
    frame step feeds). `predict_scale` starts at weights 0 and biases 1: no change.
    """

    config: FlowNet2sConfig
    num_classes: int

    @nn.compact
    def __call__(
        self, pair: Float[Array, "n h w 6"]
    ) -> tuple[Float[Array, "n h/4 w/4 2"], dict[str, Float[Array, ...]]]:
        seen: dict[str, Float[Array, ...]] = {}
        x = pair
        for name, kernel, stride, padding, channels in _ENCODER:
            conv = Convolution(self.config.channels[channels], kernel, stride, padding=padding, name=name)
            x = seen[name] = leaky_relu(conv(x))

        skips = {5: "conv5_1", 4: "conv4_1", 3: "conv3_1", 2: "conv2"}
        for level, features in zip((5, 4, 3, 2), self.config.deconv_channels, strict=True):
            above = f"predict_flow{level + 1}"
            seen[above] = Convolution(2, 3, padding=1, name=above)(x)
            skip = seen[skips[level]]
            size = (skip.shape[1], skip.shape[2])
            deconv, up = f"deconv{level}", f"upsample_flow{level + 1}to{level}"
            seen[deconv] = leaky_relu(TransposedConvolution(features, name=deconv)(x, size))
            seen[up] = TransposedConvolution(2, name=up)(seen[above], size)
            x = seen[f"concat{level}"] = jnp.concatenate([skip, seen[deconv], seen[up]], axis=-1)

        seen["predict_flow2"] = Convolution(2, 3, padding=1, name="predict_flow2")(x)
        unchanged = {"kernel_init": nn.initializers.zeros, "bias_init": nn.initializers.ones}
        seen["predict_scale"] = Convolution(self.num_classes, 3, padding=1, name="predict_scale", **unchanged)(x)
        return seen["predict_flow2"] * self.config.flow_gain, seen
