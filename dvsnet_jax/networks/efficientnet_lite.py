"""The trunks of EfficientNet-Lite (Tan & Le, EfficientNet, 2019; Lite: no squeeze-and-excite, ReLU6)."""

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


def _blocks(repeats: tuple[int, ...], features: tuple[int, ...]) -> tuple[Block, ...]:
    kinds = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))  # kernel, stride, expansion
    stages = zip(repeats, kinds, features, strict=True)
    return tuple(block for count, kind, wide in stages for block in _stage(count, *kind, wide))


TRUNKS: dict[str, tuple[Block, ...]] = {
    "lite0": _blocks((1, 2, 2, 3, 3, 4, 1), (16, 24, 40, 80, 112, 192, 320)),
    "lite2": _blocks((1, 3, 3, 4, 4, 5, 1), (16, 24, 48, 88, 120, 208, 352)),
}
"""The blocks after the stem, block0 …: 16 of Lite0, 21 of Lite2, which is a tenth wider and a fifth deeper."""


def last_at(trunk: str, stride: int) -> str:
    """The last wide features at a stride of 4, 8 or 16: the `block…_expand` of the block that halves them."""
    halving = [index for index, block in enumerate(TRUNKS[trunk]) if block.stride == 2]
    return f"block{halving[{4: 1, 8: 2, 16: 3}[stride]]}_expand"


def efficientnet_lite_trunk(
    images: Float[Array, "n h w 3"], trunk: str = "lite0", *, norm: Callable[..., nn.Module] | None = BatchNorm
) -> tuple[Float[Array, "n rows columns channels"], dict[str, Float[Array, "..."]]]:
    """The stem and the blocks of `TRUNKS`, as layers of the module that calls this.

    Returns the last block's output (linear: no activation follows), and by name every `block…_expand` after its ReLU6
    (`last_at`; of Lite0 `block3_expand`, 144 channels, `block5_expand`, 240, and `block11_expand`, 672). `norm` is None
    where the batch norms are folded into the convolutions.
    """
    seen: dict[str, Array] = {}
    biased = norm is None

    def normed(x: Array, name: str, layer: nn.Module, *, linear: bool = False) -> Array:
        y = layer(x)
        y = norm(name=f"{name}_bn")(y) if norm else y
        return y if linear else relu6(y)

    x = normed(images, "stem", Convolution(32, 3, 2, use_bias=biased, name="stem"))
    for index, block in enumerate(TRUNKS[trunk]):
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
