"""Scores of a region that is segmented anew, joined with those that were carried there."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CARRIED, SIMPLE, carried_params, exported_steps, simple_params, video

from dvsnet_jax import (
    CarriedMotionConfig,
    DVSNetConfig,
    FixedInterval,
    FrameMotion,
    init_state,
    networks,
    segment_frame,
)
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.config_json import from_json, to_json
from dvsnet_jax.evaluation.policies.simulation import segmented, simulate
from dvsnet_jax.frame_motion import motion_shape
from dvsnet_jax.ops.warp import LARGEST, warp_scores

FUSED = CARRIED.replace(fuse=0.5, policy=FixedInterval(2))
CLIP = video(5, seed=4)
CELLS = motion_shape(*CLIP.shape[2:4])
STILL = FrameMotion(np.zeros((1, *CELLS, 2), np.float32), np.ones((1, *CELLS), np.float32))


def params(sure: float = 1.0):
    """Those of `CARRIED`, of a decision network that expects so much agreement everywhere."""
    made = carried_params()
    last = {
        "weights": made["decision"]["agreement"]["weights"] * 0,
        "biases": jnp.full(1, jax.scipy.special.logit(sure)),
    }
    return made | {"decision": made["decision"] | {"agreement": last}}


def run(config, own, *, motion=(STILL,) * 5, restart=(False,) * 5, audit=False):
    state, results = init_state(own, CLIP[0], config=config), []
    for frame, moved, begins in zip(CLIP, motion, restart, strict=True):
        state, result = segment_frame(own, state, frame, np.array([begins]), moved, config=config, audit=audit)
        results.append((jax.device_get(state), jax.device_get(result)))
    return results


def test_scores_are_the_mean_that_age_and_expected_agreement_say():
    """Every second frame, so carried scores are two frames old; at 0.95 they have half of their say."""
    raw = [state.key_scores for state, _ in run(CARRIED.replace(policy=FixedInterval(1)), params())]
    for sure, part in ((1.0, 0.5), (0.95, 0.25), (0.9, 0.0), (0.3, 0.0)):
        states = [state for state, _ in run(FUSED, params(sure))]
        first = raw[2] + part / np.sqrt(2) * (raw[0] - raw[2])
        np.testing.assert_allclose(states[2].key_scores, first, atol=2e-3)
        np.testing.assert_array_equal(states[3].key_scores, states[2].key_scores)
        second = raw[4] + part / np.sqrt(2) * (first - raw[4])
        np.testing.assert_allclose(states[4].key_scores, second, atol=2e-3)


def test_what_the_light_path_keeps_of_a_key_frame_is_of_the_joined_scores():
    state, _ = run(FUSED, params())[2]
    kept = networks.key_features(params(), state.key_images, state.key_scores, FUSED)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), state.key_features, jax.device_get(kept))


def test_compact_routing_is_as_dense():
    compact, dense = (run(FUSED.replace(routing=routing), params())[-1] for routing in ("compact", "dense"))
    np.testing.assert_allclose(compact[0].key_scores, dense[0].key_scores, atol=1e-4)
    np.testing.assert_array_equal(compact[1].labels, dense[1].labels)


def test_of_a_new_video_and_of_unknown_motion_nothing_is_carried():
    raw = [state.key_scores for state, _ in run(CARRIED.replace(policy=FixedInterval(1)), params())]
    states = [state for state, _ in run(FUSED, params(), restart=[False, False, True, False, False])]
    np.testing.assert_array_equal(states[2].key_scores, raw[2])
    lost = FrameMotion(np.full_like(STILL.flow, np.nan), STILL.trust)
    states = [state for state, _ in run(FUSED, params(), motion=[STILL, STILL, lost, STILL, STILL])]
    np.testing.assert_array_equal(states[2].key_scores, raw[2])


def test_without_a_number_the_new_scores_stand_alone():
    new, old = jnp.full((1, 4, 4, 3), 2.0), jnp.full((1, 4, 4, 3), 4.0)
    half = jnp.full((1, 2, 2), 0.5)
    np.testing.assert_allclose(networks.fused(new, old, half), 3.0)
    np.testing.assert_array_equal(networks.fused(new, old * jnp.nan, half), new)
    np.testing.assert_array_equal(networks.fused(new, old, half * jnp.nan), new)
    never = new.at[..., 1].set(-LARGEST)
    np.testing.assert_array_equal(networks.fused(never, old, half)[..., 1], never[..., 1])
    np.testing.assert_array_equal(networks.fused(new, old.at[..., 1].set(-LARGEST), half)[..., 1], 2.0)
    assert np.isnan(networks.fused(new * jnp.nan, old, half)).all()


def test_scores_on_a_coarser_grid_than_the_flows_stay_in_their_place():
    """Those of a network at 1⁄16, carried on the flow's ⅛: joined with themselves they are themselves."""
    new = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 6, 3)), jnp.float32)
    kept = new
    for _ in range(4):
        carried = warp_scores(kept, jnp.zeros((1, 8, 12, 2)), jnp.ones((1, 8, 12, 1)))
        kept = networks.fused(new, carried, jnp.full((1, 2, 2), 0.8))
    np.testing.assert_allclose(kept, new, atol=1e-5)


def test_a_region_whose_scores_are_no_numbers_does_not_pass_them_on():
    own = params() | {"segmentation": simple_params({"red": int(CLIP[2, 0, 0, 0, 0]), "value": np.nan})["segmentation"]}
    results = run(FUSED, own)
    assert np.isnan(results[2][0].key_scores[0]).all() and results[3][1].segmented[0, 0]
    assert np.isfinite(results[3][0].key_scores).all()


def test_the_audit_is_of_the_network_alone():
    own = params()
    plain = [result for _, result in run(CARRIED.replace(policy=FixedInterval(2)), own, audit=True)]
    joined = [result for _, result in run(FUSED, own, audit=True)]
    np.testing.assert_allclose(joined[2].agreement, plain[2].agreement, atol=1e-4)  # the same key frame
    assert np.isfinite(joined[4].agreement).all() and np.isnan(joined[3].agreement).all()


def test_the_simulation_is_the_frame_step():
    own = params()
    clip = [segmented(own, frame[0], config=FUSED, motion=STILL) for frame in CLIP]
    simulated = simulate(own, clip, "interval", 1.5, np.zeros((5, 2), np.float32), config=FUSED)
    results = [result for _, result in run(FUSED, own)]
    np.testing.assert_array_equal(simulated.segmented, np.stack([each.segmented[0].ravel() for each in results]))
    labels = np.stack([each.labels[0] for each in results])
    assert (simulated.labels != labels).mean() < 1e-3
    alone = simulate(own, clip, "interval", 1.5, np.zeros((5, 2), np.float32), config=FUSED.replace(fuse=0.0))
    assert (alone.labels != labels).mean() > 0.01


def test_an_exported_program_of_any_number_of_streams_does_the_same(tmp_path):
    program, results = exported_steps(tmp_path / "fused.dvsnet", params(), FUSED, CLIP, STILL)
    for result, (_, wanted) in zip(results, run(FUSED, params()), strict=True):
        np.testing.assert_array_equal(result.labels, wanted.labels)
    assert program.streams is None


def test_it_is_a_part_of_the_whole_and_of_carried_motion():
    street = DVSNetConfig.street(flow=CarriedMotionConfig(), fuse=0.25)
    assert from_json(to_json(street)) == street
    assert Settings(fuse=0.3).apply(CARRIED).fuse == 0.3 and Settings().apply(FUSED).fuse == 0.5
    with pytest.raises(UsageError, match=r"fuse is 1\.5, but it is a part of the whole: 0\.\.1"):
        Settings(fuse=1.5).apply(CARRIED)
    with pytest.raises(UsageError, match=r"--fuse 0\.3 is for carried motion, .*without --motion paper"):
        Settings(fuse=0.3).apply(SIMPLE)
    assert Settings(fuse=0.0).apply(SIMPLE) == SIMPLE
    with pytest.raises(ValueError, match="the flow is FlowFunction; only carried motion"):
        SIMPLE.replace(fuse=0.5)
