"""Signs, in a warp itself, of how well it went: cues for the decision network, all on the flow's grid.

The paper's decision network reads the deep features of the flow network alone. They say little about a street that was
never seen, and nothing about the scores that are warped. These cues do: where the colours do not meet after warping
(the photometric error that unsupervised flow is trained with; Yu et al., ECCV 2016 workshops), where the flow tears,
where the scores hardly prefer one class (the margin of active learning; Scheffer et al., 2001).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dvsnet_jax.ops.resize import resize_legacy
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


def warp_cues(
    current: Shaped[Array, "n h w 3"],
    key: Shaped[Array, "n h w 3"],
    key_scores: Float[Array, "n h2 w2 classes"],
    flow: Float[Array, "n h//4 w//4 2"],
    scale: Float[Array, "n h//4 w//4 #classes"],
    grid: tuple[int, int],
) -> Float[Array, "n gh gw cues"]:
    """`CUES` of pairs of half-size pictures, RGB 0..255, as means over the cells of `grid`.

    `flow` is current → key in pixels of its grid; `key_scores` are raw, of any scale: softmax makes them probabilities.
    """
    n, height, width, _ = flow.shape
    now, before = (block_means(images, (height, width)) for images in (current, key))
    key_scores = resize_legacy(key_scores, (height, width))
    scores = warp(key_scores, flow) * scale
    best, second = jnp.moveaxis(jax.lax.top_k(jax.nn.softmax(scores), 2)[0], -1, 0)
    labels = scores.argmax(-1)
    x = flow[..., 0] + jnp.arange(width, dtype=flow.dtype)
    y = flow[..., 1] + jnp.arange(height, dtype=flow.dtype)[:, None]
    cues = jnp.stack(
        [
            jnp.log1p(jnp.sqrt(jnp.square(flow).sum(-1))),
            jnp.log1p(steps(flow).sum(-1)),
            jnp.abs(warp(before, flow) - now).mean(-1) / 25.5,
            jnp.abs(before - now).mean(-1) / 25.5,
            steps(now).mean(-1) / 25.5,
            best,
            best - second,
            jax.nn.softmax(key_scores).max(-1),
            steps(labels[..., None]).any(-1),
            (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1),
            labels != key_scores.argmax(-1),
        ],
        axis=-1,
    )
    return jax.image.resize(cues, (n, *grid, len(CUES)), "linear", antialias=True)


def block_means(images: Shaped[Array, "n h w 3"], size: tuple[int, int]) -> Float[Array, "n h//4 w//4 3"]:
    """Means of the pixels that lie in each cell of the flow's grid."""
    n, (height, width) = images.shape[0], size
    blocks = images[:, : 4 * height, : 4 * width].reshape(n, height, 4, width, 4, 3)
    return blocks.astype(jnp.float32).mean((2, 4))


def steps(values: Shaped[Array, "n h w c"]) -> Shaped[Array, "n h w c"]:
    """How much each value differs from the next to the right and the next below; at the border, from one of them."""
    right = jnp.abs(jnp.diff(values, axis=2, append=values[:, :, -1:]))
    return right + jnp.abs(jnp.diff(values, axis=1, append=values[:, -1:]))
