"""A convolution of stride 2 over few channels (the first of a network) as one of stride 1 over four times as many."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def space_to_depth_convolution(
    x: Float[Array, "n h w cin"], weights: Float[Array, "k k cin cout"], before: int
) -> Float[Array, "n rows columns cout"]:
    """The convolution of stride 2 that pads `before` pixels at the top and left, and as many at the bottom and right as
    `h` / 2 rows and `w` / 2 columns take; both even. Each 2×2 pixels become one of 4·cin channels, the kernel alike.

    cuDNN pads three bfloat16 channels to eight: a 7×7 to 64 takes half the time this way on an H200 for four regions of
    576×1088 (0.20 ms instead of 0.38).
    """
    n, height, width, channels = x.shape
    lead = before % 2  # a window begins in the middle of a 2×2: the kernel gets a row of zeros in front
    size = -(-(weights.shape[0] + lead) // 2)
    behind = 2 * size - weights.shape[0] - lead
    kernel = jnp.pad(weights, ((lead, behind), (lead, behind), (0, 0), (0, 0)))
    kernel = kernel.reshape(size, 2, size, 2, channels, -1).transpose(0, 2, 1, 3, 4, 5)
    kernel = kernel.reshape(size, size, 4 * channels, -1)
    blocks = x.reshape(n, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    low = (before + lead) // 2
    return lax.conv_general_dilated(
        blocks.reshape(n, height // 2, width // 2, 4 * channels), kernel, (1, 1), [(low, size - 1 - low)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
