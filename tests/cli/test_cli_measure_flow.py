"""`dvsnet measure flow`: its numbers against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import TINY, tiny_params
from tiny_files import clip, write_images

from dvsnet_jax import CarriedMotionConfig, LocalDecisionConfig, checkpoints
from dvsnet_jax.cli import main
from dvsnet_jax.datasets.flow.sets import flow_set
from dvsnet_jax.training import restoring

PAIRS = "street:2:0:64x96"
MOVES = np.float32([0.1, -0.05])  # what the flow network says everywhere, in its unit of 20 pixels


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The tiny network, whose flow is one and the same everywhere."""
    params = tiny_params()
    last = params["flow"]["predict_flow2"]
    flow = {**params["flow"], "predict_flow2": {"weights": 0 * last["weights"], "biases": MOVES}}
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    checkpoints.save(folder, {**params, "flow": flow}, TINY)
    return str(folder)


def rows(told, name):
    """Cells of the lines of a table that begin with this name."""
    return [line.strip("| ").split(" | ")[1:] for line in told.splitlines() if line.startswith(f"| {name} |")]


def test_the_end_point_error_is_that_of_the_flow(weights, capsys):
    assert main(["measure", "flow", "--weights", weights, "--pairs", PAIRS]) == 0
    pairs = list(flow_set(PAIRS))
    truth = np.concatenate([pair.flow[pair.valid] for pair in pairs])
    expected = [f"{np.linalg.norm(truth - moves, axis=-1).mean():.2f}" for moves in (20 * MOVES, 0)]
    assert rows(capsys.readouterr().out, PAIRS) == [expected] and expected[0] != expected[1]


def test_pictures_that_stand_still_are_best_copied(weights, tmp_path, capsys):
    write_images(tmp_path / "a-still", np.repeat(clip(1), 6, axis=0))
    spec = f"frames:{tmp_path / 'a-still'}"
    call = ["measure", "flow", "--weights", weights, "--clips", spec, "--gaps", "1", "3", "9", "--most", "4"]
    assert main(call) == 0
    found = rows(capsys.readouterr().out, spec)
    assert [(gap, copied, pairs) for gap, _, copied, pairs in found] == [("1", "100.00", "4"), ("3", "100.00", "3")]
    assert all(20 < float(warped) < 100 for _, warped, _, _ in found)  # it says that all moves by two pixels


def test_motion_that_comes_with_the_frames_is_measured_elsewhere(weights, monkeypatch, capsys):
    carried = TINY.replace(flow=CarriedMotionConfig(), decision=LocalDecisionConfig())
    monkeypatch.setattr(restoring, "restore", lambda path: ({}, carried))
    for what in (["--pairs", PAIRS], ["--clips", "street:1:0:64x96"]):
        assert main(["measure", "flow", "--weights", weights, *what]) == 1
        told = capsys.readouterr().err
        assert "has no flow network to measure" in told and "'dvsnet measure motion'" in told


def test_clips_without_a_pair_of_frames_are_refused(weights, tmp_path, capsys):
    write_images(tmp_path / "short", clip(2))
    call = ["measure", "flow", "--weights", weights, "--clips", f"frames:{tmp_path / 'short'}", "--gaps", "3", "9"]
    assert main(call) == 1
    assert "none of 1 clips to measure on has two frames that can be read and are 3 or 9" in capsys.readouterr().err
