"""Scores of a region that is segmented anew, joined with those that were carried there.

*Differs from the original*, which throws the warped scores away (paper, section 3.1). What the network says of one
frame flickers, and what it said of the frames before, brought along the motion, is a second opinion: the more so the
surer the decision network is of it, and the younger it is.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.metrics.agreement import label_agreement
from dvsnet_jax.networks.flow_and_decision import key_features
from dvsnet_jax.networks.preparation import Params
from dvsnet_jax.ops.resize import resize_legacy, resize_smoothed
from dvsnet_jax.ops.warp import BEYOND, warp_scores
from dvsnet_jax.ops.warp_cues import KeyCells
from dvsnet_jax.protocols import FlowOutput

DOUBT = 0.9
"""Expected agreement of a place at which carried scores have no say; at 1 they have `config.fuse`, between linearly."""

Kept = tuple[Array, Array | KeyCells | None, Float[Array, "n"] | None]
"""Of key regions: scores, features, and with `config.fuse` how well the carried labels agreed with the network's alone,
in percent."""


def fusion_weight(
    agreement: Float[Array, "n gh gw"], age: Float[Array, "n"], config: DVSNetConfig
) -> Float[Array, "n gh gw"]:
    """The carried scores' part, 0..`config.fuse`, by the decision network's expected agreement of each place, 0..1, and
    by the frames since they were the network's own, whose square root it is divided by."""
    sure = jnp.clip((agreement - DOUBT) / (1 - DOUBT), 0, 1)
    return config.fuse * sure / jnp.sqrt(jnp.maximum(age, 1))[:, None, None]


def fused(
    new: Float[Array, "n h w c"], warped: Float[Array, "n h3 w3 c"], weight: Float[Array, "n gh gw"]
) -> Float[Array, "n h w c"]:
    """`new` + `weight` · (`warped` - `new`) on the grid of `new`. Where one is no number, or stands for infinity, `new`
    as it is.

    Scores lie at the first pixel of their cells, so `warped`, which may be finer (`ops.warp.warp_scores`), is read
    there: the mean over a cell would lie half a cell further, and move what is joined again and again.
    """
    size = (new.shape[1], new.shape[2])
    warped, part = resize_legacy(warped, size), resize_smoothed(weight[..., None], size)
    plain = (jnp.abs(warped) < BEYOND) & (jnp.abs(new) < BEYOND) & jnp.isfinite(part)  # NaN is none of it
    return jnp.where(plain, new + part * (warped - new), new)


def joined(
    params: Params,
    config: DVSNetConfig,
    small: Shaped[Array, "regions h w 3"],
    flow: FlowOutput,
    places: Float[Array, "regions gh gw"],
    age: Float[Array, "regions"],
    numbers: Int[Array, "n"],
    old: Kept,
    new: Kept,
) -> Kept:
    """For `routing.segment_where`: of the regions `numbers`, what is kept from here on, made of what was kept so far
    and what the network says now. `small` are this frame's pictures, RGB 0..255 at half size; `places` and `age` are
    `fusion_weight`'s."""

    def of(values: Array) -> Array:
        return values.at[numbers].get(mode="clip")

    motion, scale = of(flow.flow), of(flow.scale)
    warped = warp_scores(old[0], motion, scale)
    alone = resize_legacy(
        new[0], (warped.shape[1], warped.shape[2])
    )  # as `warp_scores` brings what does not move there
    scores = fused(new[0], warped, fusion_weight(of(places), of(age), config))
    return scores, key_features(params, of(small), scores, config), label_agreement(warped, alone)
