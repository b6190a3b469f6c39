"""The residual trunk of every DeepLab here: Caffe's ResNet, with its layer names (`res4b1_branch2a`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from dvsnet_jax.networks.layers import BatchNorm, Convolution
from dvsnet_jax.ops.materialized import materialized


class Unit(NamedTuple):
    """One bottleneck. The first of a stage projects its input (branch1)."""

    name: str
    """As Caffe has it: '4b1'."""
    width: int
    stride: int
    dilation: int
    project: bool


def stage(number: int, width: int, stride: int, dilations: Sequence[int]) -> list[Unit]:
    """The bottlenecks of one stage, one for each dilation, the first of them strided.

    Up to three units are lettered (5a, 5b, 5c); more are numbered after the first (4a, 4b1, 4b2 …).
    """
    lettered = len(dilations) <= 3
    suffixes = list("abc") if lettered else ["a", *(f"b{index}" for index in range(1, len(dilations)))]
    return [
        Unit(f"{number}{suffix}", width, 1 if index else stride, dilation, index == 0)
        for index, (suffix, dilation) in enumerate(zip(suffixes, dilations, strict=False))
    ]


def resnet_trunk(
    images: Float[Array, "n h w 3"],
    units: Sequence[Unit],
    *,
    width: int,
    norm: Callable[..., nn.Module] | None = BatchNorm,
) -> tuple[Float[Array, "n h2 w2 c"], dict[str, Float[Array, "..."]]]:
    """conv1, pool1 and the bottlenecks, as layers of the module that calls this (its parameters stay flat).

    Returns the last unit's output, and by Caffe's names `conv1` (before its normalisation, if that is not folded),
    `pool1` and `res…_relu`.
    `norm(name=…)` makes its batch norms; None where they are folded into the convolutions. The stride of a unit sits on
    its 1×1 convolutions (branch1 and branch2a), as in Caffe, not on the 3×3.
    """
    seen: dict[str, Array] = {}

    def normed(x: Array, name: str, features: int, kernel: int, stride: int = 1, dilation: int = 1) -> Array:
        y = Convolution(features, kernel, stride, dilation, use_bias=norm is None, name=f"res{name}")(x)
        return norm(name=f"bn{name}")(y) if norm else y

    x = seen["conv1"] = Convolution(width, 7, 2, use_bias=norm is None, name="conv1")(images)
    x = jax.nn.relu(norm(name="bn_conv1")(x) if norm else x)
    x = seen["pool1"] = nn.max_pool(x, (3, 3), (2, 2), "SAME")
    for unit in units:
        y = jax.nn.relu(normed(x, f"{unit.name}_branch2a", unit.width, 1, stride=unit.stride))
        y = jax.nn.relu(normed(y, f"{unit.name}_branch2b", unit.width, 3, dilation=unit.dilation))
        y = normed(y, f"{unit.name}_branch2c", 4 * unit.width, 1)
        if unit.project:
            x = normed(x, f"{unit.name}_branch1", 4 * unit.width, 1, stride=unit.stride)
        # Stored: XLA:CPU sums each unit up from the stage's first one again, a fifth of the whole network's time.
        x = seen[f"res{unit.name}_relu"] = materialized(jax.nn.relu(x + y))
    return x, seen
