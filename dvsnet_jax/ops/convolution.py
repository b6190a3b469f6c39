"""Convolutions whose gradient by the weights is made of products of matrices, as XLA:CPU does not make it."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from dvsnet_jax.ops.depthwise import Pads, padded_taps

Residuals = tuple[Array, Array]
_LARGEST_KERNEL = 3
_OVER_PIXELS = (((0,), (0,)), ((), ()))


@jax.custom_vjp
def pointwise_convolution(
    x: Float[Array, "n h w cin"], weights: Float[Array, "cin cout"]
) -> Float[Array, "n h w cout"]:
    """Each pixel's channels times a matrix."""
    return x @ weights


def _forward(x: Array, weights: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ weights, (x, weights)


def _backward(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, weights = saved
    # The product over all pixels transposes its first operand in memory: let that be the one with fewer channels.
    rows, columns = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    if x.shape[-1] <= dy.shape[-1]:
        by_weights = lax.dot_general(rows, columns, _OVER_PIXELS)
    else:
        by_weights = lax.dot_general(columns, rows, _OVER_PIXELS).T
    return dy @ weights.T, by_weights


pointwise_convolution.defvjp(_forward, _backward)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolution(
    x: Float[Array, "n h w cin"], weights: Float[Array, "k k cin cout"], stride: int, dilation: int, pads: Pads | str
) -> Float[Array, "n h2 w2 cout"]:
    """`lax.conv_general_dilated`; on a CPU its gradient by a kernel of up to 3×3 is a product of matrices for each tap.

    XLA:CPU makes it a convolution whose kernel is the whole picture. For 3×3 of 96 channels at 64×88 pixels, a batch
    of 8, that took 199 ms on two cores, and takes 62 so; of 192 channels at 32×44 it took 147, and takes 44.
    """
    return _plain(x, weights, stride, dilation, pads)


def _plain(x: Array, weights: Array, stride: int, dilation: int, pads: Pads | str) -> Array:
    return lax.conv_general_dilated(
        x, weights, (stride, stride), pads, rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


def _convolved(x: Array, weights: Array, stride: int, dilation: int, pads: Pads | str) -> tuple[Array, Residuals]:
    return convolution(x, weights, stride, dilation, pads), (x, weights)


def _convolution_backward(
    stride: int, dilation: int, pads: Pads | str, saved: Residuals, dy: Array
) -> tuple[Array, Array]:
    x, weights = saved
    (dx,) = jax.vjp(lambda x: _plain(x, weights, stride, dilation, pads), x)[1](dy)

    def as_convolution(x: Array, dy: Array) -> Array:
        return jax.vjp(lambda weights: _plain(x, weights, stride, dilation, pads), weights)[1](dy)[0]

    if weights.shape[0] > _LARGEST_KERNEL:
        return dx, as_convolution(x, dy)
    return dx, lax.platform_dependent(
        x, dy, cpu=partial(_by_taps, weights.shape, stride, dilation, pads), default=as_convolution
    )


def _by_taps(shape: tuple[int, ...], stride: int, dilation: int, pads: Pads | str, x: Array, dy: Array) -> Array:
    k, _, channels, features = shape
    if isinstance(pads, str):
        reach = dilation * (k - 1) + 1
        pads = tuple(lax.padtype_to_pads(x.shape[1:3], (reach, reach), (stride, stride), pads))
    padded, taps = padded_taps(x, k, stride, dilation, pads)
    columns = dy.reshape(-1, features)
    seen = [window(padded).reshape(-1, channels) for _, _, window in taps]
    return jnp.stack([lax.dot_general(each, columns, _OVER_PIXELS) for each in seen]).reshape(shape)


convolution.defvjp(_convolved, _convolution_backward)
