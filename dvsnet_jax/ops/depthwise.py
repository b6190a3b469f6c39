"""Depthwise convolution as shifted multiply-adds, with a gradient of its own.

XLA's grouped convolution is slow on a CPU (`feature_group_count` = channels: 65–200 ms where this takes 4–7 ms), and so
is its gradient. On other backends the grouped convolution is used, which cuDNN and the TPU know.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from dvsnet_jax.ops.channel_sums import channel_sums

Pads = tuple[tuple[int, int], ...]
"""Pixels before and after, above each other and side by side."""


def depthwise_convolution(
    x: Float[Array, "n h w c"],
    weights: Float[Array, "k k c"],
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: int | None = None,
) -> Float[Array, "n h2 w2 c"]:
    """Each channel convolved with its own kernel; `padding` pixels on all four sides, or SAME if not given,
    so that `h2` is ⌈h / stride⌉."""
    k, (_, h, w, _) = weights.shape[0], x.shape
    pads = tuple(_same_pads(size, k, stride, dilation) if padding is None else (padding, padding) for size in (h, w))
    return lax.platform_dependent(
        x, weights, cpu=partial(_shifted, stride, dilation, pads), default=partial(_grouped, stride, dilation, pads)
    )


def _grouped(stride: int, dilation: int, pads: Pads, x: Array, weights: Array) -> Array:
    return lax.conv_general_dilated(
        x, weights[:, :, None], (stride, stride), pads, rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=x.shape[-1],
    )  # fmt: skip


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _shifted(stride: int, dilation: int, pads: Pads, x: Array, weights: Array) -> Array:
    padded, taps = padded_taps(x, weights.shape[0], stride, dilation, pads)
    total = jnp.zeros((), x.dtype)
    for row, column, window in taps:
        total = total + window(padded) * weights[row, column]
    return total


def _forward(stride: int, dilation: int, pads: Pads, x: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    return _shifted(stride, dilation, pads, x, weights), (x, weights)


def _backward(stride: int, dilation: int, pads: Pads, saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, weights = saved
    dy = lax.optimization_barrier(dy)  # otherwise XLA computes it again for each of the k² uses
    k = weights.shape[0]
    padded, taps = padded_taps(x, k, stride, dilation, pads)
    dw = jnp.stack(channel_sums(*(window(padded) * dy for _, _, window in taps))).reshape(weights.shape)
    # dx is the same sum over dy spread out by the stride, with the kernel turned round.
    _, h, w, _ = x.shape
    reach = dilation * (k - 1)
    (top, _), (left, _) = pads
    spread = ((dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1)
    low_y, low_x = reach - top, reach - left
    spreading = [
        (0, 0, 0),
        (low_y, h + reach - low_y - spread[0], stride - 1),
        (low_x, w + reach - low_x - spread[1], stride - 1),
        (0, 0, 0),
    ]
    wide = lax.pad(dy, jnp.zeros((), dy.dtype), spreading)
    dx = jnp.zeros((), dy.dtype)
    for row in range(k):
        for column in range(k):
            y0, x0 = row * dilation, column * dilation
            dx = dx + wide[:, y0 : y0 + h, x0 : x0 + w] * weights[k - 1 - row, k - 1 - column]
    return lax.optimization_barrier(dx), dw


_shifted.defvjp(_forward, _backward)


def _same_pads(size: int, k: int, stride: int, dilation: int) -> tuple[int, int]:
    """Pixels before and after, as TensorFlow's SAME has them: the odd one after."""
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + dilation * (k - 1) + 1 - size)
    return total // 2, total - total // 2


def padded_taps(
    x: Array, k: int, stride: int, dilation: int, pads: Pads
) -> tuple[Array, list[tuple[int, int, Callable[[Array], Array]]]]:
    """The image with its border, and for each row and column of the kernel what cuts its pixels out."""
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    out_h, out_w = ((size - dilation * (k - 1) - 1) // stride + 1 for size in padded.shape[1:3])

    def window(row: int, column: int) -> Callable[[Array], Array]:
        def cut(padded: Array) -> Array:
            y0, x0 = row * dilation, column * dilation
            return padded[:, y0 : y0 + (out_h - 1) * stride + 1 : stride, x0 : x0 + (out_w - 1) * stride + 1 : stride]

        return cut

    return padded, [(row, column, window(row, column)) for row in range(k) for column in range(k)]
