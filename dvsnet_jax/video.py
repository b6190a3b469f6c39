"""The frame step: three pure functions are all of DVSNet at inference (paper, section 3).

    state = init_state(params, frames, config=config)
    state, result = segment_frame(params, state, frames, config=config)
    state, results = segment_clip(params, state, clip, config=config)

`frames` is uint8 RGB `[streams, height, width, 3]`: one video is one stream, several step together. Inside the step
streams × regions is one leading axis, `regions`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped, UInt8

from dvsnet_jax import networks, policies, preprocessing
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.frame_motion import CELL, CarriedFlow, FrameMotion
from dvsnet_jax.frame_result import AnyResult, AuditedResult, FrameResult, with_scores
from dvsnet_jax.metrics.agreement import label_agreement
from dvsnet_jax.ops.carried_motion import carry, carry_cells, still
from dvsnet_jax.ops.materialized import materialized
from dvsnet_jax.ops.motion_search import search_motion
from dvsnet_jax.ops.regions import RegionGrid, cut_out, merge, merge_scores, padded, split
from dvsnet_jax.ops.resize import resize_legacy
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.ops.warp import finite_everywhere, warp_scores
from dvsnet_jax.ops.warp_cues import KeyCells, key_cells
from dvsnet_jax.policies import Evidence, ExpectedConfidence, kept_finite, worst_where
from dvsnet_jax.protocols import FlowOutput
from dvsnet_jax.routing import WHOLE, Share, segment_where, where

Result = AnyResult
"""The second with `audit`, the third with `every_score`."""


class VideoState(NamedTuple):
    """What is carried from frame to frame. What is of the key frame changes only where a region is segmented."""

    key_images: Shaped[Array, "regions h//2 w//2 3"]
    """RGB, 0..255, at half size: uint8, or float32 where frames are resized first (`config.input_size`)."""
    key_scores: Float[Array, "regions h2 w2 classes"]
    """The segmentation network's raw output, on its own grid (1⁄16 for DeepLab-Fast). NaN all over where it gave the
    key image what is no number: such a region is segmented again at the next frame."""
    key_features: Float[Array, "regions h//4 w//4 c"] | KeyCells | None
    """What the light path made of the key frame alone (`networks.key_features`); None where it keeps nothing."""
    carried: CarriedFlow | None
    """Motion chained since the key frame; None where a flow network compares with the key frame itself."""
    policy: Any
    """The policy's own state, a pytree: what moves from frame to frame, and none of its settings."""
    started: Bool[Array, "streams"]
    """Whether the stream has had its first frame."""
    previous_images: Shaped[Array, "regions h//2 w//2 3"] | None = None
    """The frame before at half size, as `key_images`; None unless motion is searched for inside the step."""
    recalibration: policies.Recalibration | None = None
    """What the audit has seen; None where scores are not recalibrated."""


def region_grid(config: DVSNetConfig, height: int, width: int) -> RegionGrid:
    """How the configuration cuts frames of this size. ValueError where it cannot."""
    return RegionGrid.fit(*(config.input_size or (height, width)), config.regions, config.overlap)


def init_state(params: networks.Params, frames: Any, *, config: DVSNetConfig, recalibrate: bool = False) -> VideoState:
    """The state before the first frame of every stream. It only allocates: the first frame segments every region.

    `frames` is an array of the frames to come, or anything with its shape and dtype (`jax.ShapeDtypeStruct`). With
    `recalibrate` every frame is audited and scores are set right by that (`policies.recalibration`).
    Raises ValueError for frames that are not uint8 `[streams, height, width, 3]` of at least 64×64, for an overlap
    that the frame cannot take, and for a budget or rate of frames of other regions.
    """
    _check_frames(frames.shape, frames.dtype)
    policies.check_frames(config.policy, config.num_regions)
    grid = region_grid(config, *frames.shape[1:3])
    regions = frames.shape[0] * grid.num_regions
    h, w = grid.region_height, grid.region_width
    images = jax.ShapeDtypeStruct((regions, h, w, 3), jnp.float32 if config.input_size else jnp.uint8)
    # The policy is none of its business: the networks are traced once for all.
    kept = _traced_key.eval_shape(params, images, config=config.replace(policy=ExpectedConfidence()))
    scores, features, _ = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), kept)
    return VideoState(
        key_images=jnp.zeros((regions, h // 2, w // 2, 3), images.dtype),
        key_scores=scores,
        key_features=features,
        carried=still(regions, grid) if config.carries_motion else None,
        policy=config.policy.init(regions),
        started=jnp.zeros(frames.shape[0], bool),
        previous_images=jnp.zeros((regions, h // 2, w // 2, 3), images.dtype) if config.searches_motion else None,
        recalibration=policies.init_recalibration(frames.shape[0]) if recalibrate else None,
    )


@partial(jax.jit, donate_argnames="state", static_argnames=("audit", "every_score", "share"))
def segment_frame(
    params: networks.Params,
    state: VideoState,
    frames: UInt8[Array, "streams height width 3"],
    restart: Bool[Array, "streams"] | None = None,
    motion: FrameMotion | Float[Array, "streams rows columns 2"] | None = None,
    *,
    config: DVSNetConfig,
    audit: bool = False,
    share: Share = WHOLE,
    every_score: bool = False,
) -> tuple[VideoState, Result]:
    """One frame of every stream: one compiled program for each frame shape and configuration, whatever the numbers of
    its policy, which are read anew at every frame. `state` is donated.

    `frames` are RGB, 0..255; a numpy array is read when the step runs, not at the call: give a copy of one that is
    written over. `restart` names the streams where another video begins: they forget key frames and policy. `motion` is
    that from each frame to the one before it, which is wanted where `config.takes_motion` (of a stream's first frame it
    is not looked at); the array alone is trusted everywhere. `audit` has each region that is segmented anew say how
    well warping would have done, for one more warp: the result is then an `AuditedResult`; with `every_score` it has
    the scores of all classes at every pixel, a `ScoredResult`. `share` is of `inference.devices`. Raises ValueError
    where `frames`, `motion` or the policy do not fit `state` and `config`.
    """
    return _step(params, state, frames, restart, motion, config, audit, share, every_score)


@partial(jax.jit, donate_argnames="state", static_argnames="audit")
def segment_clip(
    params: networks.Params,
    state: VideoState,
    clip: UInt8[Array, "time streams height width 3"],
    restart: Bool[Array, "time streams"] | None = None,
    motion: FrameMotion | Float[Array, "time streams rows columns 2"] | None = None,
    *,
    config: DVSNetConfig,
    audit: bool = False,
) -> tuple[VideoState, Result]:
    """`segment_frame` over the leading time axis of `clip`, in one compiled program; results are stacked over time."""

    def step(state: VideoState, frame: tuple[Array, Array | None, Any]) -> tuple[VideoState, Result]:
        return _step(params, state, *frame, config, audit)

    return lax.scan(step, state, (clip, restart, motion))


def _step(
    params: networks.Params,
    state: VideoState,
    frames: Array,
    restart: Array | None,
    motion: FrameMotion | Array | None,
    config: DVSNetConfig,
    audit: bool,
    share: Share = WHOLE,
    every_score: bool = False,
) -> tuple[VideoState, Result]:
    _check_frames(frames.shape, frames.dtype)
    streams, height, width, _ = frames.shape
    policies.check_frames(config.policy, config.num_regions)
    grid = region_grid(config, height, width)
    _check_state(state, streams, grid, share)
    _check_motion(state, motion, config)
    policies.check_state(state.policy, config.policy, streams * grid.num_regions)

    with jax.named_scope("preprocess"):
        if config.input_size:
            frames = resize_legacy(frames, config.input_size)
        frames = padded(frames, grid)
        small = share.own(split(frames, grid, every=2))  # `preprocessing.half`: [regions, rh/2, rw/2, 3]
        # The regions themselves, [n, rh, rw, 3], are cut out when they are segmented: most are not.
        images = share.own(partial(cut_out, frames, grid) if config.routing == "compact" else split(frames, grid))

    with jax.named_scope("flow"):
        carried = None
        if isinstance(state.key_features, KeyCells):
            key = state.key_features
        else:
            key = key_cells(state.key_images, state.key_scores)
        if state.carried is None:
            assert not isinstance(state.key_features, KeyCells)
            flow = materialized(networks.flow_and_feature(params, small, state.key_images, config, state.key_features))
        else:
            if state.previous_images is not None:
                carried = carry_cells(state.carried, *search_motion(small, state.previous_images))
            else:
                assert motion is not None  # `_check_motion`
                carried = carry(state.carried, motion, grid, (height, width), share.own)
            flow = networks.carried_flow(params, small, key, carried, config)
        # flow [regions, rh/8, rw/8, 2], scale [regions, rh/8, rw/8, 1 or classes]

    with jax.named_scope("decision"):
        # Each [regions], as are all masks below; from here on of all devices' regions.
        evidence, places = evidence_of(params, small, state.key_images, key, flow, config)
        sound = trusted(evidence, flow, state.key_scores)
        known = jnp.ones_like(sound) if carried is None else jnp.isfinite(carried.flow).all((1, 2, 3))
        evidence, sound, known = share.all((evidence, sound, known))
        expected, lost = evidence.score, ~known
        if state.recalibration is not None:
            score = policies.recalibrated(state.recalibration, expected.reshape(streams, -1))
            evidence = evidence._replace(score=score.reshape(-1))
        fresh = jnp.repeat(~state.started if restart is None else ~state.started | restart, grid.num_regions)
        untrusted = ~(fresh | lost | sound & jnp.isfinite(evidence.score))
        shaken = jnp.repeat((lost | untrusted).reshape(streams, -1).any(1), grid.num_regions)
        policy = where(fresh, config.policy.init(fresh.shape[0]), state.policy)
        targets = jnp.broadcast_to(jnp.asarray(config.policy.targets(policy), jnp.float32), fresh.shape)
        segment, decided = config.policy.decide(policy, worst_where(fresh | lost | untrusted, evidence))
        segment = segment | fresh | lost | untrusted
        policy = where(fresh, policy, kept_finite(policy, decided, shaken))
        # A GPU's compiler would work them out again where they are read, from scores that segmenting then has to spare.
        shown = jnp.where(fresh | lost, jnp.nan, evidence.score)
        segment, untrusted, shown, targets = lax.optimization_barrier((segment, untrusted, shown, targets))
        here = share.own(segment)

    with jax.named_scope("segmentation"):
        join = None
        if config.fuse:
            assert carried is not None and places is not None  # `DVSNetConfig` checks it
            places = where(share.own(fresh | lost | untrusted), jnp.zeros_like(places), places)
            join = partial(networks.joined, params, config, small, flow, places, carried.age)
        key_scores, key_features, agreed = segment_where(  # [regions, h2, w2, classes], …, [regions]
            here, partial(_key, params, config=config), images,
            (state.key_scores, state.key_features, jnp.zeros(here.shape[0]) if join else None),
            routing=config.routing, chunk=config.chunk, join=join,
        )  # fmt: skip
        key_images = where(here, small, state.key_images)

    with jax.named_scope("warp"):
        # A region just segmented goes the same way with no flow and no scale, which leaves its scores as they are; and
        # if those are NaN all over, so it ends: void, and below every other region's.
        motion = where(here, jnp.zeros_like(flow.flow), flow.flow)
        scale = where(here, jnp.ones_like(flow.scale), flow.scale)
        scores = materialized(warp_scores(key_scores, motion, scale))  # [regions, h3, w3, classes]

    with jax.named_scope("upsample"):
        labels, maxima = upsample_argmax(
            scores, (grid.region_height, grid.region_width), config.num_classes
        )  # [regions, rh, rw]
    with jax.named_scope("merge"):
        labels = merge(*share.all((labels, maxima)), grid)  # [streams, height, width]
        class_scores = merge_scores(scores, maxima, grid) if every_score else None

    per_stream = (streams, grid.num_regions)
    result = FrameResult(
        labels=labels,
        scores=shown.reshape(per_stream),
        targets=targets.reshape(per_stream),
        segmented=segment.reshape(per_stream),
        untrusted=(untrusted | ~share.all(have_scores(key_scores))).reshape(per_stream),
    )
    answer: Result = result
    recalibration = state.recalibration
    if audit or recalibration is not None:
        with jax.named_scope("audit"):
            if agreed is None:
                agreed = label_agreement(warp_scores(state.key_scores, flow.flow, flow.scale), scores)
            agreement = jnp.where(have_scores(state.key_scores) & have_scores(key_scores), agreed, jnp.nan)
            agreement = jnp.where(segment & ~fresh & ~lost, share.all(agreement), jnp.nan)
            agreement = jnp.where(untrusted, jnp.nan, agreement).reshape(per_stream)
            expected = jnp.where(fresh | lost, jnp.nan, expected).reshape(per_stream)
            answer = AuditedResult(*result, agreement=agreement, expected=expected)
            if recalibration is not None:
                cut = (fresh | lost).reshape(per_stream).all(1)
                recalibration = policies.observed(recalibration, expected, agreement, cut)
    answer = answer if class_scores is None else with_scores(answer, class_scores)
    if carried is not None:
        carried = where(here, still(here.shape[0], grid), carried)
    previous, started = small if config.searches_motion else None, jnp.ones(streams, bool)
    return VideoState(key_images, key_scores, key_features, carried, policy, started, previous, recalibration), answer


def evidence_of(
    params: networks.Params,
    current: Shaped[Array, "regions h w 3"],
    key_images: Shaped[Array, "regions h w 3"],
    key: KeyCells,
    flow: FlowOutput,
    config: DVSNetConfig,
) -> tuple[Evidence, Float[Array, "regions gh gw"] | None]:
    """What a policy may look at, of half-size images (RGB, 0..255) against the key frame's; and where in a region how
    much will agree, as `networks.expected_agreement` has it."""
    x, y = flow.flow[..., 0], flow.flow[..., 1]
    score, places = networks.expected_agreement(params, current, key, flow, config)
    return Evidence(
        score=score,
        frame_difference=jnp.abs(current.astype(jnp.float32) - key_images).mean((1, 2, 3)),
        flow_magnitude=CELL * jnp.sqrt(x * x + y * y).mean((1, 2)),
    ), places


def trusted(
    evidence: Evidence, flow: FlowOutput, key_scores: Float[Array, "regions h2 w2 classes"]
) -> Bool[Array, "regions"]:
    """Where all that deciding and warping rest on are finite numbers. Where not, nothing is warped."""
    numbers = jnp.isfinite(evidence.score) & jnp.isfinite(evidence.flow_magnitude)
    return numbers & finite_everywhere(flow.scale) & have_scores(key_scores)


def have_scores(scores: Float[Array, "regions h2 w2 classes"]) -> Bool[Array, "regions"]:
    """Where `networks.segmentation_scores` gave numbers; where not it is NaN all over, so the first tells."""
    return ~jnp.isnan(scores[:, 0, 0, 0])


def _key(params: networks.Params, images: Array, config: DVSNetConfig) -> networks.Kept:
    """What is kept of regions that become key regions: their scores, and what the light path makes of them alone."""
    scores = networks.segmentation_scores(params, images, config)
    with jax.named_scope("key_features"):
        features = networks.key_features(params, preprocessing.half(images), scores, config)
    return scores, features, jnp.zeros(images.shape[0]) if config.fuse else None


_traced_key = jax.jit(_key, static_argnames="config")  # which remembers what it has traced


def _check_motion(state: VideoState, motion: Any, config: DVSNetConfig) -> None:
    if config.carries_motion != (state.carried is not None) or config.searches_motion != (
        state.previous_images is not None
    ):
        raise ValueError("the state is of a configuration with another kind of flow; call init_state again")
    if motion is None and config.takes_motion:
        raise ValueError(
            "config.flow is CarriedMotionConfig, which needs the frames' motion, but none came; pass motion= "
            "(dvsnet_jax.media.motion finds it), or NaN where it is not known"
        )
    if motion is not None and not config.takes_motion:
        raise ValueError(
            f"motion came, but config.flow is {config.flow}, which finds its own; leave it out or set "
            "config.replace(flow=CarriedMotionConfig())"
        )


def _check_frames(shape: tuple[int, ...], dtype: Any) -> None:
    if len(shape) == 4 and shape[-1] == 3 and dtype == jnp.uint8:
        return
    if dtype != jnp.uint8:
        advice = "scale their values to 0..255 and convert them with astype(np.uint8)"
    elif len(shape) == 3 and shape[-1] == 3:
        advice = "add the leading axis to a single frame with frame[None]"
    else:
        advice = "the last axis is red, green and blue: leave out alpha, repeat grey three times"
    raise ValueError(
        f"frames are {dtype}{list(shape)}, expected uint8[streams, height, width, 3] in RGB order; {advice}"
    )


def _check_state(state: VideoState, streams: int, grid: RegionGrid, share: Share) -> None:
    expected = (share.count(streams * grid.num_regions), grid.region_height // 2, grid.region_width // 2, 3)
    if state.key_images.shape != expected or state.started.shape != (streams,):
        raise ValueError(
            f"the state is for key images {state.key_images.shape} and {state.started.shape[0]} streams, but these "
            f"frames need {expected} and {streams}; call init_state again where size, streams or configuration change"
        )
