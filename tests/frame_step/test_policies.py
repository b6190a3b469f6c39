"""When each policy segments, and what it carries from frame to frame."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax import (
    AccumulatedLoss,
    DynamicTarget,
    ExpectedConfidence,
    FixedInterval,
    FlowMagnitude,
    FrameDifference,
)
from dvsnet_jax.policies import Evidence, Policy


def evidence(score=(0.0,), difference=(0.0,), flow=(0.0,)) -> Evidence:
    return Evidence(*(jnp.asarray(values, jnp.float32) for values in (score, difference, flow)))


def test_a_score_at_the_target_is_warped():
    policy = ExpectedConfidence(90.0)
    segment, _ = policy.decide(policy.init(3), evidence([89.99, 90.0, 90.01]))
    assert segment.tolist() == [True, False, False]
    assert policy.targets(policy.init(2)) == 90.0


def test_thresholds_are_exceeded():
    for policy, seen in (
        (FrameDifference(4.0), {"difference": [3.0, 4.0, 5.0]}),
        (FlowMagnitude(4.0), {"flow": [3.0, 4.0, 5.0]}),
    ):
        segment, _ = policy.decide(
            policy.init(3), evidence(score=[0.0] * 3, **({"difference": [0.0] * 3, "flow": [0.0] * 3} | seen))
        )
        assert segment.tolist() == [False, False, True], policy


def test_fixed_interval_counts_each_region_by_itself():
    policy = FixedInterval(3)
    state, routes = policy.init(2), []
    for _ in range(7):
        segment, state = policy.decide(state, evidence([0.0, 0.0]))
        routes.append(segment.tolist())
    # init stands for a frame 0 that was segmented
    assert [route[0] for route in routes] == [False, False, True, False, False, True, False]
    always = FixedInterval(1)
    assert always.decide(always.init(2), evidence([0.0, 0.0]))[0].all()


def test_losses_accumulate_until_the_limit():
    policy = AccumulatedLoss(10.0)
    state, routes, targets = policy.init(4), [], []
    for score in ([96.0, 90.0, 85.0, 103.0], [96.0, 99.0, 96.0, 104.0], [97.0, 99.0, 100.0, 105.0]):
        targets.append(np.asarray(policy.targets(state)))
        segment, state = policy.decide(state, evidence(score))
        np.testing.assert_array_equal(np.asarray(score) < targets[-1], segment)
        routes.append(segment.tolist())
    # 4, 8, 11: the third. 10 is no more than 10, 11 is. At once, and again from nothing. Past 100 nothing is gained.
    assert routes == [
        [False, False, True, False],
        [False, True, False, False],
        [True, False, False, False],
    ]
    assert state.loss.tolist() == [0.0, 1.0, 4.0, 0.0]
    np.testing.assert_array_equal(targets, [[90] * 4, [94, 100, 90, 90], [98, 90, 94, 90]])


def test_dynamic_target_moves_as_the_original():
    policy = DynamicTarget(85.0)
    state = policy.init(2)
    expected = np.array([85.0, 85.0])
    rng = np.random.default_rng(0)
    for score in rng.uniform(80, 90, (50, 2)):
        np.testing.assert_allclose(policy.targets(state), expected, atol=1e-5)
        segment, state = policy.decide(state, evidence(score))
        expected += np.where(np.asarray(segment), -1.0, 0.1)


@pytest.mark.parametrize("fall,rise", [(1.0, 0.1), (1.0, 0.25), (0.5, 0.5)])
def test_dynamic_target_is_a_budget(fall, rise):
    """Whatever the scores are, the share segmented tends to rise / (rise + fall)."""
    policy = DynamicTarget(20.0, fall=fall, rise=rise)
    state, total = policy.init(64), 0
    rng = np.random.default_rng(1)
    for _ in range(2000):
        segment, state = policy.decide(state, evidence(rng.normal(90, 4, 64)))
    for _ in range(500):
        segment, state = policy.decide(state, evidence(rng.normal(90, 4, 64)))
        total += int(segment.sum())
    assert total / (500 * 64) == pytest.approx(rise / (rise + fall), rel=0.03)


def test_equal_settings_are_one_policy():
    assert hash(DynamicTarget(98.0)) == hash(DynamicTarget(98)) and DynamicTarget(98.0) == DynamicTarget(98)
    assert ExpectedConfidence(1.0) != FrameDifference(1.0)
    for policy in (ExpectedConfidence(), DynamicTarget(), FixedInterval(2), FrameDifference(1.0), FlowMagnitude(1.0)):
        assert isinstance(policy, Policy)
    assert isinstance(AccumulatedLoss(), Policy) and AccumulatedLoss(3) == AccumulatedLoss(3.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExpectedConfidence(float("nan")),
        lambda: DynamicTarget(float("inf")),
        lambda: FlowMagnitude(float("-inf")),
        lambda: FrameDifference(float("nan")),
        lambda: DynamicTarget(fall=-1.0),
        lambda: AccumulatedLoss(-1.0),
        lambda: AccumulatedLoss(float("nan")),
        lambda: FixedInterval(0),
    ],
)
def test_numbers_that_are_no_target(make):
    with pytest.raises(ValueError, match=r"must be a finite number|negative|[01] or more"):
        make()
