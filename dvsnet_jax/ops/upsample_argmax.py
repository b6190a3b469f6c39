"""Upsampling class scores to the image and taking the winner, without ever storing full-size scores of all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from dvsnet_jax.ops.resize import resize_legacy

if TYPE_CHECKING:
    from jaxtyping import Array, Float, UInt8


def upsample_argmax(
    scores: Float[Array, "n h w c"], size: tuple[int, int]
) -> tuple[UInt8[Array, "n h2 w2"], Float[Array, "n h2 w2"]]:
    """`(labels, maxima)` of the scores resized to `size` (legacy bilinear): the winning class and its score.

    One class at a time with a running maximum, so that memory is 5 bytes a pixel whatever the number of classes. The
    first class wins a tie, as in `argmax`.
    """
    classes = jnp.moveaxis(scores, -1, 0)[..., None]

    def one_class(carry: tuple[Array, Array], step: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (best, labels), (label, plane) = carry, step
        values = resize_legacy(plane, size)[..., 0]
        wins = values > best
        return (jnp.where(wins, values, best), jnp.where(wins, label, labels)), None

    shape = (scores.shape[0], *size)
    first = (jnp.full(shape, -jnp.inf, scores.dtype), jnp.zeros(shape, jnp.uint8))
    (best, labels), _ = lax.scan(one_class, first, (jnp.arange(scores.shape[-1], dtype=jnp.uint8), classes))
    return labels, best
