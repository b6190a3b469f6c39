"""How good a flow network is: endpoint error where the true flow is known, and what warping gains over copying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig, FlowNet2sConfig
from dvsnet_jax.datasets.clips import Clip, current_frames, unreadable
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.metrics.flow import flow_errors, pool_errors
from dvsnet_jax.training.decision.examples import pair_samples
from dvsnet_jax.video import region_grid

GAPS = (1, 3, 6, 9)
"""Frames between key and current frame that `agreement_at_gaps` looks at."""


@partial(jax.jit, static_argnames="config")
def _flow(params: Any, first: Array, second: Array, *, config: Any) -> Float[Array, "n h w 2"]:
    return networks.full_size_flow(params, first, second, config)


def endpoint_errors(
    params: Any, source: Sequence[FlowPair], config: FlowNet2sConfig | FlowNet2Config
) -> dict[str, float]:
    """Mean endpoint error in pixels, `epe`, over all known pixels of all pairs, and that of no flow at all, `zero`.

    Raises InputError where no pixel's flow is known.
    """
    found, zero = [], []
    for index in range(len(source)):
        pair = source[index]
        flow = _flow(params, pair.first[None], pair.second[None], config=config)[0]
        truth, valid = jnp.asarray(pair.flow), jnp.asarray(pair.valid)
        found.append(flow_errors(flow, truth, valid))
        zero.append(flow_errors(jnp.zeros_like(flow), truth, valid))
    scores = pool_errors(found)
    if not scores.pixels:
        raise InputError(f"in none of {len(source)} pairs to measure on is the flow of a pixel known; name others")
    return {"epe": scores.endpoint_error, "zero": pool_errors(zero).endpoint_error}


def check_regions(clips: Sequence[Clip], config: DVSNetConfig, *, called: str = "held-out clip") -> None:
    """Raises InputError where frames cannot be cut into the configuration's regions: before training, not after."""
    for number, clip in enumerate(clips):
        lost = unreadable(clip)
        first = next((position for position in range(len(clip)) if position not in lost), None)
        try:
            if first is not None:
                region_grid(config, *clip[first].image.shape[:2])
        except ValueError as error:
            raise InputError(f"{called} {number}: {error}") from error


def check_pairs(clips: Sequence[Clip], gaps: Sequence[int] = GAPS) -> None:
    """Raises InputError where no clip has two frames that `agreement_at_gaps` could hold against each other."""
    if not any(_pairs_at(clips, gap) for gap in gaps):
        raise InputError(
            f"none of {len(clips)} clips to measure on has two frames that can be read and are "
            f"{' or '.join(map(str, gaps))} apart; name longer ones"
        )


def agreement_at_gaps(
    params: networks.Params,
    clips: Sequence[Clip],
    config: DVSNetConfig,
    *,
    gaps: Sequence[int] = GAPS,
    most: int = 60,
) -> dict[int, Mapping[str, float]]:
    """By how many frames the key frame is behind: share of pixels whose label, warped or copied from the key frame, is
    that of segmenting the current frame, percent. At most so many pairs a gap, at even distances.

    Copying is warping without flow and scale; both are done in regions, as the frame step does them. Raises InputError
    for frames of unlike sizes.
    """
    table: dict[int, Mapping[str, float]] = {}
    for gap in gaps:
        pairs = _pairs_at(clips, gap)
        chosen = [pairs[int(i)] for i in np.unique(np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int))]
        warped, copied = [], []
        for clip, index in chosen:
            key, current = clip[index - gap].image[None], clip[index].image[None]
            if key.shape != current.shape:
                sizes = (f"{shape[1]}×{shape[2]}" for shape in (current.shape, key.shape))
                raise InputError(
                    f"frame {index} of a clip is {' and its key frame '.join(sizes)}; expected frames of one size"
                )
            sample = pair_samples(params, key, current, config=config)
            warped.append(float(sample.confidence.mean()))
            copied.append(float(sample.copied.mean()))
        if chosen:
            table[gap] = {"warped": float(np.mean(warped)), "copied": float(np.mean(copied)), "pairs": len(chosen)}
    return table


def _pairs_at(clips: Sequence[Clip], gap: int) -> list[tuple[Clip, int]]:
    """Clips and current frames whose key frame, so many frames before, can be read too."""
    return [(clip, index) for clip in clips for index in current_frames(clip, (gap, gap)) if index >= gap]
