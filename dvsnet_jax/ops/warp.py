"""DVSNet's spatial warping (paper, section 3.1): scores carried along a flow, coordinates clamped to the image."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped

from dvsnet_jax.ops.materialized import materialized
from dvsnet_jax.ops.resize import enlarge, resize_legacy

LARGEST = 1e30
"""What stands for infinity among scores, -LARGEST for "never this class": an infinity times a weight of 0 is NaN."""
BEYOND = 1e12
"""No score of a network's own comes near it; what lies between two pixels, one as large as `LARGEST`, is past it."""


def warp(values: Float[Array, "n h2 w2 c"], flow: Float[Array, "n h w 2"]) -> Float[Array, "n h w c"]:
    """Backward warp: output (y, x) samples `values` bilinearly at (x + flow[..., 0], y + flow[..., 1]).

    `flow` is in pixels of its own grid, and `values` are first resized to that grid (legacy bilinear) where theirs
    differs. Coordinates are clamped to the image, so what lies outside repeats the border (FlowNet2's `flow_warp`, by
    contrast, gives zero there). At an integer coordinate the value itself comes out, exactly.
    """
    n, height, width, _ = flow.shape
    values = resize_legacy(values, (height, width))
    x = jnp.clip(flow[..., 0] + jnp.arange(width, dtype=flow.dtype), 0, width - 1)
    y = jnp.clip(flow[..., 1] + jnp.arange(height, dtype=flow.dtype)[:, None], 0, height - 1)
    left, top = jnp.floor(x), jnp.floor(y)
    dx, dy = (x - left)[..., None], (y - top)[..., None]
    x0, y0 = left.astype(jnp.int32), top.astype(jnp.int32)
    dx, dy, x0, y0 = materialized((dx, dy, x0, y0))
    x1, y1 = jnp.minimum(x0 + 1, width - 1), jnp.minimum(y0 + 1, height - 1)

    pixels = jnp.asarray(values).reshape(n * height * width, -1)
    first_pixel = (jnp.arange(n, dtype=jnp.int32) * (height * width))[:, None, None]

    def sample(y: Array, x: Array) -> Array:
        # "promise in bounds": the clamp above is the bounds check
        return pixels.at[first_pixel + y * width + x].get(mode="promise_in_bounds")

    upper = sample(y0, x0) * (1 - dx) + sample(y0, x1) * dx
    lower = sample(y1, x0) * (1 - dx) + sample(y1, x1) * dx
    return upper * (1 - dy) + lower * dy


def warp_nearest(values: Shaped[Array, "n h2 w2"], flow: Float[Array, "n h w 2"]) -> Shaped[Array, "n h2 w2"]:
    """The nearest of `values` at each point's end of the flow, of any type: labels can be carried so.

    Flow is brought to the grid of the values (legacy bilinear) where its own differs. Coordinates are clamped to the
    image, as in `warp`. Half-way between two pixels the right or lower one is taken, always: rounded to the even one,
    flow of half a pixel would lose every second column.
    """
    n, height, width = values.shape
    if (height, width) != flow.shape[1:3]:
        stretch = jnp.asarray([width / flow.shape[2], height / flow.shape[1]], flow.dtype)
        flow = resize_legacy(flow, (height, width)) * stretch
    x = jnp.clip(flow[..., 0] + jnp.arange(width, dtype=flow.dtype), 0, width - 1)
    y = jnp.clip(flow[..., 1] + jnp.arange(height, dtype=flow.dtype)[:, None], 0, height - 1)
    column, row = (jnp.floor(place + 0.5).astype(jnp.int32) for place in (x, y))
    place = row * width + column
    return jnp.take_along_axis(values.reshape(n, -1), place.reshape(n, -1), axis=1).reshape(values.shape)


def warp_scores(
    scores: Float[Array, "n h2 w2 c"], flow: Float[Array, "n h w 2"], scale: Float[Array, "n h w #c"]
) -> Float[Array, "n h3 w3 c"]:
    """Key scores warped along `flow` and multiplied by `scale`, on the finer of their own grid and the flow's.

    The original's scores, at 1⁄16, are brought to the flow's ⅛ grid; finer ones (a network of the user's own) keep
    their grid, and flow and scale are brought to it. Scores that stand for infinity (`LARGEST`) are not scaled: a class
    that is never is so whatever the scale, 0 and below 0 too.
    """
    size = (max(scores.shape[1], flow.shape[1]), max(scores.shape[2], flow.shape[2]))
    if size != flow.shape[1:3]:
        stretch = jnp.asarray([size[1] / flow.shape[2], size[0] / flow.shape[1]], flow.dtype)
        flow, scale = _finer(flow, size) * stretch, _finer(scale, size)
    warped = warp(scores, flow)
    return jnp.where(jnp.abs(warped) < BEYOND, warped * scale, warped)


def finite_everywhere(scale: Float[Array, "n h w c"]) -> Bool[Array, "n"]:
    """Where a scale field is finite numbers all over. A TPU adds faster than it asks each, and a sum is finite only
    where all of it is; a GPU would add in kernels of its own."""
    return lax.platform_dependent(scale, tpu=_finite_by_sum, default=lambda scale: jnp.isfinite(scale).all((1, 2, 3)))


def _finite_by_sum(scale: Float[Array, "n h w c"]) -> Bool[Array, "n"]:
    return jnp.isfinite(scale.sum((1, 2, 3)))


def _finer(values: Float[Array, "n h w c"], size: tuple[int, int]) -> Float[Array, "n h2 w2 c"]:
    """`resize_legacy` to a size no smaller. On a TPU by products of matrices, which carry NaN along whole rows and
    columns: of a region with NaN in its flow or scale nothing is used. Gathers leave tiles there that what comes after
    has to turn over (the compiler's estimate of that: a tenth of a street's warped frame).
    """
    on_a_tpu, elsewhere = (partial(form, size=size) for form in (_finer_by_products, resize_legacy))
    return lax.platform_dependent(values, tpu=on_a_tpu, default=elsewhere)


def _finer_by_products(values: Array, size: tuple[int, int]) -> Array:
    return enlarge(values, size, legacy=True, precision=lax.Precision.HIGH)
