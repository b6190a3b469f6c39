"""Routing: the segmentation network on the regions that a mask names, inside the one compiled program."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax import lax

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


def segment_where(
    segment: Bool[Array, "regions"],
    network: Callable[[Array], Array],
    images: Array,
    scores: Float[Array, "regions ..."],
    *,
    routing: str,
    chunk: int | None,
) -> Float[Array, "regions ..."]:
    """`scores`, with those of the regions that `segment` names replaced by `network` of their `images`.

    `compact` takes the masked regions first and runs the network on at most `chunk` of them at a time in a
    `lax.while_loop`, so time follows their number: never `vmap` it, a vmapped loop runs everything. The last pass takes
    no more than it needs of `chunk`, its half, its quarter … 1. `dense` runs the network on all regions, then selects:
    the reference, and the form that reverse-mode gradients can pass.
    """
    if routing == "dense":
        mask = segment.reshape(-1, *[1] * (scores.ndim - 1))
        return jnp.where(mask, network(images), scores)

    regions = images.shape[0]
    chunk = chunk or default_chunk(regions)
    chunk = chunk if regions >= chunk else regions  # not `min`: where regions is symbolic (export), this can be told
    padding = -regions % chunk
    # Masked regions first, in their order. A region number past the end stands for "none": read clipped, never written.
    order = jnp.concatenate([jnp.argsort(~segment, stable=True), jnp.full(padding, regions)])
    count = segment.sum()

    def more(carry: tuple[Array, Array]) -> Array:
        return carry[0] < count

    sizes = [chunk]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] // 2)

    def segment_some(size: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        done, scores = carry
        chosen = lax.dynamic_slice(order, (done,), (size,))
        new = network(images.at[chosen].get(mode="clip"))
        kept = jnp.where(done + jnp.arange(size) < count, chosen, regions)
        return done + size, scores.at[kept].set(new, mode="drop")

    def segment_chunk(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        enough = sum((count - carry[0] <= size).astype(jnp.int32) for size in sizes[1:])
        return lax.switch(enough, [partial(segment_some, size) for size in sizes], carry)

    _, scores = lax.while_loop(more, segment_chunk, (jnp.zeros_like(count), scores))
    return scores


def default_chunk(regions: int, platform: str | None = None) -> int:
    """Regions segmented at once, at most, where the configuration leaves it open: one on a CPU, whose cores one region
    fills; up to four on an accelerator, which one leaves mostly idle. `platform` is the default backend if not given.
    """
    return 1 if (platform or jax.default_backend()) == "cpu" else min(regions, 4)
