"""Two-dimensional convolutions of PyTorch with channels last.

XLA:CPU runs one whose channels come first on its slowest path where it stands inside a loop or a conditional, as all
do in the router: a 1×1 convolution of 1024 channels took 4,167 ms there and 47 outside. With channels last it does not.
Depthwise ones are slow on its grouped path too (`ops.depthwise`): 3×3 took 6 times as long as shifted, 7×7 13 times.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from dvsnet_jax.ops.depthwise import depthwise_convolution


def turn_convolutions(env: Any) -> None:
    """Has a torchax environment convolve with channels last."""
    import torch

    for name in (torch.ops.aten.convolution, torch.ops.aten.convolution.default):
        if name in env._ops:
            found = env._ops[name]
            env._ops[name] = dataclasses.replace(found, func=_turned(found.func))


def _turned(original: Callable[..., Any]) -> Callable[..., Any]:
    def convolution(
        images: Array, weight: Array, bias: Any, stride: Sequence[int], padding: Sequence[int],
        dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int,
    ) -> Any:  # fmt: skip
        if images.ndim != 4:
            return original(images, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
        stride, padding, dilation = (list(each) * (2 // len(each)) for each in (stride, padding, dilation))
        even = all(len(set(each)) == 1 for each in (stride, padding, dilation, weight.shape[2:]))
        depthwise = weight.shape[:2] == (images.shape[1], 1) and groups == images.shape[1] and not transposed
        if even and depthwise and images.dtype == jnp.float32:  # sums of bfloat16 would be rounded tap by tap
            result = depthwise_convolution(
                images.transpose(0, 2, 3, 1), weight[:, 0].transpose(1, 2, 0), stride=stride[0], dilation=dilation[0],
                padding=padding[0],
            )  # fmt: skip
            return (result if bias is None else result + bias).transpose(0, 3, 1, 2)
        borders = [(each, each) for each in padding]
        enlarged = [1, 1]
        if transposed:  # [in, out, kh, kw], turned round: the convolution whose gradient it is
            out = list(output_padding) * (2 // len(output_padding))
            first = [dilation[axis] * (weight.shape[axis + 2] - 1) - padding[axis] for axis in (0, 1)]
            borders = [(each, each + more) for each, more in zip(first, out, strict=True)]
            grouped = jnp.flip(weight, (2, 3)).reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
            weight = grouped.reshape(-1, *grouped.shape[2:])  # [out, in of a group, kh, kw]
            stride, enlarged = [1, 1], list(stride)
        result = lax.conv_general_dilated(
            images.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0), stride, borders, lhs_dilation=enlarged,
            rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups,
        )  # fmt: skip
        return (result if bias is None else result + bias).transpose(0, 3, 1, 2)

    return convolution
