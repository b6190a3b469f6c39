"""Routing: the segmentation network on the regions that a mask names, inside the one compiled program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int

Values = TypeVar("Values")


@dataclass(frozen=True)
class Share:
    """The regions that this device has, of several that each have as many, in the devices' order (`jax.shard_map` over
    an axis called `axis`). Of one device it is all of them, and nothing is exchanged."""

    regions: int = 0
    """Of all streams and devices."""
    devices: int = 1
    axis: str = "regions"

    def count(self, regions: int) -> int:
        """How many of so many, which all of them have in equal parts."""
        return regions if self.devices == 1 else regions // self.devices

    def own(self, values: Any) -> Any:
        """Of a tree of arrays of all regions, or a function of the regions' numbers, this device's."""
        if self.devices == 1:
            return values
        count = self.count(self.regions)
        first = lax.axis_index(self.axis) * count
        if callable(values):
            return lambda numbers: values(first + numbers)
        return jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, first, count), values)

    def all(self, values: Values) -> Values:
        """Trees of this device's regions → of all, the same on every device: this is what they exchange."""
        if self.devices == 1:
            return values
        return jax.tree.map(lambda leaf: lax.all_gather(leaf, self.axis, tiled=True), values)


WHOLE = Share()


def segment_where(
    segment: Bool[Array, "regions"],
    network: Callable[[Array], Values],
    images: Array | Callable[[Int[Array, "n"]], Array],
    values: Values,
    *,
    routing: str,
    chunk: int | None,
    join: Callable[[Int[Array, "n"], Values, Values], Values] | None = None,
) -> Values:
    """`values`, with those of the regions that `segment` names replaced by `network` of their `images`. They are an
    array or a tree of arrays, whose leading axis is the regions. `images` is an array too, or gives those of regions
    by their numbers, past the end any. `join`, of regions' numbers, their old and their new values, gives what replaces
    the old ones, if not the new ones themselves.

    `compact` takes the masked regions first and runs the network on at most `chunk` of them at a time in a
    `lax.while_loop`, so time follows their number: never `vmap` it, a vmapped loop runs everything. The last pass takes
    no more than it needs of `chunk`, its half, its quarter … 1. `dense` runs the network on all regions, then selects:
    the reference, and the form that reverse-mode gradients can pass.
    """
    regions = segment.shape[0]
    if routing == "dense":
        new = network(images(jnp.arange(regions)) if callable(images) else images)
        return where(segment, join(jnp.arange(regions), values, new) if join else new, values)

    chunk = chunk or default_chunk(regions)
    chunk = chunk if regions >= chunk else regions  # not `min`: where regions is symbolic (export), this can be told
    padding = -regions % chunk
    # Masked regions first, in their order. A region number past the end stands for "none": read clipped, never written.
    order = jnp.concatenate([jnp.argsort(~segment, stable=True), jnp.full(padding, regions)])
    count = segment.sum()

    def more(carry: tuple[Array, Values]) -> Array:
        return carry[0] < count

    sizes = [chunk]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] // 2)

    def segment_some(size: int, carry: tuple[Array, Values]) -> tuple[Array, Values]:
        done, values = carry
        chosen = lax.dynamic_slice(order, (done,), (size,))
        some = images(chosen) if callable(images) else images.at[chosen].get(mode="clip")
        # Never true, but XLA cannot know. Of a single region nothing else depends on the loop, and it would move the
        # whole network in front of it, to be run whether the loop is or not.
        some = jnp.where(done < 0, jnp.zeros_like(some), some)
        new = network(some)
        if join:
            new = join(chosen, jax.tree.map(lambda leaf: leaf.at[chosen].get(mode="clip"), values), new)
        kept = jnp.where(done + jnp.arange(size) < count, chosen, regions)
        return done + size, jax.tree.map(lambda old, new: old.at[kept].set(new, mode="drop"), values, new)

    def segment_chunk(carry: tuple[Array, Values]) -> tuple[Array, Values]:
        enough = sum((count - carry[0] <= size).astype(jnp.int32) for size in sizes[1:])
        return lax.switch(enough, [partial(segment_some, size) for size in sizes], carry)

    _, values = lax.while_loop(more, segment_chunk, (jnp.zeros_like(count), values))
    return values


def where(mask: Bool[Array, "regions"], chosen: Values, other: Values) -> Values:
    """`jnp.where` along the leading axis, over the leaves of two equal trees."""
    return jax.tree.map(lambda a, b: jnp.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b), chosen, other)


def default_chunk(regions: int, platform: str | None = None) -> int:
    """Regions segmented at once, at most, where the configuration leaves it open: one on a CPU, whose cores one region
    fills; up to four on an accelerator, which one leaves mostly idle. `platform` is the default backend if not given.
    """
    return 1 if (platform or jax.default_backend()) == "cpu" else min(regions, 4)
