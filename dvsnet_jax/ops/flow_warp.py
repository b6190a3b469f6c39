"""FlowNet2's backward warp, of images. DVSNet's own, of scores, is `ops.warp`."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float


def flow_warp(
    image: Float[Array, "n h w c"], flow: Float[Array, "n h w 2"], *, outside: Literal["zero", "border"] = "zero"
) -> Float[Array, "n h w c"]:
    """`image` sampled bilinearly at (x + flow[0], y + flow[1]): the second image put where the first one has things.

    `flow` is in pixels, (x, y). A point outside the image, x < 0, y < 0, x ≥ w or y ≥ h (NaN too), becomes 0 with
    `zero`, as in flownet2-tf, and the border's nearest colour with `border`, as in NVIDIA's flownet2-pytorch. Inside
    they agree: past the last pixel's centre the neighbour to the right or below is the last pixel itself. Derivatives
    are those of the bilinear weights, and nothing passes through a zeroed point.

    Raises ValueError if the sizes differ or `outside` is neither of the two.
    """
    if image.shape[:3] != flow.shape[:3] or flow.shape[-1] != 2:
        raise ValueError(f"image {image.shape} and flow {flow.shape}: [n, h, w, c] and [n, h, w, 2] are needed")
    if outside not in ("zero", "border"):
        raise ValueError(f"outside is {outside!r}; it is 'zero' or 'border'")
    n, height, width, c = image.shape
    x = jnp.arange(width, dtype=flow.dtype) + flow[..., 0]
    y = jnp.arange(height, dtype=flow.dtype)[:, None] + flow[..., 1]
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    if outside == "zero":
        # Before anything is computed from them: a NaN that is masked afterwards would still reach the gradient.
        x, y = jnp.where(inside, x, 0.0), jnp.where(inside, y, 0.0)
    else:
        # Both neighbours are the border's pixel from here on out, and what is left fits an integer.
        x, y = jnp.clip(x, -1.0, width), jnp.clip(y, -1.0, height)
    left, top = jnp.floor(x), jnp.floor(y)
    right_weight, bottom_weight = (x - left)[..., None], (y - top)[..., None]
    left, top = left.astype(jnp.int32), top.astype(jnp.int32)
    pixels = image.reshape(n, height * width, c)

    def at(row: Array, column: Array) -> Array:
        index = jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
        return jnp.take_along_axis(pixels, index.reshape(n, -1, 1), axis=1).reshape(image.shape)

    sampled = (1 - bottom_weight) * ((1 - right_weight) * at(top, left) + right_weight * at(top, left + 1))
    sampled += bottom_weight * ((1 - right_weight) * at(top + 1, left) + right_weight * at(top + 1, left + 1))
    return jnp.where(inside[..., None], sampled, 0.0) if outside == "zero" else sampled
