"""Convolutions and enlarging of PyTorch with channels last.

XLA:CPU runs a convolution whose channels come first on its slowest path where it stands inside a loop or a conditional,
as all do in the router: a 1×1 convolution of 1024 channels took 4,167 ms there and 47 outside. With channels last it
does not, and a 1×1 one is faster still as the product of matrices that it is: of 3072 channels 465 ms in place of
1,167. Depthwise ones are slow on its grouped path too (`ops.depthwise`): 3×3 took 6 times as long as shifted, 7×7 13
times. Enlarging between them must not turn the channels back: 120 MB took 360 ms to turn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from dvsnet_jax.ops.convolution import pointwise_convolution
from dvsnet_jax.ops.depthwise import depthwise_convolution
from dvsnet_jax.ops.resize import resize_align_corners, resize_half_pixel


def put_channels_last(env: Any) -> None:
    """Has a torchax environment convolve, and enlarge bilinearly, with channels last."""
    import torch

    aten = torch.ops.aten
    for name in (aten.convolution, aten.convolution.default):
        if name in env._ops:
            found = env._ops[name]
            env._ops[name] = dataclasses.replace(found, func=_turned(found.func))
    for name, enlarge in ((aten.upsample_bilinear2d.vec, _bilinear_vec), (aten.upsample_bilinear2d.default, _bilinear)):
        env._ops[name] = dataclasses.replace(env._ops[aten.convolution], torch_op=name, func=enlarge)


def _bilinear_vec(images: Array, size: Sequence[int] | None, align_corners: bool, scales: Any) -> Array:
    """`aten.upsample_bilinear2d.vec`, what `interpolate` calls: one of `size` and `scales`."""
    if size is None:
        size = [int(length * scale) for length, scale in zip(images.shape[2:], scales, strict=True)]
    return _bilinear(images, size, align_corners, *(scales or ()))


def _bilinear(
    images: Array, size: Sequence[int], align_corners: bool, down: float | None = None, across: float | None = None
) -> Array:
    """`aten.upsample_bilinear2d.default`. Of scales that were given torch takes the inverse for the step, also where
    the size is rounded."""
    turned, height, width = images.transpose(0, 2, 3, 1), size[0], size[1]
    if align_corners:
        result = resize_align_corners(turned, (height, width))
    else:
        result = resize_half_pixel(turned, (height, width), steps=(down and 1 / down, across and 1 / across))
    return result.transpose(0, 3, 1, 2)


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
        if weight.shape[2:] == (1, 1) and groups == 1 and not transposed and not any(padding):
            pixels = images[:, :, :: stride[0], :: stride[1]].transpose(0, 2, 3, 1)
            result = pointwise_convolution(pixels, weight[:, :, 0, 0].T)
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
