"""What is no number (NaN, infinite) means "segment", spoils no state, is told, and where nothing is left, void."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIMPLE, simple_params, video

from dvsnet_jax import (
    AccumulatedLoss,
    Budget,
    DynamicTarget,
    ExpectedConfidence,
    FixedInterval,
    FlowMagnitude,
    FrameDifference,
    FrameRate,
    FrameResult,
    init_state,
    segment_frame,
)
from dvsnet_jax.ops.upsample_argmax import VOID
from dvsnet_jax.policies import Evidence

NEVER = SIMPLE.replace(policy=ExpectedConfidence(-1e9))
NAN, INF = float("nan"), float("inf")


def run(clip, config, params, restart=None):
    """Frame by frame, each with its own parameters; results stacked over time, and the last state."""
    state, results = init_state(params[0], clip[0], config=config), []
    for frame, own in zip(clip, params, strict=True):
        state, result = segment_frame(own, state, frame, config=config)
        results.append(jax.device_get(result))
    return FrameResult(*(np.stack(values) for values in zip(*results, strict=True))), state


def in_first_region(frame, **values):
    """Numbers that are given for the first of the two regions of this frame alone."""
    red = float(frame[0, 0, 0, 0])
    assert red != frame[0, 0, 48, 0], "the second region begins with the same red"
    return {"red": red, **values}


# --- policies ---------------------------------------------------------------------------------------------------------

POLICIES = (
    ExpectedConfidence(-1e9), FrameDifference(1e9), FlowMagnitude(1e9), AccumulatedLoss(1e9), DynamicTarget(-1e9),
    FixedInterval(1000), Budget(0.2, 2, limit=1000.0), FrameRate(25.0, 2, least=0.0),
)  # fmt: skip


@pytest.mark.parametrize("score", [NAN, -INF, INF])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_every_policy_segments_what_has_no_score(policy, score):
    state = policy.init(2)
    for _ in range(3):
        segment, state = policy.decide(state, Evidence(jnp.array([score, 99.5]), jnp.zeros(2), jnp.zeros(2)))
        assert segment.tolist() == [True, False]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("policy", [AccumulatedLoss(30.0), Budget(0.3, 2), FrameRate(25.0, 2, least=0.3)])
def test_one_score_that_is_none_changes_nothing_later(policy):
    """It used to end it: of 200 frames at score 10 none was segmented."""

    def score(value):
        return Evidence(jnp.full(2, value), jnp.zeros(2), jnp.zeros(2))

    _, state = policy.decide(policy.init(2), score(NAN))
    taken = 0
    for _ in range(200):
        segment, state = policy.decide(state, score(10.0))
        taken += int(segment.sum())
    assert taken >= 0.28 * 400


def test_built_in_policies_count_it_as_any_segmentation():
    evidence = Evidence(*(jnp.array(each) for each in ([-INF, 90.0], [INF, 0.0], [INF, 0.0])))
    _, loss = AccumulatedLoss(100.0).decide(AccumulatedLoss(100.0).init(2), evidence)
    assert loss.loss.tolist() == [0.0, 10.0]
    budget = Budget(0.2, 2)
    _, after = budget.decide(budget.init(2)._replace(credit=jnp.full(2, -0.5)), evidence)
    np.testing.assert_allclose(after.credit, -0.5 + 0.4 - 1, rtol=1e-6)  # without credit, and it is owed
    _, moves = DynamicTarget(50.0).decide(DynamicTarget(50.0).init(2), evidence)
    assert moves.segmented.tolist() == [1, 0] and moves.warped.tolist() == [0, 1]
    _, frames = FixedInterval(9).decide(FixedInterval(9).init(2), evidence)
    assert frames.frames.tolist() == [1, 2]


def test_a_rate_segments_it_without_credit_and_pays_later():
    policy = FrameRate(25.0, 4, least=0.25)  # a region a frame
    spoilt, bad = policy.init(4), Evidence(jnp.array([NAN, NAN, NAN, 50.0]), jnp.zeros(4), jnp.zeros(4))
    segment, spoilt = policy.decide(spoilt, bad)
    assert segment.tolist() == [True, True, True, False] and spoilt.credit.tolist() == [-2.0] * 4
    taken = []
    for _ in range(4):
        segment, spoilt = policy.decide(spoilt, bad._replace(score=jnp.full(4, 50.0)))
        taken.append(int(segment.sum()))
    assert taken == [0, 0, 1, 1]
    for _ in range(50):
        _, spoilt = policy.decide(spoilt, bad._replace(score=jnp.full(4, NAN)))
    assert spoilt.credit.tolist() == [-4.0] * 4  # one frame's, not 50 frames'


# --- the frame step: what decides -------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["feature", "flow", "scale"])
@pytest.mark.parametrize("value", [NAN, INF])
def test_the_frame_step_segments_it_whatever_the_policy(what, value):
    clip = video(4)
    good, bad = simple_params(), simple_params(flow=in_first_region(clip[2], **{what: value}))
    result, _ = run(clip, NEVER, [good, good, bad, good])
    assert result.segmented[:, 0].tolist() == [[True, True], [False, False], [True, False], [False, False]]
    assert result.untrusted[:, 0].tolist() == [[False, False], [False, False], [True, False], [False, False]]
    assert np.isnan(result.scores[0]).all() and not result.untrusted[0].any()  # a first frame is another thing
    whole, _ = run(clip[2:3], NEVER, [good])
    np.testing.assert_array_equal(result.labels[2][..., :48], whole.labels[0][..., :48])  # the first region's own
    assert (result.labels != VOID).all()


class Averages(NamedTuple):
    mean: jax.Array
    count: jax.Array


@dataclass(frozen=True)
class Averaged:
    """A user's own, whose running mean would take in whatever it is shown, and which knows of its neighbours."""

    def init(self, regions):
        return Averages(jnp.full(regions, 80.0), jnp.zeros(regions, jnp.int32))

    def decide(self, state, evidence):
        mean = 0.5 * state.mean + 0.5 * evidence.score
        of_stream = jnp.repeat(mean.reshape(-1, 2).mean(1), 2)
        return evidence.score < -1e30, Averages(0.5 * mean + 0.5 * of_stream, state.count + 1)

    def targets(self, state):
        return state.mean


def test_a_users_own_policy_segments_it_too_and_keeps_its_state():
    config, clip = SIMPLE.replace(policy=Averaged()), video(4, streams=2)
    good, bad = simple_params(), simple_params(flow=in_first_region(clip[2], feature=NAN))
    result, state = run(clip, config, [good, good, bad, good])
    assert result.segmented[2].tolist() == [[True, False], [False, False]] and not result.segmented[3].any()
    assert result.untrusted.sum() == result.untrusted[2, 0, 0] == 1
    assert np.isfinite(result.targets).all() and state.policy.count.tolist() == [3] * 4
    alone, _ = run(clip[:, 1:], config, [good] * 4)
    np.testing.assert_array_equal(result.targets[:, 1:], alone.targets)  # the other stream's state is its own


# --- the frame step: scores -------------------------------------------------------------------------------------------


def test_scores_that_are_none_are_void_and_segmented_again():
    clip = video(4)
    good, bad = simple_params(), simple_params(segmentation=in_first_region(clip[0], value=NAN))
    result, state = run(clip, NEVER, [bad, good, good, good])
    assert result.segmented[:, 0].tolist() == [[True, True], [True, False], [False, False], [False, False]]
    assert result.untrusted[:, 0].tolist() == [[True, False], [True, False], [False, False], [False, False]]
    fine, _ = run(clip, NEVER, [good] * 4)
    # Where the second region is there too, it alone counts: regions are 64×64, its left edge is at 48.
    np.testing.assert_array_equal(result.labels[0][..., :48], VOID)
    np.testing.assert_array_equal(result.labels[0][..., 64:], fine.labels[0][..., 64:])
    assert (result.labels[0][..., 48:] != VOID).all() and (result.labels[1:] != VOID).all()
    assert np.isfinite(state.key_scores).all()


def test_scores_that_stay_none_cost_every_frame():
    """The region is never warped from a key frame that is no good; one region, so nothing else is there."""
    clip, config = video(3), NEVER.replace(regions=(1, 1), overlap=0)
    bad = simple_params(segmentation={"add": [0, NAN, 0]})
    for routing in ("compact", "dense"):
        result, _ = run(clip, config.replace(routing=routing), [bad] * 3)
        assert result.segmented.all() and result.untrusted.all() and (result.labels == VOID).all()


@pytest.mark.parametrize("flow,scale", [(0.0, 0.0), (0.37, 0.0), (0.37, 1.5), (0.37, -1.0), (0.37, -3.0)])
def test_an_infinite_score_is_never_or_surely_this_class(flow, scale):
    """Warped between pixels too, and whatever it is multiplied by: 1, 2.5, 0 or -2."""
    clip = np.repeat(video(1), 3, axis=0)
    moved = in_first_region(clip[0], flow=flow, scale=scale)

    def labels(*add):
        result, state = run(clip, NEVER, [simple_params({"add": add}, moved)] * 3)
        assert not result.segmented[1:].any() and not result.untrusted.any() and np.isfinite(state.key_scores).all()
        return result.labels

    never, surely = labels(0, -INF, 0), labels(0, INF, 0)
    assert set(np.unique(never)) == {0, 2} and (surely == 1).all()
    if scale >= 0:
        np.testing.assert_array_equal(never, labels(0, -1e6, 0))
