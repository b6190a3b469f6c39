"""TensorFlow 1's bilinear resizes. `jax.image.resize` (half-pixel centres, antialiasing) equals neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Array, Float


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


def resize_legacy(images: Float[Array, "n h w c"], size: tuple[int, int]) -> Float[Array, "n h2 w2 c"]:
    """`tf.image.resize_bilinear(align_corners=False)` of TensorFlow 1: output pixel i samples i · in / out, no half-pixel
    shift, the neighbour past the last pixel clamped. Halving is every second pixel; nothing is smoothed.
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
