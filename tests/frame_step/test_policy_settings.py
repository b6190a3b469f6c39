"""What of a policy is compiled in, what is read anew at every frame, and whose state is whose."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIMPLE, simple_params, video

from dvsnet_jax import (
    AccumulatedLoss,
    Budget,
    DVSNetConfig,
    DynamicTarget,
    ExpectedConfidence,
    FixedInterval,
    FlowMagnitude,
    FrameDifference,
    FrameRate,
    init_state,
    segment_clip,
    segment_frame,
)
from dvsnet_jax.policies import Evidence, SharedBudget, SharedFrameRate

KINDS = {
    "confidence": (ExpectedConfidence(60.0), ExpectedConfidence(80.0)),
    "difference": (FrameDifference(40.0), FrameDifference(20.0)),
    "flow": (FlowMagnitude(40.0), FlowMagnitude(20.0)),
    "loss": (AccumulatedLoss(100.0), AccumulatedLoss(50.0)),
    "dynamic": (DynamicTarget(60.0), DynamicTarget(80.0)),
    "interval": (FixedInterval(3), FixedInterval(2)),
    "budget": (Budget(0.1, 2), Budget(0.9, 2)),
    "fps": (FrameRate(25.0, 2, least=0.1), FrameRate(25.0, 2, least=0.9)),
}


def frames_of(config, frames, state=None):
    """Steps over frames; the last state and the results."""
    state = init_state(simple_params(), frames[0], config=config) if state is None else state
    results = []
    for frame in frames:
        state, result = segment_frame(simple_params(), state, frame, config=config)
        results.append(jax.device_get(result))
    return state, results


def test_another_number_is_no_other_program():
    clip = video(2)
    frames_of(SIMPLE.replace(policy=Budget(0.1, 2)), clip)
    before = segment_frame._cache_size()
    for policy in (Budget(0.11, 2), Budget(0.5, 2, limit=7), Budget(np.float64(0.3), 2)):
        frames_of(SIMPLE.replace(policy=policy), clip)
    assert segment_frame._cache_size() == before
    frames_of(SIMPLE.replace(policy=ExpectedConfidence(50)), clip)
    before = segment_frame._cache_size()
    for target in (50.0, 49, np.float32(3)):
        frames_of(SIMPLE.replace(policy=ExpectedConfidence(target)), clip)
    assert segment_frame._cache_size() == before


def test_a_compiled_step_serves_every_number():
    """What `dvsnet segment` compiles ahead of time."""
    clip, config = video(2), SIMPLE.replace(policy=ExpectedConfidence(-1e9))
    state = init_state(simple_params(), clip[0], config=config)
    step = segment_frame.lower(simple_params(), state, clip[0], config=config).compile()
    state, _ = step(simple_params(), state, clip[0], config=config)
    state, result = step(simple_params(), state, clip[1], config=config)
    assert not result.segmented.any()
    _, result = step(simple_params(), state, clip[1], config=config.replace(policy=ExpectedConfidence(1e9)))
    assert result.segmented.all() and (np.asarray(result.targets) == 1e9).all()


def test_another_target_counts_from_the_next_frame():
    clip = video(4)
    low = SIMPLE.replace(policy=ExpectedConfidence(-1e9))
    state, results = frames_of(low, clip[:2])
    assert not results[1].segmented.any()
    high = low.replace(policy=ExpectedConfidence(1e9))
    state, results = frames_of(high, clip[2:3], state)
    assert results[0].segmented.all() and (results[0].targets == 1e9).all()
    _, result = segment_clip(simple_params(), state, clip[3:], config=low)
    assert not result.segmented.any()


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_not_in_the_state(kind):
    """Two policies that differ in their settings alone go on from the same state, each by its own."""
    first, second = KINDS[kind]
    evidence = Evidence(*(jnp.full(4, number) for number in (70.0, 30.0, 30.0)))
    _, state = first.decide(first.init(4), evidence)
    own, others = first.decide(state, evidence)[0], second.decide(state, evidence)[0]
    if kind == "budget":  # whose limit moves on from where it is
        limits = [policy.decide(state, evidence)[1].limit for policy in (first, second)]
        assert (limits[0] > limits[1]).all()
        return
    assert own.tolist() != others.tolist()
    assert not np.array_equal(*(np.broadcast_to(policy.targets(state), 4) for policy in (first, second)))


@pytest.mark.parametrize(
    "ours,theirs,came,expected",
    [
        (ExpectedConfidence(), AccumulatedLoss(), r"AccumulatedLossState of loss float32\[2\]", "nothing"),
        (AccumulatedLoss(), ExpectedConfidence(), "nothing", r"AccumulatedLossState of loss float32\[2\]"),
        (FixedInterval(2), AccumulatedLoss(), "AccumulatedLossState of loss", "FixedIntervalState of frames int32"),
        (DynamicTarget(), Budget(0.2, 2), "BudgetState of loss", r"TargetMoves of segmented int32\[2\], warped int32"),
    ],
)
def test_another_policys_state_is_refused(ours, theirs, came, expected):
    clip = video(1)
    state = init_state(simple_params(), clip[0], config=SIMPLE.replace(policy=theirs))
    config = SIMPLE.replace(policy=ours)
    message = f"of another policy: it carries {came}.*{type(ours).__name__} {expected}"
    with pytest.raises(ValueError, match=message) as refused:
        segment_frame(simple_params(), state, clip[0], config=config)
    advice = re.search(r"state\._replace\(policy=config\.policy\.init\((\d+)\)\)", str(refused.value))
    state = state._replace(policy=config.policy.init(int(advice[1])))
    jax.eval_shape(lambda state: segment_frame(simple_params(), state, clip[0], config=config), state)


@pytest.mark.parametrize("policy", [Budget(0.2, 4), FrameRate(25.0, 1), SharedBudget(0.2, 4), SharedFrameRate(9.0, 4)])
def test_a_budget_of_other_frames_is_refused(policy):
    """Of four regions, where two streams have two each: one credit would be both streams', and one's restart would
    part it."""
    config, frames = SIMPLE.replace(policy=policy), video(1, streams=2)[0]
    with pytest.raises(ValueError, match=rf"for frames of {policy.regions} regions, but .* into 2; give it regions="):
        init_state(simple_params(), frames, config=config)
    state = init_state(simple_params(), frames, config=SIMPLE.replace(policy=dataclasses.replace(policy, regions=2)))
    with pytest.raises(ValueError, match=rf"for frames of {policy.regions} regions"):
        segment_frame(simple_params(), state, frames, config=config)


def test_a_state_for_other_regions_is_refused():
    config = SIMPLE.replace(policy=AccumulatedLoss())
    state = init_state(simple_params(), video(1)[0], config=config)
    short = state._replace(policy=config.policy.init(3))
    with pytest.raises(ValueError, match=r"carries .* float32\[3\], and AccumulatedLoss .* float32\[2\]"):
        segment_frame(simple_params(), short, video(1)[0], config=config)


# --- the configuration as a pytree ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_leaves_are_the_policys_numbers(kind):
    config, other = (DVSNetConfig(policy=policy) for policy in KINDS[kind])
    leaves, structure = jax.tree.flatten(config)
    assert leaves and all(leaf.dtype in (np.float32, np.int32) and leaf.shape == () for leaf in leaves)
    back = jax.tree.unflatten(structure, leaves)
    assert type(back.policy) is type(config.policy) and jax.tree.leaves(back) == leaves
    assert jax.tree.structure(other) == structure != jax.tree.structure(config.replace(overlap=8))
    assert hash(config) == hash(config.replace()) and config != other  # static under jit still


def test_a_policys_numbers_can_be_traced():
    """Built, replaced and asked inside a traced function, whose checks have no number to look at."""

    @jax.jit
    def decide(config, fall):
        policy = DynamicTarget(config.policy.target, fall, 0.0)
        config = config.replace(policy=policy)
        return policy.decide(policy.init(2), Evidence(*[jnp.array([70.0, 90.0])] * 3))[0], config

    segment, config = decide(DVSNetConfig(policy=ExpectedConfidence(80.0)), 1.0)
    assert segment.tolist() == [True, False] and config.policy.target == 80


@dataclass(frozen=True)
class Mine:
    """A user's own."""

    target: float = 90.0
    every: int = 2

    def init(self, regions):
        return ()

    def decide(self, state, evidence):
        assert self.target > 0, "compiled in, so it can be looked at"
        return evidence.score < self.target, state

    def targets(self, state):
        return self.target


@dataclass(frozen=True)
class MineTraced(Mine):
    traced: ClassVar = ("target",)

    def decide(self, state, evidence):
        return (evidence.score < self.target) & (self.every > 1), state


@dataclass(frozen=True)
class MineBelow(ExpectedConfidence):
    """What a built-in policy has traced is not traced in what is made of it, unless it says so."""

    def decide(self, state, evidence):
        return evidence.score < (self.target if self.target > 0 else 0.0), state


def test_ones_own_policy_is_compiled_in_unless_it_says_otherwise():
    clip = video(2)
    for policy, leaves in ((Mine(), 0), (MineTraced(), 1), (MineBelow(), 0)):
        assert len(jax.tree.leaves(SIMPLE.replace(policy=policy))) == leaves
    frames_of(SIMPLE.replace(policy=MineTraced(-1e9)), clip)
    before = segment_frame._cache_size()
    _, results = frames_of(SIMPLE.replace(policy=MineTraced(1e9)), clip)
    assert segment_frame._cache_size() == before and results[1].segmented.all() and results[1].targets[0, 0] == 1e9
    _, results = frames_of(SIMPLE.replace(policy=MineBelow(-1e9)), clip)
    assert segment_frame._cache_size() == before + 1 and not results[1].segmented.any()

    @dataclass(frozen=True)
    class Wrong(Mine):
        traced: ClassVar = ("target", "taget")

    with pytest.raises(TypeError, match=r"Wrong\.traced names taget, but it is for fields .*\(every, target\)"):
        DVSNetConfig(policy=Wrong())
