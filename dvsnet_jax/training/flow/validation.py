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


@partial(jax.jit, static_argnames="config")
def _flow(params: Any, first: Array, second: Array, *, config: Any) -> Float[Array, "n h w 2"]:
    return networks.full_size_flow(params, first, second, config)


def endpoint_errors(
    params: Any, source: Sequence[FlowPair], config: FlowNet2sConfig | FlowNet2Config
) -> dict[str, float]:
    """Mean endpoint error in pixels, `epe`, over all known pixels of all pairs, and that of no flow at all, `zero`."""
    found, zero = [], []
    for index in range(len(source)):
        pair = source[index]
        flow = _flow(params, pair.first[None], pair.second[None], config=config)[0]
        truth, valid = jnp.asarray(pair.flow), jnp.asarray(pair.valid)
        found.append(flow_errors(flow, truth, valid))
        zero.append(flow_errors(jnp.zeros_like(flow), truth, valid))
    return {"epe": pool_errors(found).endpoint_error, "zero": pool_errors(zero).endpoint_error}


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


def agreement_at_gaps(
    params: networks.Params,
    clips: Sequence[Clip],
    config: DVSNetConfig,
    *,
    gaps: Sequence[int] = (1, 3, 6, 9),
    most: int = 60,
) -> dict[int, Mapping[str, float]]:
    """By how many frames the key frame is behind: share of pixels whose label, warped or copied from the key frame, is
    that of segmenting the current frame, percent. At most so many pairs a gap, at even distances.

    Copying is warping without flow and scale; both are done in regions, as the frame step does them.
    """
    table: dict[int, Mapping[str, float]] = {}
    for gap in gaps:
        pairs = [(clip, index) for clip in clips for index in current_frames(clip, (gap, gap)) if index >= gap]
        chosen = [pairs[int(i)] for i in np.unique(np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int))]
        warped, copied = [], []
        for clip, index in chosen:
            key, current = clip[index - gap].image[None], clip[index].image[None]
            sample = pair_samples(params, key, current, config=config)
            warped.append(float(sample.confidence.mean()))
            copied.append(float(sample.copied.mean()))
        if chosen:
            table[gap] = {"warped": float(np.mean(warped)), "copied": float(np.mean(copied)), "pairs": len(chosen)}
    return table
