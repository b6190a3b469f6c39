"""The resizes of the original programs: three bilinear ones that differ in where output pixels lie, and nearest.

`jax.image.resize` equals none of TensorFlow 1's two, and smooths where it shrinks.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped


def _interpolate(x: Array, axis: int, source: np.ndarray) -> Array:
    """Linear interpolation along one axis at the positions `source` (float32, inside the axis)."""
    size = x.shape[axis]
    low = np.floor(source).astype(np.int32)
    high = np.minimum(low + 1, size - 1)
    shape = [1] * x.ndim
    shape[axis] = len(source)
    fraction = jnp.asarray((source - low).reshape(shape), x.dtype)
    first, second = jnp.take(x, low, axis), jnp.take(x, high, axis)
    return first + (second - first) * fraction


def resize_legacy(images: Shaped[Array, "n h w c"], size: tuple[int, int]) -> Shaped[Array, "n h2 w2 c"]:
    """`tf.image.resize_bilinear(align_corners=False)` of TensorFlow 1: output pixel i samples i · in / out, without a
    half-pixel shift, the neighbour past the last pixel clamped. Halving is every second pixel; nothing is smoothed.
    """
    height, width = images.shape[1:3]
    if (height, width) == tuple(size):
        return images
    images = images if jnp.issubdtype(images.dtype, jnp.floating) else images.astype(jnp.float32)
    if height == 2 * size[0] and width == 2 * size[1]:
        return images[:, ::2, ::2]
    # Positions in float32, as TensorFlow computes them: at large sizes the last bits matter.
    step_y, step_x = np.float32(height) / np.float32(size[0]), np.float32(width) / np.float32(size[1])
    images = _interpolate(images, 2, np.arange(size[1], dtype=np.float32) * step_x)
    return _interpolate(images, 1, np.arange(size[0], dtype=np.float32) * step_y)


def resize_align_corners(images: Float[Array, "n h w c"], size: tuple[int, int]) -> Float[Array, "n h2 w2 c"]:
    """`tf.image.resize_bilinear(align_corners=True)`: output pixel i samples i · (in − 1) / (out − 1), so the
    centres of the corner pixels stay where they are. An output of one pixel is the first. flownet2-tf's flows.
    """
    if images.shape[1:3] == tuple(size):
        return images

    def positions(length: int, out: int) -> np.ndarray:
        step = np.float32(length - 1) / np.float32(max(out - 1, 1))
        return np.minimum(np.arange(out, dtype=np.float32) * step, np.float32(length - 1))

    images = _interpolate(images, 2, positions(images.shape[2], size[1]))
    return _interpolate(images, 1, positions(images.shape[1], size[0]))


def resize_half_pixel(
    images: Float[Array, "n h w c"], size: tuple[int, int], *, steps: tuple[float | None, float | None] = (None, None)
) -> Float[Array, "n h2 w2 c"]:
    """Bilinear with half-pixel centres: output pixel i samples (i + ½) · in / out − ½, the border repeated.
    `steps` down and across take the place of in / out, but not along an axis whose size stays.

    Nothing is smoothed: it is for enlarging, and for shrinking a little. Equal to torch's `interpolate` with mode
    "bilinear" and `align_corners=False`, and to Caffe's Resample layer where that enlarges.
    """
    if images.shape[1:3] == tuple(size):
        return images

    def positions(length: int, out: int, step: float | None) -> np.ndarray:
        apart = np.float32(1 if length == out else step or np.float32(length) / np.float32(out))
        centres = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * apart - np.float32(0.5)
        return np.clip(centres, 0, np.float32(length - 1))

    images = _interpolate(images, 2, positions(images.shape[2], size[1], steps[1]))
    return _interpolate(images, 1, positions(images.shape[1], size[0], steps[0]))


def resize_smoothed(x: Float[Array, "n h w c"], size: tuple[int, int]) -> Float[Array, "n h2 w2 c"]:
    """`jax.image.resize(…, "linear", antialias=True)`, up to rounding: half-pixel centres, and where an axis shrinks a
    triangle as much wider. Its weights are constants of the program, where jax works them out in every run.
    """
    for axis, letters in ((2, "ow,nhwc->nhoc"), (1, "oh,nhwc->nowc")):
        weights = jnp.asarray(_smoothing_weights(x.shape[axis], size[axis - 1]), x.dtype)
        x = jnp.einsum(letters, weights, x, precision=lax.Precision.HIGH)
    return x


def _smoothing_weights(length: int, out: int) -> Float[np.ndarray, "out length"]:
    centres = (np.arange(out) + 0.5) * (length / out) - 0.5
    wide = max(length / out, 1.0)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(length)) / wide)
    return weights / weights.sum(1, keepdims=True)


def upsample_nearest(images: Float[Array, "n h w c"], factor: int) -> Float[Array, "n h*{factor} w*{factor} c"]:
    """Each pixel repeated `factor` times down and across."""
    return jnp.repeat(jnp.repeat(images, factor, axis=1), factor, axis=2)


def enlarge(
    x: Float[Array, "n h w c"], size: tuple[int, int], *, legacy: bool = False, precision: lax.Precision | None = None
) -> Float[Array, "n h2 w2 c"]:
    """`resize_half_pixel`, or with `legacy` `resize_legacy`, up to rounding, as two products of matrices: where a
    gradient is wanted, which of the others would be a scatter. `precision` is theirs on a TPU.
    """
    for axis, letters in ((1, "oh,nhwc->nowc"), (2, "ow,nhwc->nhoc")):
        weights = interpolation_weights(x.shape[axis], size[axis - 1], legacy=legacy)
        x = jnp.einsum(letters, jnp.asarray(weights, x.dtype), x, precision=precision)
    return x


def interpolation_weights(length: int, out: int, *, legacy: bool) -> Float[np.ndarray, "out length"]:
    """The matrix of `resize_legacy` or `resize_half_pixel` along one axis, where that enlarges."""
    shift = 0.0 if legacy else 0.5
    positions = np.clip((np.arange(out) + shift) * (length / out) - shift, 0, length - 1)
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(length)))
