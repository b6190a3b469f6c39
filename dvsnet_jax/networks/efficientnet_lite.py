"""EfficientNet-Lite0's trunk (Tan & Le, EfficientNet, 2019; Lite: no squeeze-and-excite, ReLU6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from dvsnet_jax.networks.layers import BatchNorm, Convolution, DepthwiseConvolution


class Block(NamedTuple):
    """One inverted residual: expand, depthwise, project."""

    kernel: int
    stride: int
    expansion: int
    features: int


def _stage(count: int, kernel: int, stride: int, expansion: int, features: int) -> list[Block]:
    return [Block(kernel, 1 if index else stride, expansion, features) for index in range(count)]


LITE0 = (
    *_stage(1, 3, 1, 1, 16),
    *_stage(2, 3, 2, 6, 24),
    *_stage(2, 5, 2, 6, 40),
    *_stage(3, 3, 2, 6, 80),
    *_stage(3, 5, 1, 6, 112),
    *_stage(4, 5, 2, 6, 192),
    *_stage(1, 3, 1, 6, 320),
)
"""The blocks of Lite0 after the stem: block0 … block15."""


def efficientnet_lite_trunk(
    images: Float[Array, "n h w 3"], *, norm: Callable[..., nn.Module] | None = BatchNorm
) -> tuple[Float[Array, "n rows columns channels"], dict[str, Float[Array, "..."]]]:
    """The stem and the 16 blocks, as layers of the module that calls this.

    Returns the last block's output (linear: no activation follows), and by name every `block…_expand` after its ReLU6:
    those before a stride, `block3_expand` (144 channels), `block5_expand` (240) and `block11_expand` (672), are the
    last at strides 4, 8 and 16. `norm` is None where the batch norms are folded into the convolutions.
    """
    seen: dict[str, Array] = {}
    biased = norm is None

    def normed(x: Array, name: str, layer: nn.Module, *, linear: bool = False) -> Array:
        y = layer(x)
        y = norm(name=f"{name}_bn")(y) if norm else y
        return y if linear else relu6(y)

    x = normed(images, "stem", Convolution(32, 3, 2, use_bias=biased, name="stem"))
    for index, block in enumerate(LITE0):
        y, name = x, f"block{index}"
        if block.expansion > 1:
            expand = Convolution(block.expansion * x.shape[-1], 1, use_bias=biased, name=f"{name}_expand")
            y = seen[f"{name}_expand"] = normed(y, f"{name}_expand", expand)
        depthwise = DepthwiseConvolution(block.kernel, block.stride, use_bias=biased, name=f"{name}_depthwise")
        y = normed(y, f"{name}_depthwise", depthwise)
        project = Convolution(block.features, 1, use_bias=biased, name=f"{name}_project")
        y = normed(y, f"{name}_project", project, linear=True)
        x = x + y if block.stride == 1 and x.shape[-1] == block.features else y
    return x, seen


def relu6(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """min(max(x, 0), 6)."""
    return jax.nn.relu6(x)
