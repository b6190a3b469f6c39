"""Upsampling class scores to the image and taking the winner, without ever storing full-size scores of all classes."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt8

from dvsnet_jax.ops.materialized import materialized
from dvsnet_jax.ops.resize import interpolation_weights, resize_legacy
from dvsnet_jax.ops.warp import LARGEST

VOID = 255
"""The label of no class."""
_UNROLLED = 64
"""Classes up to which all of them are compared in one loop over the pixels; more would compile slowly."""


@partial(jax.jit, static_argnames=("size", "classes"), inline=True)  # traced once for each size
def upsample_argmax(
    scores: Float[Array, "n h w c"], size: tuple[int, int], classes: int | None = None
) -> tuple[UInt8[Array, "n h2 w2"], Float[Array, "n h2 w2"]]:
    """`(labels, maxima)` of the scores resized to `size` (legacy bilinear): the winning class and its score.

    Memory is 5 bytes a pixel, and the scores at full width but not yet at full height. The first class wins a tie, as
    in `argmax`. Where all scores are NaN the label is 255, void, and the maximum wins against nothing. So it is where a
    score wins that is past `classes`, if these are fewer than the scores.
    """
    _, height, width, count = scores.shape
    if size[0] % height or size[1] % width or count > _UNROLLED:
        labels, maxima = _class_by_class(scores, size)
    else:
        labels, maxima = lax.platform_dependent(
            scores,
            cpu=partial(_row_by_row, size=size),
            tpu=partial(_by_products, size=size),
            default=partial(_pixel_by_pixel, size=size),
        )
    if classes is None or classes >= count:
        return labels, maxima
    return jnp.where(labels >= classes, jnp.uint8(VOID), labels), maxima


def favoured(scores: Float[Array, "n h w c"], offsets: tuple[float, ...]) -> Float[Array, "n h w c"]:
    """The scores with a constant added to each class's (`DVSNetConfig.class_offsets`); to one for void, behind the
    classes, nothing. What stands for infinity stays it."""
    if not offsets:
        return scores
    return scores + jnp.asarray(offsets + (0.0,) * (scores.shape[-1] - len(offsets)), scores.dtype)


def _pixel_by_pixel(scores: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """Everything computed where it is needed, in one kernel of a GPU that stores nothing but its results."""
    n, height, width, classes = scores.shape
    rows, columns = size[0] // height, size[1] // width
    planes = jnp.moveaxis(scores, -1, 0)
    planes = jnp.concatenate([planes, planes[..., -1:]], -1)
    planes = lax.optimization_barrier(jnp.concatenate([planes, planes[:, :, -1:]], 2))
    down, right = _fractions(rows, scores.dtype)[:, None, None], _fractions(columns, scores.dtype)
    best, labels = jnp.full((n, height, rows, width, columns), -jnp.inf, scores.dtype), jnp.uint8(0)
    for label in range(classes):
        plane = planes[label, :, :, None, :, None]
        left = plane[:, :, :, :-1] + (plane[:, :, :, 1:] - plane[:, :, :, :-1]) * right
        values = left[:, :-1] + (left[:, 1:] - left[:, :-1]) * down
        wins = values > best
        best, labels = jnp.where(wins, values, best), jnp.where(wins, jnp.uint8(label), labels)
    return _or_void(labels, best).reshape(n, *size), best.reshape(n, *size)


def _by_products(scores: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """For a TPU, whose tiles are 8×128 of the last two axes: products with interpolation matrices, classes leading.

    A product would carry NaN along whole rows. So NaN takes part as what loses to every number, and which pixels touch
    a place of nothing but NaN is asked of one plane more.
    """
    known = scores == scores
    planes = jnp.moveaxis(jnp.where(known, scores, -LARGEST).astype(jnp.float32), -1, 0)
    fills_tiles = size[0] // scores.shape[1] % 8 == 0
    best, labels = (_by_one_product if fills_tiles else _by_two_products)(planes, size)
    lost = _touched(~known.any(-1), size)
    return jnp.where(lost, VOID, labels), jnp.where(lost, jnp.nan, best).astype(scores.dtype)


def _by_two_products(planes: Float[Array, "c n h w"], size: tuple[int, int]) -> tuple[Array, Array]:
    """The height comes first, so that the arg max is fused into the second product (the compiler's estimate at ×4 is a
    thirtieth of `_pixel_by_pixel`'s). Scores keep 16 bits, twice a bfloat16's, for half of float32's passes."""
    for axis, letters in ((2, "Hh,cnhw->cnHw"), (3, "Ww,cnhw->cnhW")):
        weights = interpolation_weights(planes.shape[axis], size[axis - 2], legacy=True)
        planes = jnp.einsum(letters, jnp.asarray(weights, jnp.float32), planes, precision=lax.Precision.HIGH)
    return planes.max(0), planes.argmax(0).astype(jnp.uint8)


def _by_one_product(planes: Float[Array, "c n h w"], size: tuple[int, int]) -> tuple[Array, Array]:
    """Where the rows between two are as many as fill tiles: along the width by products, along the height where it is
    compared (the estimate at ×8 is .41 of two products'; where a tile's rows are half filled it is four times that)."""
    classes, n, height, width = planes.shape
    steps = jnp.concatenate([planes[:, :, 1:], planes[:, :, -1:]], 2) - planes
    weights = interpolation_weights(width, size[1], legacy=True)
    down = _fractions(size[0] // height, planes.dtype)[:, None]
    best = jnp.full((n, height, size[0] // height, size[1]), -jnp.inf, planes.dtype)
    labels = jnp.zeros(best.shape, jnp.int32)
    for label in range(classes):
        upper, step = (_widened(each[label], weights)[:, :, None] for each in (planes, steps))
        values = upper + step * down
        wins = values > best
        best, labels = jnp.where(wins, values, best), jnp.where(wins, label, labels)
    return best.reshape(n, *size), labels.astype(jnp.uint8).reshape(n, *size)


def _widened(plane: Array, weights: np.ndarray) -> Array:
    """`[n, h, w]` times the matrix `[w2, w]`, as exact as float32 is: `[n, h, w2]`."""
    product = partial(jnp.einsum, "Ww,nhw->nhW", preferred_element_type=jnp.float32)
    rounded = weights.astype(jnp.bfloat16)
    if (rounded != weights).any():
        return product(weights.astype(np.float32), plane, precision=lax.Precision.HIGHEST)
    # Of powers of two the matrix is exact in bfloat16, and only the plane is to be split: three products for six.
    # (`reduce_precision`, as XLA may leave out a conversion to bfloat16 and back.)
    products, rest = [], plane
    for _ in range(3):
        part = lax.reduce_precision(rest, exponent_bits=8, mantissa_bits=7)
        products.append(product(rounded, part.astype(jnp.bfloat16)))
        rest = rest - part
    return sum(products[1:], products[0])


def _touched(places: Array, size: tuple[int, int]) -> Array:
    """Which pixels are interpolated from one of these places, be it with weight 0."""
    touched = places.astype(jnp.float32)
    for axis, letters in ((1, "Hh,nhw->nHw"), (2, "Ww,nhw->nhW")):
        length = places.shape[axis]
        low = np.arange(size[axis - 1]) // (size[axis - 1] // length)
        matrix = np.maximum(np.eye(length)[low], np.eye(length)[np.minimum(low + 1, length - 1)])
        touched = jnp.einsum(letters, jnp.asarray(matrix, jnp.float32), touched)
    return touched > 0


def _row_by_row(scores: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """For a CPU, whose vector units want long rows."""
    n, height, width, classes = scores.shape
    rows, columns = size[0] // height, size[1] // width
    # The row past the last comes first, as there are fewer columns to copy then.
    planes = materialized(jnp.moveaxis(jnp.concatenate([scores, scores[:, -1:]], 1), -1, 0))
    planes = _between(planes, jnp.concatenate([planes[..., 1:], planes[..., -1:]], -1), columns)
    # Stored, with the row past the last: the loop over the pixels then reads two neighbouring rows of every class, each
    # with one stride, and XLA:CPU vectorises it (17 times as fast as one class after the other; a third without this).
    planes = materialized(planes)
    fraction = _fractions(rows, scores.dtype)[:, None]
    best, labels = None, jnp.zeros((n, height, rows, size[1]), jnp.int32)  # int32 vectorises with the scores
    for label in range(classes):
        upper, lower = planes[label, :, :-1, None], planes[label, :, 1:, None]
        values = upper + (lower - upper) * fraction
        if best is None:
            best = values
            continue
        wins = values > best
        best, labels = jnp.where(wins, values, best), jnp.where(wins, label, labels)
    assert best is not None
    # What reads them in pieces is `regions.merge`.
    labels = _or_void(labels, best).astype(jnp.uint8)
    return materialized(labels.reshape(n, *size)), best.reshape(n, *size)


def _or_void(labels: Array, best: Array) -> Array:
    """The running maximum over NaN alone stays NaN or, where it began below everything, -inf."""
    return jnp.where(best > -jnp.inf, labels, jnp.asarray(VOID, labels.dtype))


def _between(x: Array, after: Array, count: int) -> Array:
    """Along the last axis each value and, evenly between it and its neighbour `after`, `count` - 1 more."""
    fraction = _fractions(count, x.dtype)
    return (x[..., None] + (after - x)[..., None] * fraction).reshape(*x.shape[:-1], -1)


def _fractions(count: int, dtype: Any) -> Array:
    """0, 1 / count, …, as a constant of the program: computed in it, it would be one more kernel of a GPU."""
    return jnp.asarray(np.arange(count, dtype=np.float32) / np.float32(count), dtype)


def _class_by_class(scores: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """With a running maximum over the classes, for any size."""
    classes = jnp.moveaxis(scores, -1, 0)[..., None]

    def one_class(carry: tuple[Array, Array], step: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (best, labels), (label, plane) = carry, step
        values = resize_legacy(plane, size)[..., 0]
        wins = values > best
        return (jnp.where(wins, values, best), jnp.where(wins, label, labels)), None

    shape = (scores.shape[0], *size)
    first = (jnp.full(shape, -jnp.inf, scores.dtype), jnp.zeros(shape, jnp.uint8))
    (best, labels), _ = lax.scan(one_class, first, (jnp.arange(scores.shape[-1], dtype=jnp.uint8), classes))
    return _or_void(labels, best), best
