"""Scores set right by what the audit sees: on made-up streams, and in the frame step."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from tiny import CARRIED, carried_params, video

from dvsnet_jax import AccumulatedLoss, init_state, segment_frame
from dvsnet_jax.cli import main
from dvsnet_jax.cli.screen import tell_audit
from dvsnet_jax.frame_motion import FrameMotion, motion_shape
from dvsnet_jax.inference.delivery import Summary
from dvsnet_jax.policies import init_recalibration, observed, recalibrated

step = jax.jit(observed)
NO = np.zeros(1, bool)


def after(scores, agreements, cut=NO, state=None):
    """The state after one-stream frames of as many regions as the rows have."""
    state = init_recalibration(1) if state is None else state
    for score, agreement in zip(scores, agreements, strict=True):
        state = step(state, jnp.float32(score)[None], jnp.float32(agreement)[None], cut)
    return state


def test_twice_the_loss_is_expected_where_twice_as_much_was_lost():
    rng = np.random.default_rng(0)
    expected = rng.uniform(85, 100, (400, 4))
    true = 100 - 2 * (100 - expected) + rng.normal(0, 1, expected.shape)
    ratio = float(after(expected, true).ratio[0])
    assert abs(ratio - 2) < 0.4  # drawn to 1 by what it begins with
    scores = recalibrated(after(expected, true), jnp.array([[100.0, 90.0, 105.0, jnp.nan, jnp.inf]]))
    np.testing.assert_allclose(scores[0, :2], [100, 100 - 10 * ratio], rtol=1e-5)
    np.testing.assert_array_equal(scores[0, 2:], [105, np.nan, np.inf])
    assert abs(float(after(expected, expected).ratio[0]) - 1) < 0.01


def test_what_is_no_number_or_was_not_audited_changes_nothing():
    state = after([[90.0, 80.0]] * 20, [[80.0, 60.0]] * 20)
    for score, agreement in (([90, 80], [np.nan] * 2), ([np.nan, np.inf], [10, 10]), ([-np.inf] * 2, [50, 50])):
        other = after([score], [agreement], state=state)
        np.testing.assert_array_equal(other, state)
    one = after([[90.0, 80.0]] * 20, [[80.0, np.nan]] * 20)
    assert np.isfinite(one.ratio).all() and float(one.expected[0]) < float(state.expected[0])


def test_one_flash_is_no_other_kind_of_video_and_bounds_hold():
    usual = after([[98.0] * 4] * 50, [[98.0] * 4] * 50)
    assert float(after([[98.0] * 4], [[98.0, 98.0, 98.0, 0.0]], state=usual).ratio[0]) < 1.1
    assert float(after([[90.0] * 4] * 99, [[0.0] * 4] * 99).ratio[0]) <= 4
    assert float(after([[0.0] * 4] * 99, [[100.0] * 4] * 99).ratio[0]) >= 1 / 4
    assert 0 < float(after([[150.0, -50.0]] * 9, [[50.0, 150.0]] * 9).ratio[0]) < 4


def test_it_follows_a_change_forgets_at_a_cut_and_keeps_streams_apart():
    state = after([[90.0] * 4] * 60, [[90.0] * 4] * 60)
    changed = after([[90.0] * 4] * 40, [[75.0] * 4] * 40, state=state)
    assert float(changed.ratio[0]) > 1.8
    assert float(after([[90.0] * 4], [[np.nan] * 4], cut=~NO, state=changed).ratio[0]) == 1
    two = init_recalibration(2)
    for _ in range(30):
        two = step(two, jnp.full((2, 4), 90.0), jnp.array([[80.0] * 4, [90.0] * 4]), np.zeros(2, bool))
    first, second = map(float, two.ratio)
    assert first > 1.5 and abs(second - 1) < 1e-6


@pytest.fixture(scope="module")
def runs():
    """A drifting video said not to move, so that warping does worse than the fresh decision network has it."""
    clip = video(12, seed=4)
    cells = motion_shape(*clip.shape[2:4])
    still = FrameMotion(np.zeros((1, *cells, 2), np.float32), np.ones((1, *cells), np.float32))
    config = CARRIED.replace(policy=AccumulatedLoss(60.0))
    params = carried_params()

    def run(recalibrate):
        state, results = init_state(params, clip[0], config=config, recalibrate=recalibrate), []
        for frames in clip:
            state, result = segment_frame(params, state, frames, None, still, config=config, audit=True)
            results.append(jax.device_get(result))
        return state, jax.tree.map(lambda *values: np.stack(values), *results)

    return run(False), run(True)


def test_in_the_frame_step_policies_see_the_score_that_was_set_right(runs):
    (plain, as_was), (state, result) = runs
    assert plain.recalibration is None
    np.testing.assert_array_equal(as_was.expected, as_was.scores)
    # What the pure functions make of the same numbers.
    wanted, own = init_recalibration(1), []
    for expected, agreement, first in zip(result.expected, result.agreement, np.arange(12) == 0, strict=True):
        own.append(np.asarray(recalibrated(wanted, expected)))
        wanted = observed(wanted, expected, agreement, np.array([first]))
    np.testing.assert_allclose(result.scores, own, rtol=1e-5)
    np.testing.assert_allclose(state.recalibration, wanted, rtol=1e-5)
    assert float(wanted.ratio[0]) != 1 and np.isfinite(result.agreement).any()
    seen = np.isfinite(result.scores)
    assert (result.scores[seen] != result.expected[seen]).any()


def test_the_command_tells_what_was_expected_before_and_after(tmp_path, capsys):
    (tmp_path / "clip").mkdir()
    for index, frame in enumerate(video(4, height=128, width=192)):
        Image.fromarray(frame[0]).save(tmp_path / "clip" / f"{index}.png")
    command = ["segment", str(tmp_path / "clip"), "--out", str(tmp_path / "out"), "--no-overlay", "--interval", "2"]
    assert main([*command, "--recalibrate"]) == 0
    lines = [json.loads(line)["regions"] for line in (tmp_path / "out" / "routes.jsonl").read_text().splitlines()]
    assert lines[1][0]["score"] == lines[1][0]["expected"] != None  # noqa: E711
    assert lines[2][0]["agreement"] is not None and lines[3][0]["score"] != lines[3][0]["expected"]
    said = "routes.jsonl right, and nothing else: FixedInterval(interval=2) goes by none"
    assert said in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--recalibrate", "--program", "x.dvsnet"]) == 2
    told = Summary(audited=[(90.0, 60.0)] * 30, recalibrated=[65.0] * 30)
    tell_audit("drive", told)
    told = " ".join(capsys.readouterr().err.split())
    assert "expected were 90.0%, and 65.0% after recalibration" in told and "the two are 30.0 points apart" in told
