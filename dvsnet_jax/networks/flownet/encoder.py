"""The contracting half of the flow networks, as tables of layers that they share.

Every layer is a convolution with LeakyReLU. It pads (k − 1) / 2 zeros on all four sides, at stride 2 too, where
TensorFlow's SAME would pad less at the top and left.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jaxtyping import Array, Float

from dvsnet_jax.networks.layers import Convolution, leaky_relu


class Layer(NamedTuple):
    """One convolution."""

    name: str
    kernel: int
    stride: int
    features: int


def coarse_layers(features: tuple[int, int, int]) -> tuple[Layer, ...]:
    """conv1 … conv3 of FlowNetS and FlowNetC: to ⅛ in three strides, for large displacements."""
    c1, c2, c3 = features
    return Layer("conv1", 7, 2, c1), Layer("conv2", 5, 2, c2), Layer("conv3", 5, 2, c3)


def fine_layers(features: tuple[int, int], prefix: str = "") -> tuple[Layer, ...]:
    """conv0 … conv2_1 of FlowNetSD and of the fusion: to ¼ with small kernels, for small displacements."""
    c1, c2 = features
    rows = (("conv0", 1, c1), ("conv1", 2, c1), ("conv1_1", 1, c2), ("conv2", 2, c2), ("conv2_1", 1, c2))
    return tuple(Layer(prefix + name, 3, stride, c) for name, stride, c in rows)


def deep_layers(features: tuple[int, int, int, int]) -> tuple[Layer, ...]:
    """conv3_1 … conv6_1, from ⅛ to 1⁄64: the same in all the networks but the fusion, which stops before."""
    c3, c4, c5, c6 = features
    first = Layer("conv3_1", 3, 1, c3)
    strided = ((f"conv{level}", c) for level, c in ((4, c4), (5, c5), (6, c6)))
    return first, *(layer for name, c in strided for layer in (Layer(name, 3, 2, c), Layer(f"{name}_1", 3, 1, c)))


def convolution(layer: Layer, *, use_bias: bool = True) -> Convolution:
    """The module of a layer, without its LeakyReLU."""
    padding = (layer.kernel - 1) // 2
    return Convolution(layer.features, layer.kernel, layer.stride, padding=padding, use_bias=use_bias, name=layer.name)


def contract(
    x: Float[Array, "n h w c"], layers: Iterable[Layer], *, known: Float[Array, "n h2 w2 c2"] | None = None
) -> dict[str, Float[Array, "n h2 w2 c2"]]:
    """The layers one after another, as layers of the module that calls this; each output by its layer's name.

    `known` is added to the first convolution: what came of other channels, worked out before.
    """
    seen: dict[str, Array] = {}
    for layer in layers:
        x = convolution(layer)(x)
        if known is not None and not seen:
            x += known
        x = seen[layer.name] = leaky_relu(x)
    return seen
