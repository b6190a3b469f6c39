"""FlowNet2's downsampling of ground-truth flow, which may have holes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def downsample(x: Float[Array, "n h w c"], size: tuple[int, int]) -> Float[Array, "n h2 w2 c"]:
    """`x` at a smaller size, smoothed, with NaN for "not known": flownet2-tf's `downsample`, for the flow of a loss.

    Corners are aligned: output pixel o lies at o · (in − 1) / (out − 1). A tent as wide as that ratio on either side
    weighs the samples. NaN samples are left out; where they weigh more than half as much as the others do, the output
    is NaN. Values are not rescaled: the flow stays in pixels of the size it came in. The original has no gradient; here
    it is that of the weighted mean, none at the holes.

    Raises ValueError where `size` is larger than `x`, or below 2 pixels (corners cannot be aligned then).
    """
    height, width = x.shape[1:3]
    if not (2 <= size[0] <= height and 2 <= size[1] <= width):
        raise ValueError(f"downsample from {height}×{width} to {size[0]}×{size[1]}: 2 pixels to the size it has")
    rows, columns = _tent(height, size[0]), _tent(width, size[1])

    def weigh(values: Array) -> Array:
        return jnp.einsum("ph,qw,nhwc->npqc", rows, columns, values, precision=lax.Precision.HIGHEST)

    missing = jnp.isnan(x)
    total = weigh(jnp.where(missing, 0.0, x))
    known, unknown = weigh((~missing).astype(x.dtype)), weigh(missing.astype(x.dtype))
    # Divided by 1 where nothing is known: a NaN that is masked afterwards would still reach the gradient.
    mean = total / jnp.where(known > 0, known, 1.0)
    return jnp.where((known > 0) & (unknown <= 0.5 * known), mean, jnp.nan)


def _tent(size: int, out: int) -> np.ndarray:
    """Weights [out, in] of samples for each output position."""
    ratio = np.float32(size - 1) / np.float32(out - 1)
    centre = np.arange(out, dtype=np.float32) / np.float32(out - 1) * np.float32(size - 1)
    distance = np.abs(np.arange(size, dtype=np.float32) - centre[:, None])
    return np.maximum(0, 1 - distance / ratio).astype(np.float32)
