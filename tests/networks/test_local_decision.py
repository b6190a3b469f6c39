"""The local decision network and the cues of a warp that it reads."""

from __future__ import annotations

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video

from dvsnet_jax import (
    DVSNetConfig,
    ExpectedConfidence,
    LocalDecisionConfig,
    config_json,
    init_state,
    networks,
    segment_frame,
)
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.policies.simulation import segmented, simulate
from dvsnet_jax.ops.warp_cues import CUES, key_cells, warp_cues
from dvsnet_jax.training.decision.examples import pair_samples
from dvsnet_jax.training.decision.network import DecisionTraining, batches, predict, squared_error, start, train_step
from dvsnet_jax.training.restoring import fresh_decision

LOCAL = TINY.replace(decision=LocalDecisionConfig(grid=(4, 6), width=8))
HEIGHT, WIDTH = 10, 12  # of the flow's grid


@cache
def local_params():
    """The tiny network's, with a decision network whose scores vary."""
    fresh = networks.init_params(jax.random.key(1), LOCAL)["decision"]
    return {**tiny_params(), "decision": jax.tree.map(lambda a: 3 * a, fresh)}


@partial(jax.jit, static_argnames="grid")
def jitted_cues(current, key, scores, flow, scale, grid):
    return warp_cues(current, key_cells(key, scores), flow, scale, grid)


def pictures(n=2, seed=0):
    """Half-size pictures whose 4×4 blocks are of one colour: cells of the flow's grid."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (n, HEIGHT, WIDTH, 3)), np.ones((1, 4, 4, 1), int)).astype(np.uint8)


def scores_of(labels, classes=3, sure=5.0):
    return sure * jax.nn.one_hot(jnp.asarray(labels), classes)


def cues(current, key, scores, flow=(0, 0), scale=1.0, grid=(HEIGHT, WIDTH)):
    """By name, at the flow's own grid where nothing is pooled."""
    flow = np.broadcast_to(np.asarray(flow, np.float32), (len(current), HEIGHT, WIDTH, 2))
    scale = np.full((len(current), HEIGHT, WIDTH, 1), scale, np.float32)
    found = np.asarray(jitted_cues(current, key, scores, jnp.asarray(flow), jnp.asarray(scale), grid))
    assert found.shape == (len(current), *grid, len(CUES)) and found.dtype == np.float32
    return dict(zip(CUES, np.moveaxis(found, -1, 0), strict=True))


def halves():
    """Labels: class 0 in the left half, 1 in the right."""
    return np.broadcast_to((np.arange(WIDTH) >= WIDTH // 2).astype(int), (2, HEIGHT, WIDTH))


def test_nothing_moves_nothing_shows():
    picture = pictures()
    found = cues(picture, picture, scores_of(halves()))
    for name in ("motion", "tear", "misfit", "difference", "outside", "change"):
        assert not found[name].any(), name
    assert found["texture"].mean() > 1
    sure = np.exp(5) / (np.exp(5) + 2)
    np.testing.assert_allclose(found["probability"], sure, rtol=1e-5)
    np.testing.assert_allclose(found["key probability"], sure, rtol=1e-5)
    np.testing.assert_allclose(found["margin"], (np.exp(5) - 1) / (np.exp(5) + 2), rtol=1e-5)
    edge = np.zeros((HEIGHT, WIDTH))
    edge[:, WIDTH // 2 - 1] = 1  # the cells left of the border
    np.testing.assert_array_equal(found["edge"], np.broadcast_to(edge, found["edge"].shape))


def test_a_shift_that_the_flow_knows_fits_and_one_that_it_does_not_know_does_not():
    key = pictures(seed=1)
    current = np.roll(key, -4 * 2, axis=2)  # what was at x + 2 cells is now at x
    right, wrong = cues(current, key, scores_of(halves()), (2, 0)), cues(current, key, scores_of(halves()))
    inside = np.s_[:, :, : WIDTH - 2]
    np.testing.assert_allclose(right["misfit"][inside], 0, atol=1e-5)
    np.testing.assert_array_equal(right["difference"], wrong["difference"])
    np.testing.assert_allclose(wrong["misfit"], wrong["difference"])
    assert right["difference"][inside].mean() > 1
    np.testing.assert_allclose(right["motion"], np.log(3), rtol=1e-5)
    # Two columns look past the region; two columns before the border are of another class now.
    np.testing.assert_array_equal(right["outside"].any((0, 1)), np.arange(WIDTH) >= WIDTH - 2)
    np.testing.assert_array_equal(right["change"].all((0, 1)), (np.arange(WIDTH) >= 4) & (np.arange(WIDTH) < 6))
    assert right["change"].mean() == pytest.approx(2 / WIDTH)


def test_flow_tears_where_neighbours_part():
    flow = np.zeros((2, HEIGHT, WIDTH, 2), np.float32)
    flow[:, :, 7:] = (0, 3)
    found = cues(pictures(), pictures(), scores_of(halves()), flow)["tear"]
    np.testing.assert_allclose(found[:, :, 6], np.log(4), rtol=1e-5)
    assert not np.delete(found, 6, axis=2).any()


def test_the_scale_field_makes_surer():
    weak, strong = (cues(pictures(), pictures(), scores_of(halves(), sure=1.0), scale=scale) for scale in (1, 4))
    assert (strong["probability"] > weak["probability"]).all() and (strong["margin"] > weak["margin"]).all()
    np.testing.assert_array_equal(strong["key probability"], weak["key probability"])


@pytest.mark.parametrize("grid", [(5, 6), (1, 1)])
def test_cells_of_the_decision_grid_are_means(grid):
    rng = np.random.default_rng(0)
    flow = rng.normal(0, 2, (2, HEIGHT, WIDTH, 2)).astype(np.float32)
    scores = jnp.asarray(rng.normal(size=(2, HEIGHT, WIDTH, 4)), jnp.float32)
    whole, pooled = (cues(pictures(), pictures(seed=4), scores, flow, grid=grid) for grid in ((HEIGHT, WIDTH), grid))
    for name in CUES:
        # Resizing with a triangle filter: means up to the rim, where a cell's weights are cut off.
        assert pooled[name].mean() == pytest.approx(whole[name].mean(), abs=0.02 + 0.12 * float(whole[name].std())), (
            name
        )


def test_scores_of_any_grid_and_images_of_either_type_will_do():
    labels = np.kron(halves(), np.ones((1, 2, 2), int))
    fine = cues(pictures(), pictures(seed=2), scores_of(labels))
    coarse = cues(pictures().astype(np.float32), pictures(seed=2), scores_of(halves()[:, ::2, ::2]))
    for name in ("misfit", "difference", "texture"):
        np.testing.assert_allclose(fine[name], coarse[name], rtol=1e-5)
    assert np.isfinite(np.stack(list(coarse.values()))).all()


def test_score_is_the_mean_of_the_cells_in_percent():
    network = networks.decision_network(LOCAL.decision)
    read = jax.random.normal(jax.random.key(0), (3, 4, 6, len(CUES)))
    score, seen = jax.jit(network.apply)({"params": local_params()["decision"]}, read)
    assert seen["agreement"].shape == (3, 4, 6)
    np.testing.assert_allclose(score, 100 * np.asarray(seen["agreement"]).mean((1, 2)), rtol=1e-6)
    assert ((score > 0) & (score < 100)).all() and np.ptp(score) > 0.1


def test_frame_step_simulation_and_training_see_the_same():
    clip = video(4, height=75, width=100)
    params = local_params()
    state, scores, labels = init_state(params, clip[0], config=LOCAL), [], []
    for frame in clip:
        # Nothing is segmented after the first frame.
        state, result = segment_frame(params, state, frame, config=LOCAL.replace(policy=ExpectedConfidence(0.0)))
        scores.append(np.asarray(result.scores[0]))
        labels.append(np.asarray(result.labels[0]))
    assert np.isnan(scores[0]).all() and np.ptp(scores[1:]) > 1e-3

    sample = pair_samples(params, clip[0], clip[2], config=LOCAL)
    by_training = predict(params["decision"], sample.feature, config=LOCAL.decision)
    np.testing.assert_allclose(by_training, scores[2], rtol=1e-4)

    frames = [segmented(params, frame[0], config=LOCAL) for frame in clip]
    run = simulate(params, frames, "learned", np.inf, np.zeros((4, 4), np.float32), config=LOCAL)
    np.testing.assert_allclose(-run.urgency.learned, scores[1:], rtol=1e-4)
    np.testing.assert_array_equal(run.labels, labels)


def test_it_learns():
    rng = np.random.default_rng(0)
    read = rng.normal(size=(256, 4, 6, len(CUES))).astype(np.float32) + rng.normal(size=(256, 1, 1, 1))
    confidence = 100 * np.asarray(1 / (1 + np.exp(-1.5 + read[..., 2]))).mean((1, 2)).astype(np.float32)
    training = DecisionTraining(learning_rate=0.01)
    state = start(fresh_decision(LOCAL.decision, len(CUES)), training, 8)
    before = float(squared_error(state.params, read, confidence, config=LOCAL.decision))
    for indices, _ in zip(batches(len(read), training), range(240), strict=False):
        state, _ = train_step(
            state, read[indices].astype(np.float32), confidence[indices],
            config=LOCAL.decision, training=training, steps_per_epoch=8,
        )  # fmt: skip
    after = float(squared_error(state.params, read, confidence, config=LOCAL.decision))
    assert after < 0.05 * confidence.var() < before


@pytest.mark.parametrize("kind", [LOCAL.decision, dataclasses.replace(TINY.decision, grid=(4, 6))])
def test_in_bfloat16_scores_are_not_rounded_to_halves(kind):
    read = 0.1 * jax.random.normal(jax.random.key(0), (64, 4, 6, len(CUES)), jnp.bfloat16)
    params = fresh_decision(kind, len(CUES))
    score, _ = jax.jit(networks.decision_network(kind).apply)({"params": params}, read)
    assert score.dtype == jnp.float32 and len(np.unique(score)) > 60


def test_it_is_configured_stored_and_refused():
    config = DVSNetConfig.street()
    assert config.decision == LocalDecisionConfig()
    assert config_json.from_json(config_json.to_json(config)) == config
    with pytest.raises(ValueError, match="a width of at least 1"):
        LocalDecisionConfig(width=0)
    with pytest.raises(TypeError, match="decision is 'local'; it is one of DecisionConfig, LocalDecisionConfig"):
        config.replace(decision="local")
    stored = config_json.to_json(config)
    stored["decision"]["grid"] = [16]
    with pytest.raises(InputError, match="grid"):
        config_json.from_json(stored)
