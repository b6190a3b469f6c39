"""Signs, in a warp itself, of how well it went: cues for the decision network, all on the flow's grid.

The paper's decision network reads the deep features of the flow network alone. They say little about a street that was
never seen, and nothing about the scores that are warped. These cues do: where the colours do not meet after warping
(the photometric error that unsupervised flow is trained with; Yu et al., ECCV 2016 workshops), where the flow tears,
where the scores hardly prefer one class (the margin of active learning; Scheffer et al., 2001).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Shaped

from dvsnet_jax.ops.materialized import materialized
from dvsnet_jax.ops.resize import resize_legacy, resize_smoothed
from dvsnet_jax.ops.warp import warp

CUES = (
    "motion", "tear", "misfit", "difference", "texture", "probability", "margin", "key probability", "edge", "outside",
    "change",
)  # fmt: skip
"""In the order of the channels. Motion and tear (how much neighbouring vectors differ) are log(1 + pixels of the grid);
misfit, difference and texture (grey levels over 25.5) compare the current picture with the warped key picture, the key
picture, and its own neighbours; probability and margin are of the warped scores, key probability of the key frame's at
that place; edge, outside and change are 1 where warped labels differ from their neighbours', where the flow leads out
of the region, and where the label is no longer the key frame's."""


class KeyCells(NamedTuple):
    """A key frame on the flow's grid, as it is warped and compared with."""

    values: Float[Array, "n h w c"]
    """Means of the half-size picture's pixels, RGB 0..255, then the scores, raw."""
    probability: Float[Array, "n h w"]
    """Of the winning class; softmax makes scores of any scale probabilities."""
    labels: Int32[Array, "n h w"]


def key_cells(key: Shaped[Array, "n h w 3"], scores: Float[Array, "n h2 w2 classes"]) -> KeyCells:
    """Of half-size pictures, RGB 0..255, and their scores; the grid is the picture's, divided by 4."""
    size = (key.shape[1] // 4, key.shape[2] // 4)
    scores = resize_legacy(scores, size)
    values = materialized(jnp.concatenate([block_means(key, size), scores], axis=-1))
    labels, probability, _ = _winners(scores)
    return KeyCells(values, probability, labels)


def warped_key(key: KeyCells, flow: Float[Array, "n h w 2"]) -> Float[Array, "n h w c"]:
    """The key picture and its scores (`KeyCells.values`), warped: one gather for both."""
    return materialized(warp(key.values, flow))


def warp_cues(
    current: Shaped[Array, "n h2 w2 3"],
    key: KeyCells,
    flow: Float[Array, "n h w 2"],
    scale: Float[Array, "n h w #classes"],
    grid: tuple[int, int],
    warped: Float[Array, "n h w c"] | None = None,
) -> Float[Array, "n gh gw cues"]:
    """`CUES` of half-size pictures, RGB 0..255, and their key frames, as means over the cells of `grid`.

    `flow` is current → key in pixels of its grid. `warped` is `warped_key`, where that is there already.
    """
    _, height, width, _ = flow.shape
    now, before = block_means(current, (height, width)), key.values[..., :3]
    warped = warped_key(key, flow) if warped is None else warped
    labels, best, second = _winners(warped[..., 3:] * scale)
    x = flow[..., 0] + jnp.arange(width, dtype=flow.dtype)
    y = flow[..., 1] + jnp.arange(height, dtype=flow.dtype)[:, None]
    cues = jnp.stack(
        [
            jnp.log1p(jnp.sqrt(jnp.square(flow).sum(-1))),
            jnp.log1p(steps(flow).sum(-1)),
            jnp.abs(warped[..., :3] - now).mean(-1) / 25.5,
            jnp.abs(before - now).mean(-1) / 25.5,
            steps(now).mean(-1) / 25.5,
            best,
            best - second,
            key.probability,
            steps(labels[..., None]).any(-1),
            (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1),
            labels != key.labels,
        ],
        axis=-1,
    )
    return resize_smoothed(cues, grid)


def _winners(scores: Float[Array, "n h w classes"]) -> tuple[Array, Array, Array]:
    """The winning class and the probabilities of it and of the next, in one loop over places: classes lead."""
    planes = materialized(jnp.moveaxis(scores, -1, 0))
    first, labels = planes[0], jnp.zeros(planes.shape[1:], jnp.int32)
    second = jnp.full_like(first, -jnp.inf)
    for index, plane in enumerate(planes[1:], 1):
        wins = plane > first
        second = jnp.maximum(second, jnp.minimum(plane, first))
        first, labels = jnp.where(wins, plane, first), jnp.where(wins, index, labels)
    first, second, labels = materialized((first, second, labels))
    total = jnp.zeros_like(first)
    for plane in planes:
        total += jnp.exp(plane - first)
    best = materialized(1 / total)
    return labels, best, best * jnp.exp(second - first)


def block_means(images: Shaped[Array, "n h w 3"], size: tuple[int, int]) -> Float[Array, "n h//4 w//4 3"]:
    """Means of the pixels that lie in each cell of the flow's grid: rows first, whose bytes lie side by side."""
    n, (height, width) = images.shape[0], size
    rows = images[:, : 4 * height, : 4 * width].reshape(n, height, 4, width * 12)
    dtype = jnp.uint16 if images.dtype == jnp.uint8 else jnp.float32
    first, second, third, fourth = (rows[:, :, row].astype(dtype) for row in range(4))
    sums = materialized(first + second + third + fourth).astype(jnp.float32)
    sums = sums.reshape(n, height, width, 12)
    return (sums[..., :3] + sums[..., 3:6] + sums[..., 6:9] + sums[..., 9:]) / 16


def steps(values: Shaped[Array, "n h w c"]) -> Shaped[Array, "n h w c"]:
    """How much each value differs from the next to the right and the next below; at the border, from one of them."""
    right = jnp.abs(jnp.diff(values, axis=2, append=values[:, :, -1:]))
    return right + jnp.abs(jnp.diff(values, axis=1, append=values[:, -1:]))
