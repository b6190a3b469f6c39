"""Motion searched for inside the step: right on a picture that moves, unknown at a cut, carried as given motion is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import STEP, moving, with_a_cut
from tiny import CARRIED, carried_params
from tiny_files import write_images

from dvsnet_jax import (
    CarriedMotionConfig,
    FixedInterval,
    checkpoints,
    init_state,
    preprocessing,
    segment_clip,
    segment_frame,
)
from dvsnet_jax.cli import main
from dvsnet_jax.evaluation.policies.simulation import segmented, simulate
from dvsnet_jax.export import export_program
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.ops.motion_search import search_motion
from dvsnet_jax.program import load_program

SEARCHED = CARRIED.replace(flow=CarriedMotionConfig(searched=True), policy=FixedInterval(3))
SIZE = (144, 240)
SEARCH = jax.jit(search_motion)


def halves(frames):
    return preprocessing.half(jnp.asarray(frames))


def run(frames, config=SEARCHED):
    state, results = init_state(carried_params(), frames[:1], config=config), []
    for frame in frames:
        state, result = segment_frame(carried_params(), state, frame[None], config=config)
        results.append(jax.tree.map(np.asarray, result))
    return state, jax.tree.map(lambda *leaves: np.stack(leaves), *results)


def test_it_finds_what_moved_and_says_where_it_may_be_trusted():
    frames = moving(4, *SIZE)
    small = halves(frames)
    flow, trust = SEARCH(small[1:], small[:-1])
    assert flow.shape == (3, 18, 30, 2) and trust.shape == (3, 18, 30)
    assert 8 * np.abs(np.asarray(flow)[:, 2:-2, 2:-2] - STEP / 8).mean() < 0.6
    assert trust.mean() > 0.8 and trust.min() >= 0 and trust.max() <= 1
    still, _ = SEARCH(small[1:], small[1:])
    assert np.abs(still)[:, 2:-2, 2:-2].mean() < 0.02


@pytest.mark.parametrize("size", [(64, 64), (80, 208), (144, 240)])
def test_any_region_goes(size):
    small = halves(moving(4, *size))
    flow, _ = SEARCH(small[1:], small[:-1])
    assert flow.shape == (3, size[0] // 8, size[1] // 8, 2) and np.isfinite(flow).all()


def test_at_a_cut_nothing_is_known_and_everything_segmented():
    frames = with_a_cut(2, 2)
    small = halves(frames)
    flow, _ = SEARCH(small[1:], small[:-1])
    assert np.isnan(flow).reshape(3, -1).all(1).tolist() == [False, True, False]
    _, result = run(frames, SEARCHED.replace(policy=FixedInterval(100), regions=(1, 1), overlap=0))
    assert result.segmented.all((1, 2)).tolist() == [True, False, True, False]
    assert not result.untrusted.any()


def test_the_step_carries_what_it_finds():
    frames = moving(3, *SIZE)
    config = SEARCHED.replace(regions=(1, 1), overlap=0, policy=FixedInterval(100))
    state, _ = run(frames, config)
    assert 8 * np.abs(np.asarray(state.carried.flow)[0, 3:-3, 3:-3] - 2 * STEP / 8).mean() < 1.5
    begin = init_state(carried_params(), frames[:1], config=config)
    clip_state, clip = segment_clip(carried_params(), begin, frames[:, None], config=config)
    _, single = run(frames, config)
    np.testing.assert_array_equal(clip.labels, single.labels)
    np.testing.assert_array_equal(clip_state.previous_images, state.previous_images)


def test_the_simulation_and_an_exported_program_do_the_same(tmp_path):
    frames = moving(7, *SIZE)
    _, result = run(frames)
    clip = [segmented(carried_params(), frame, config=SEARCHED) for frame in frames]
    simulated = simulate(carried_params(), clip, "interval", 2.5, np.zeros((7, 2), np.float32), config=SEARCHED)
    np.testing.assert_array_equal(simulated.segmented, result.segmented[:, 0])
    assert (simulated.labels == result.labels[:, 0]).mean() > 0.999
    export_program(tmp_path / "p", carried_params(), SEARCHED, height=SIZE[0], width=SIZE[1], platforms=["cpu"])
    program = load_program(tmp_path / "p")
    state = program.init_state()
    assert not program.takes_motion
    for frame, labels in zip(frames, result.labels, strict=True):
        state, exported = program.step(state, frame[None])
        assert (np.asarray(exported.labels) == labels).mean() > 0.999


def test_given_motion_is_refused_and_so_is_a_state_of_the_other_kind():
    frame = moving(1, *SIZE)
    state = init_state(carried_params(), frame, config=SEARCHED)
    with pytest.raises(ValueError, match="finds its own"):
        segment_frame(carried_params(), state, frame, None, for_step(None, *SIZE), config=SEARCHED)
    with pytest.raises(ValueError, match="another kind of flow"):
        segment_frame(carried_params(), state, frame, None, for_step(None, *SIZE),
                      config=SEARCHED.replace(flow=CarriedMotionConfig()))  # fmt: skip


def test_the_command_takes_it(tmp_path, capsys, monkeypatch):
    write_images(tmp_path / "drive", moving(3, *SIZE))
    given = SEARCHED.replace(flow=CarriedMotionConfig())
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (carried_params(), given))
    run = ["segment", str(tmp_path / "drive"), "--no-overlay", "--no-color", "--out", str(tmp_path / "out")]
    assert main([*run, "--motion", "network"]) == 0
    assert "motion by" not in capsys.readouterr().err and '"motion"' not in (tmp_path / "out/routes.jsonl").read_text()
