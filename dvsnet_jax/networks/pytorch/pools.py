"""Means and maxima over windows as PyTorch takes them, in float32 whatever the precision.

torchax sums a window in the precision of the images, one number after the other, and a sum of bfloat16 that has reached
256 swallows every further 1: a mean of 64×128 numbers came out as 6 % of itself, and those of 32×64, as pyramids have
them (PSPNet, UperNet), as a quarter. PyTorch sums in float32. Of windows that `ceil_mode` lets reach past the image
torchax divides by other counts, and it lacks adaptive maxima, which attention over channels takes (CBAM).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array


def pool_as_pytorch(env: Any) -> None:
    """Has a torchax environment take `avg_pool`, `adaptive_avg_pool` and `adaptive_max_pool` as PyTorch does."""
    import torch

    aten = torch.ops.aten
    for axes, packet in enumerate((aten.avg_pool1d, aten.avg_pool2d, aten.avg_pool3d), 1):
        for name in (packet, packet.default):
            env._ops[name] = dataclasses.replace(env._ops[aten.avg_pool2d], torch_op=name, func=partial(_means, axes))
    for packet in (aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d):
        found = env._ops[packet]
        for name in (packet, packet.default):
            env._ops[name] = dataclasses.replace(found, torch_op=name, func=in_float32(found.func))
    maximum = aten.adaptive_max_pool2d.default
    env._ops[maximum] = dataclasses.replace(env._ops[aten.avg_pool2d], torch_op=maximum, func=_adaptive_maxima)


def in_float32(original: Callable[..., Array]) -> Callable[..., Array]:
    """An operator of images, computed in float32 and given back in the images' own precision."""

    def pool(images: Array, *settings: Any, **more: Any) -> Array:
        return original(images.astype(jnp.float32), *settings, **more).astype(images.dtype)

    return pool


def _means(
    axes: int, images: Array, kernel: Sequence[int], stride: Sequence[int] | None = None, padding: Sequence[int] = (0,),
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Array:  # fmt: skip
    """`aten.avg_pool1d`, `2d` and `3d`, of as many `axes`; one number stands for all of them."""
    kernel, padding = (list(each) * (axes // len(each)) for each in (kernel, padding))
    stride = list(stride) * (axes // len(stride)) if stride else kernel
    borders, counts = [], []
    for side, length, step, border in zip(images.shape[-axes:], kernel, stride, padding, strict=True):
        reach = side + 2 * border - length
        windows = (math.ceil(reach / step) if ceil_mode else reach // step) + 1
        windows -= (windows - 1) * step >= side + border  # none begins past the image
        starts = np.arange(windows) * step - border
        ends = np.minimum(starts + length, side + border)
        borders.append((border, max(0, int(starts[-1]) + length - side)))
        counts.append(ends - starts if count_include_pad else np.minimum(ends, side) - np.maximum(starts, 0))
    outer = images.ndim - axes
    sums = lax.reduce_window(
        images.astype(jnp.float32), 0.0, lax.add, (1,) * outer + tuple(kernel), (1,) * outer + tuple(stride),
        ((0, 0),) * outer + tuple(borders),
    )  # fmt: skip
    divisor = divisor_override or math.prod(np.ix_(*counts))
    return (sums / jnp.asarray(divisor, jnp.float32)).astype(images.dtype)


def _adaptive_maxima(images: Array, size: Sequence[int]) -> tuple[Array, Array]:
    """`aten.adaptive_max_pool2d`: each window's maximum and its place in the image."""
    rows, columns = (_windows(side, count) for side, count in zip(images.shape[-2:], size, strict=True))
    windows = images[..., rows[:, None, :, None], columns[None, :, None, :]].reshape(*images.shape[:-2], *size, -1)
    places = (rows[:, None, :, None] * images.shape[-1] + columns[None, :, None, :]).reshape(*size, -1)
    best = windows.argmax(-1)
    return windows.max(-1), jnp.take_along_axis(jnp.broadcast_to(places, windows.shape), best[..., None], -1)[..., 0]


def _windows(side: int, count: int) -> np.ndarray:
    """Which places each of so many windows covers, as many for each: its last one may be there several times."""
    starts = np.arange(count) * side // count
    ends = -(-(np.arange(count) + 1) * side // count)
    places: np.ndarray = np.minimum(starts[:, None] + np.arange((ends - starts).max()), ends[:, None] - 1)
    return places
