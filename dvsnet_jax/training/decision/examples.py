"""What the decision network is trained on: the features of a pair of frames, and how well warping did (the paper's
confidence score, section 3.4; the original's `gentestcase.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from dvsnet_jax import networks, preprocessing
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.frame_motion import CarriedFlow, FrameMotion
from dvsnet_jax.ops.carried_motion import carry_alone, still
from dvsnet_jax.ops.regions import split
from dvsnet_jax.ops.resize import resize_legacy
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.ops.warp import warp_scores
from dvsnet_jax.ops.warp_cues import key_cells
from dvsnet_jax.video import have_scores, region_grid


class PairSample(NamedTuple):
    """One training sample of the decision network per region, and what it was computed from."""

    feature: Float[Array, "regions gh gw c"]
    """What the decision network reads, on its grid (`networks.decision_input`)."""
    confidence: Float[Array, "regions"]
    """Agreement, percent: the share of the region's pixels whose warped label is the label that segmenting the current
    frame gives. Labels of the truth play no part. NaN where segmenting gave what is no number."""
    flow_magnitude: Float[Array, "regions"]
    """Mean length of the flow vectors, in pixels of the frame: the baseline that the decision network has to beat."""
    segmented: UInt8[Array, "regions h w"]
    """Labels from segmenting the current frame's regions."""
    warped: UInt8[Array, "regions h w"]
    """Labels from warping the key frame's scores."""
    copied: Float[Array, "regions"]
    """Agreement, percent, of the key frame's labels as they are: what warping has to beat."""


def carried_along(motion: Iterable[FrameMotion], size: tuple[int, int], config: DVSNetConfig) -> CarriedFlow:
    """What the frame step carries after one stream's frames of `size` (height, width) with these motions, each to the
    frame before it, where the frame before the first of them was segmented whole."""
    grid = region_grid(config, *size)
    carried = still(grid.num_regions, grid)
    for step in motion:
        carried = carry_alone(carried, step, grid, size)
    return carried


@jax.jit
def pair_samples(
    params: networks.Params,
    key: UInt8[Array, "n height width 3"],
    current: UInt8[Array, "n height width 3"],
    carried: CarriedFlow | None = None,
    *,
    config: DVSNetConfig,
) -> PairSample:
    """Samples of pairs of frames, uint8 RGB: key first. Both are segmented and the key frame's scores are warped.

    Regions are cut as `config` says: train at the overlap that inference will use. *Differs from the original*, which
    trains at overlap 0 and infers at 64; `config.replace(overlap=0)` does as it did. Pixels that pad a frame to fit the
    regions do not count. `carried` is the motion chained from key to current frame, where `config.flow` is
    `CarriedMotionConfig`.
    """
    grid = region_grid(config, *key.shape[1:3])
    if config.input_size:
        key, current = (resize_legacy(frames, config.input_size) for frames in (key, current))
    keys, currents = split(key, grid), split(current, grid)
    small = preprocessing.half(currents), preprocessing.half(keys)
    size = (grid.region_height, grid.region_width)
    key_scores = networks.segmentation_scores(params, keys, config)
    cells = key_cells(small[1], key_scores)
    if carried is None:
        out = networks.flow_and_feature(params, *small, config)
    else:
        out = networks.carried_flow(params, small[0], cells, carried, config)
    feature = networks.decision_input(small[0], cells, out, config)
    warped, _ = upsample_argmax(warp_scores(key_scores, out.flow, out.scale), size)
    scores = networks.segmentation_scores(params, currents, config)
    segmented, _ = upsample_argmax(scores, size)
    known = have_scores(key_scores) & have_scores(scores)

    counted = np.tile(grid.within_frame(), (key.shape[0], 1, 1))
    pixels = counted.sum((1, 2))  # by numpy, as XLA takes seconds to fold it
    stayed, _ = upsample_argmax(key_scores, size)

    def agreement(labels: Array) -> Array:
        share = ((labels == segmented) & counted).sum((1, 2)) / pixels
        # The division is by a rounded reciprocal, which can end a hair above 1. Void is not the same as void.
        return jnp.where(known, jnp.minimum(100 * share, 100.0), jnp.nan)

    magnitude = 8 * jnp.sqrt(jnp.square(out.flow).sum(-1)).mean((1, 2))
    return PairSample(feature, agreement(warped), magnitude, segmented, warped, agreement(stayed))
