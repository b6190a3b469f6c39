"""Convolutions as ONE product of matrices whose columns, one block for each tap of the kernel, are then shifted and
added. It pays where a convolution leaves matrix units idle: with few output channels, or transposed.
"""

from __future__ import annotations

from collections.abc import Iterable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_FEW, _SMALL = 4, 1024
"""Channels, and pixels of a picture."""


def sum_of_taps(
    columns: Float[Array, "n h w columns"], taps: Iterable[tuple[int, int]], features: int
) -> Float[Array, "n h w {features}"]:
    """out[y, x] = Σ over the taps (down, right) of columns[y + down, x + right] of that tap's block; zero outside."""
    n, height, width, _ = columns.shape
    total = jnp.zeros((n, height, width, features), columns.dtype)
    for index, (down, right) in enumerate(taps):
        if abs(down) < height and abs(right) < width:  # else it reads nothing but padding
            total += _shifted(columns[..., index * features : (index + 1) * features], down, right)
    return total


def narrow_convolution(
    x: Float[Array, "n h w cin"], weights: Float[Array, "k k cin cout"]
) -> Float[Array, "n h w cout"]:
    """A convolution of stride 1, odd kernel and SAME padding, for few output channels.

    3×3 from 74 to 2 channels takes a fifth of XLA:CPU's time for the convolution, to 19 channels three quarters; cuDNN
    pads such kernels to more channels and back in half a dozen calls.
    """
    k = weights.shape[0]
    columns = x @ weights.transpose(2, 0, 1, 3).reshape(x.shape[-1], -1)
    taps = [(row - k // 2, column - k // 2) for row in range(k) for column in range(k)]
    return sum_of_taps(columns, taps, weights.shape[-1])


def transposed_convolution(
    x: Float[Array, "n h w cin"], weights: Float[Array, "4 4 cout cin"]
) -> Float[Array, "n 2*h 2*w cout"]:
    """4×4 transposed convolution of stride 2, without the outermost pixel on each side: out[2y + r − 1] takes tap r of
    x[y], so that each output row meets two taps, 1 and 3 or 2 and 0; columns alike."""
    _, height, width, channels = x.shape
    if channels > _FEW and height * width > _SMALL:
        return _woven(x, weights)
    # To weave rows and columns is to turn a TPU's tiles over: for little work its compiler estimates two to three times
    # the cycles of the plain one.
    return lax.platform_dependent(x, weights, tpu=_plainly_transposed, default=_woven)


def _plainly_transposed(x: Array, weights: Array) -> Array:
    precision = lax.Precision.HIGH if x.shape[-1] <= _FEW else None  # few channels are flow, whose pixels count
    return lax.conv_transpose(
        x, weights, (2, 2), ((2, 2), (2, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC"), transpose_kernel=True,
        precision=precision,
    )  # fmt: skip


def _woven(x: Array, weights: Array) -> Array:
    n, height, width, channels = x.shape
    if channels <= _FEW:  # what reads the columns can add these up itself, for one kernel less of a GPU
        columns = lax.platform_dependent(x, weights, cpu=_columns, default=_channel_by_channel)
    else:
        columns = _columns(x, weights)  # [n, h, w, 4, 4, cout]
    rows = jnp.stack(
        [
            columns[:, :, :, 1] + _moved(columns[:, :, :, 3], 1, axis=1),
            columns[:, :, :, 2] + _moved(columns[:, :, :, 0], -1, axis=1),
        ],
        axis=2,
    )  # [n, h, 2, w, 4, cout]
    out = jnp.stack(
        [
            rows[..., 1, :] + _moved(rows[..., 3, :], 1, axis=3),
            rows[..., 2, :] + _moved(rows[..., 0, :], -1, axis=3),
        ],
        axis=4,
    )  # [n, h, 2, w, 2, cout]
    return out.reshape(n, 2 * height, 2 * width, weights.shape[2])


def _columns(x: Array, weights: Array) -> Array:
    return lax.dot_general(x, weights, (((3,), (3,)), ((), ())))


def _channel_by_channel(x: Array, weights: Array) -> Array:
    products = [x[..., index, None, None, None] * weights[..., index] for index in range(x.shape[-1])]
    return sum(products[1:], products[0])


def _shifted(x: Array, down: int, right: int) -> Array:
    """out[y, x] = x[y + down, x + right], zero outside."""
    return _moved(_moved(x, -down, axis=1), -right, axis=2)


def _moved(x: Array, by: int, *, axis: int) -> Array:
    """Shifted `by` places towards the end of an axis; zeros come in."""
    edges = [(by, -by, 0) if index == axis else (0, 0, 0) for index in range(x.ndim)]
    return lax.pad(x, jnp.zeros((), x.dtype), edges)
