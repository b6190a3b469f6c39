"""Any policy on a clip that was segmented beforehand: the results of `segment_clip` at the price of its light path.

    clip = [segmented(params, frame, config=config) for frame in frames]
    run = simulate(params, clip, "learned", -90.0, draws, config=config)

A run computes flow, decision and warping from the last key frames as `video.segment_frame` does, and takes the scores
of a region that is segmented from those computed beforehand. Policy and threshold are arguments of the one compiled
step, so that a sweep over both compiles once for each frame size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped, UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.frame_motion import CarriedFlow, FrameMotion
from dvsnet_jax.ops.carried_motion import carry, carry_cells, fit_motion, still
from dvsnet_jax.ops.motion_search import search_motion
from dvsnet_jax.ops.regions import RegionGrid, merge
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.ops.warp import warp_nearest, warp_scores
from dvsnet_jax.ops.warp_cues import key_cells
from dvsnet_jax.policies import DynamicTarget, TargetMoves, accumulated_loss, moved_target
from dvsnet_jax.routing import where
from dvsnet_jax.video import VideoState, evidence_of, have_scores, init_state, region_grid, segment_frame, trusted


class SegmentedFrame(NamedTuple):
    """All that a run may need of a frame, every region of it segmented."""

    images: Shaped[Array, "regions h//2 w//2 3"]
    """As `VideoState.key_images`."""
    scores: Float[Array, "regions h2 w2 classes"]
    """As `VideoState.key_scores`."""
    labels: UInt8[Array, "regions h w"]
    maxima: Float[Array, "regions h w"]
    """The score of each label, by which overlapping regions are merged."""
    merged: UInt8[Array, "height width"]
    """Labels of the whole frame."""
    motion: FrameMotion | None = None
    """From this frame to the one before it, of one stream, on the configuration's frames, where `config.flow` is
    `CarriedMotionConfig`."""


class Urgency(NamedTuple):
    """What each policy goes by, a number for each region: it is segmented where that is above the policy's threshold.
    inf where the motion is not known.

    In the order of the policies' names. A target is a threshold with its sign turned.
    """

    learned: Float[Array, "*time regions"]
    """Expected confidence score, negative: `policies.ExpectedConfidence`."""
    loss: Float[Array, "*time regions"]
    """Points lost since the key frame: `policies.AccumulatedLoss`."""
    dynamic: Float[Array, "*time regions"]
    """The rise past which the region's moved target is above its score, negative, from -`MOST_RISE` to 0:
    `policies.DynamicTarget`, of `DYNAMIC`'s start and fall. What it is segmented by is the target itself."""
    interval: Float[Array, "*time regions"]
    """Frames since the key frame, 1 on the next: `policies.FixedInterval`."""
    difference: Float[Array, "*time regions"]
    """`policies.FrameDifference`, in grey levels."""
    flow: Float[Array, "*time regions"]
    """`policies.FlowMagnitude`, in pixels."""
    random: Float[Array, "*time regions"]
    """A number drawn from 0..1."""
    oracle: Float[Array, "*time regions"]
    """Agreement in percent, negative: the pixels whose warped label is the label that segmenting the frame gives. What
    the decision network is trained to predict; no policy can know it without segmenting. NaN where segmenting gave no
    numbers."""


POLICIES = Urgency._fields
DYNAMIC = DynamicTarget()
"""Start and fall of the policy `dynamic`; its rise is what a sweep goes over."""
MOST_RISE = 1000.0
"""Past this a target that rose once is above any score: all is segmented."""


def setting(policy: str, threshold: float) -> float:
    """A threshold as the policy's own number: a target in percent, a rise in points, an interval in frames, a chance,
    or itself."""
    if policy in ("learned", "dynamic", "oracle"):
        return -threshold
    if policy == "interval":
        return float(np.floor(threshold) + 1)
    return 1 - threshold if policy == "random" else threshold


def threshold(policy: str, setting: float) -> float:
    """The inverse: a threshold that does what a policy's own number says."""
    if policy in ("learned", "dynamic", "oracle"):
        return -setting
    if policy == "interval":
        return setting - 0.5
    return 1 - setting if policy == "random" else setting


WARPINGS = ("scores", "unscaled", "labels")
"""What is carried along the flow. `scores`: as in the frame step, multiplied by the scale field. `unscaled`: the scores
as they are. `labels`: the key frame's labels, the nearest to where the flow ends: all that a network without scores
allows."""


class Run(NamedTuple):
    """What a policy did with a clip; numpy."""

    labels: UInt8[np.ndarray, "time height width"]
    segmented: Bool[np.ndarray, "time regions"]
    """All True on the first frame."""
    urgency: Urgency
    """Of every policy, from the second frame on, against this run's key frames."""


class _Keys(NamedTuple):
    """Each region's key frame, and what a policy remembers of it."""

    images: Shaped[Array, "regions h//2 w//2 3"]
    scores: Float[Array, "regions h2 w2 classes"]
    age: Float[Array, "regions"]
    """Frames since then, counting the one to come."""
    loss: Float[Array, "regions"]
    """`policies.accumulated_loss` since then."""
    moves: TargetMoves
    """How often it went each way since the clip's second frame."""
    labels: UInt8[Array, "regions h w"] | None = None
    """With their `maxima`, only where labels are warped."""
    maxima: Float[Array, "regions h w"] | None = None
    carried: CarriedFlow | None = None


def segmented(
    params: networks.Params,
    frame: UInt8[Any, "height width 3"],
    *,
    config: DVSNetConfig,
    blank: VideoState | None = None,
    motion: FrameMotion | None = None,
) -> SegmentedFrame:
    """A frame as `segment_frame` segments it when it is a stream's first; `blank` is its `init_state`, to be reused."""
    blank = init_state(params, frame[None], config=config) if blank is None else blank
    state, result = segment_frame(params, jax.tree.map(jnp.copy, blank), frame[None], None, motion, config=config)
    grid = region_grid(config, *frame.shape[:2])
    labels, maxima = _labels_of_regions(state.key_scores, grid, config)
    if motion is not None:
        motion = fit_motion(motion, (frame.shape[0], frame.shape[1]), (grid.height, grid.width))
    return SegmentedFrame(state.key_images, state.key_scores, labels, maxima, result.labels[0], motion)


@partial(jax.jit, static_argnames="grid")
def _labels_of_regions(scores: Array, grid: RegionGrid, config: DVSNetConfig) -> tuple[Array, Array]:
    """Upsampled by way of the flow's grid, as the frame step does with scores that are not warped."""
    size = (scores.shape[0], grid.region_height // 8, grid.region_width // 8)
    still = warp_scores(scores, jnp.zeros((*size, 2)), jnp.ones((*size, scores.shape[-1])))
    return upsample_argmax(still, (grid.region_height, grid.region_width), config.num_classes)


def simulate(
    params: networks.Params,
    clip: Sequence[SegmentedFrame],
    policy: str,
    threshold: float,
    draws: Float[np.ndarray, "time regions"],
    *,
    config: DVSNetConfig,
    warping: str = "scores",
) -> Run:
    """A run of one of `POLICIES` over a clip; its first frame is segmented whole. `config.policy` plays no part.
    With an infinite threshold every policy segments all or nothing, but for what is no number and motion that is not
    known, which all segment.

    `draws`, of 0..1, is what the policy `random` goes by; `warping` is one of `WARPINGS`. Whatever it is, the decision
    network reads what it was trained on.
    """
    chosen, at = jnp.int32(POLICIES.index(policy)), jnp.float32(threshold)
    first, regions = clip[0], len(clip[0].images)
    keys = _first_keys(first, config, warping)
    labels, routes, urgencies = [first.merged], [np.ones(regions, bool)], []
    for before, frame, draw in zip(clip, clip[1:], draws[1:], strict=False):
        previous = before.images if config.searches_motion else None
        keys, merged, segment, urgency = _step(
            params, keys, frame, previous, jnp.float32(draw), chosen, at, config=config, warping=warping
        )
        labels.append(merged)
        routes.append(segment)
        urgencies.append(urgency)
    labels, routes, urgencies = jax.device_get((labels, routes, urgencies))
    over_time = np.stack(urgencies, 1) if urgencies else np.zeros((len(POLICIES), 0, regions), np.float32)
    return Run(np.stack(labels), np.stack(routes), Urgency(*over_time))


def side_by_side(
    params: networks.Params,
    frames: Iterable[SegmentedFrame],
    policy: str,
    thresholds: Sequence[float],
    *,
    config: DVSNetConfig,
) -> Iterator[tuple[SegmentedFrame, list[tuple[np.ndarray, np.ndarray]]]]:
    """`simulate` with several thresholds at once, frame by frame, so that none need be kept: each frame with its labels
    and the regions that were segmented, for every threshold. A policy that goes by draws is not for this."""
    chosen = jnp.int32(POLICIES.index(policy))
    before: SegmentedFrame | None = None
    runs: list[_Keys] = []
    for frame in frames:
        regions = len(frame.images)
        nothing = jnp.zeros(regions, jnp.float32)
        results: list[Any] = []
        if before is None:
            runs = [_first_keys(frame, config, "scores")] * len(thresholds)
            results = [(frame.merged, np.ones(regions, bool))] * len(thresholds)
        else:
            previous = before.images if config.searches_motion else None
            for number, threshold in enumerate(thresholds):
                runs[number], merged, segment, _ = _step(
                    params, runs[number], frame, previous, nothing, chosen, jnp.float32(threshold),
                    config=config, warping="scores",
                )  # fmt: skip
                results.append((merged, segment))
        yield frame, [(np.asarray(labels), np.asarray(segment)) for labels, segment in results]
        before = frame


def _first_keys(frame: SegmentedFrame, config: DVSNetConfig, warping: str) -> _Keys:
    """After a first frame, of which every region is segmented."""
    regions, grid = len(frame.images), region_grid(config, *frame.merged.shape)
    nothing = jnp.zeros(regions, jnp.float32)
    return _Keys(
        frame.images, frame.scores, nothing + 1, nothing, DYNAMIC.init(regions), *_labels_to_warp(frame, warping),
        still(regions, grid) if config.carries_motion else None,
    )  # fmt: skip


def _labels_to_warp(frame: SegmentedFrame, warping: str) -> tuple[Array | None, Array | None]:
    return (frame.labels, frame.maxima) if warping == "labels" else (None, None)


@partial(jax.jit, static_argnames="warping")
def _step(
    params: networks.Params,
    keys: _Keys,
    frame: SegmentedFrame,
    previous: Shaped[Array, "regions rows columns 3"] | None,
    draw: Float[Array, "regions"],
    policy: Int[Array, ""],
    threshold: Float[Array, ""],
    *,
    config: DVSNetConfig,
    warping: str,
) -> tuple[_Keys, UInt8[Array, "height width"], Bool[Array, "regions"], Float[Array, "policies regions"]]:
    """One frame: the frame step with its segmentation network replaced by what it said before."""
    grid = region_grid(config, *frame.merged.shape)
    carried, key = None, key_cells(keys.images, keys.scores)
    if keys.carried is None:
        out = networks.flow_and_feature(params, frame.images, keys.images, config)
    else:
        if previous is not None:
            carried = carry_cells(keys.carried, *search_motion(frame.images, previous))
        else:
            assert frame.motion is not None
            carried = carry(keys.carried, frame.motion, grid, (grid.height, grid.width))
        out = networks.carried_flow(params, frame.images, key, carried, config)
    if keys.labels is not None and keys.maxima is not None:
        warped, maxima = warp_nearest(keys.labels, out.flow), warp_nearest(keys.maxima, out.flow)
    else:
        scale = jnp.ones_like(out.scale) if warping == "unscaled" else out.scale
        warped_scores = warp_scores(keys.scores, out.flow, scale)
        size = (grid.region_height, grid.region_width)
        warped, maxima = upsample_argmax(warped_scores, size, config.num_classes)
    counted = grid.within_frame()
    evidence, places = evidence_of(params, frame.images, keys.images, key, out, config)
    score, loss = evidence.score, accumulated_loss(keys.loss, evidence.score)
    agreement = 100 * ((warped == frame.labels) & counted).sum((1, 2)) / counted.sum((1, 2))
    urgency = jnp.stack(
        Urgency(
            learned=-score,
            loss=loss,
            dynamic=-_least_rise(score, keys.moves),
            interval=keys.age,
            difference=evidence.frame_difference,
            flow=evidence.flow_magnitude,
            random=draw,
            oracle=-jnp.where(have_scores(keys.scores) & have_scores(frame.scores), agreement, jnp.nan),
        )
    )
    known = jnp.ones_like(draw, bool) if carried is None else jnp.isfinite(carried.flow).all((1, 2, 3))
    urgency = jnp.where(known, urgency, jnp.inf)  # as the frame step shows it
    segment = urgency[policy] > threshold
    # The target itself, as the frame step holds it against the score: a division's rounding could tip the balance.
    by_target = score < moved_target(keys.moves, DYNAMIC.target, DYNAMIC.fall, -threshold)
    segment = jnp.where((policy == POLICIES.index("dynamic")) & jnp.isfinite(threshold), by_target, segment)
    sound = trusted(evidence, out, keys.scores)
    segment = segment | ~sound
    moves = TargetMoves(keys.moves.segmented + segment, keys.moves.warped + ~segment)
    scores, anew = frame.scores, (frame.labels, frame.maxima)
    if config.fuse and warping != "labels":
        assert carried is not None and places is not None
        weight = networks.fusion_weight(where(known & sound, places, jnp.zeros_like(places)), carried.age, config)
        scores = networks.fused(scores, warp_scores(keys.scores, out.flow, out.scale), weight)
        anew = _labels_of_regions(scores, grid, config)
    new = _Keys(
        frame.images, scores, jnp.zeros_like(keys.age), jnp.zeros_like(loss), moves,
        *_labels_to_warp(frame, warping), None if carried is None else still(segment.shape[0], grid),
    )  # fmt: skip
    keys = where(segment, new, keys._replace(loss=loss, moves=moves, carried=carried))
    labels = merge(*where(segment, anew, (warped, maxima)), grid)[0]
    return keys._replace(age=keys.age + 1), labels, segment, urgency


def _least_rise(score: Float[Array, "regions"], moves: TargetMoves) -> Float[Array, "regions"]:
    """The rise, 0 … `MOST_RISE`, from which on the moved target is at the score."""
    missing = score - moved_target(moves, DYNAMIC.target, DYNAMIC.fall, 0.0)
    # A target that never rose is where it is, whatever the rise.
    never = jnp.where(missing < 0, 0.0, MOST_RISE)
    return jnp.where(moves.warped == 0, never, jnp.clip(missing / jnp.maximum(moves.warped, 1), 0.0, MOST_RISE))
