"""Ablations: what changes is what was asked for, and the recipe prints a row for each variant."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from test_policy_sweep import by_the_frame_step, middle, tiny_params, tiny_video
from tiny import TINY, video
from tiny_files import weights, write_labelled  # noqa: F401

from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.labelled import LabelledClip
from dvsnet_jax.evaluation.policies.ablations import (
    WARPING_NAMES,
    ablation_table,
    check_sizes,
    grids,
    overlaps,
    sweep_warpings,
)
from dvsnet_jax.evaluation.policies.simulation import POLICIES, WARPINGS, simulate
from dvsnet_jax.ops.warp import warp_nearest


def test_warping_labels_takes_the_nearest():
    labels = jnp.asarray(np.random.default_rng(0).integers(0, 5, (2, 16, 24), np.uint8))
    still = jnp.zeros((2, 2, 3, 2))
    np.testing.assert_array_equal(warp_nearest(labels, still), labels)
    # One pixel of the ⅛ grid to the right and half of one up: 8 and 4 pixels; what lies outside repeats the border.
    moved = warp_nearest(labels, still + jnp.asarray([1.0, -0.5]))
    rows, columns = np.clip(np.arange(16) - 4, 0, 15), np.clip(np.arange(24) + 8, 0, 23)
    np.testing.assert_array_equal(moved, np.asarray(labels)[:, rows][:, :, columns])
    assert moved.dtype == np.uint8
    # On its own grid: 0.4 pixels is where it was, 0.6 is the next.
    fine = jnp.zeros((2, 16, 24, 2))
    np.testing.assert_array_equal(warp_nearest(labels, fine + 0.4), labels)
    np.testing.assert_array_equal(warp_nearest(labels, fine - 0.6)[:, 1:, 1:], labels[:, :-1, :-1])


def test_flow_of_half_a_pixel_loses_no_column():
    """Rounded to the even one, half-way points would take every second column twice and leave out the others."""
    labels = np.arange(16 * 24, dtype=np.int32).reshape(1, 16, 24)
    half = jnp.full((1, 16, 24, 2), 0.5)
    for flow in (half, half + 1, half - 1):
        moved = np.asarray(warp_nearest(labels, flow))
        down = int(np.floor(float(flow[0, 0, 0, 1]) + 0.5))
        rows, columns = (np.clip(np.arange(size) + down, 0, size - 1) for size in (16, 24))
        np.testing.assert_array_equal(moved, labels[:, rows][:, :, columns])


@pytest.fixture(scope="module")
def runs():
    (clip,) = tiny_video()
    threshold = middle("learned")
    found = {
        warping: simulate(tiny_params(), clip.frames, "learned", threshold, clip.draws, config=TINY, warping=warping)
        for warping in WARPINGS
    }
    return found, threshold


def test_warpings_change_the_warped_labels_alone(runs):
    found, _ = runs
    scores, unscaled, labels = (found[warping] for warping in WARPINGS)
    for other in (unscaled, labels):
        np.testing.assert_array_equal(other.segmented, scores.segmented)
        np.testing.assert_array_equal(other.labels[0], scores.labels[0])
        assert (other.labels != scores.labels).mean() > 0.001
    assert (labels.labels != unscaled.labels).mean() > 0.001


def test_without_the_scale_field_is_the_frame_step_whose_scale_head_is_one(runs):
    found, threshold = runs
    flow = tiny_params()["flow"]
    head = flow["predict_scale"]
    one = {"weights": np.zeros_like(head["weights"]), "biases": np.ones_like(head["biases"])}
    params = {**tiny_params(), "flow": {**flow, "predict_scale": one}}
    labels, segmented = by_the_frame_step("learned", threshold, found["unscaled"].segmented, params)
    np.testing.assert_array_equal(found["unscaled"].segmented, segmented)
    np.testing.assert_array_equal(found["unscaled"].labels, labels)


def test_variants():
    assert {name: config.overlap for name, config in overlaps(TINY, (0, 32)).items()} == {"0": 0, "32": 32}
    assert {name: config.regions for name, config in grids(TINY, ((1, 2),)).items()} == {"1×2": (1, 2)}
    clip = LabelledClip("tiny", [frame for frame in _images()])
    check_sizes(overlaps(TINY, (0, 16)), [clip])
    with pytest.raises(InputError, match="tiny: variant 128: overlap 128 is too large"):
        check_sizes(overlaps(TINY, (0, 128)), [clip])


def _images():
    from dvsnet_jax.datasets.samples import LabelledImage

    return [LabelledImage(frame, frame[..., 0] % 5) for frame in video(2, height=64, width=96)[:, 0]]


def test_every_warping_has_a_name_and_a_row():
    assert set(WARPING_NAMES) == set(WARPINGS)
    found = sweep_warpings(tiny_params(), tiny_video(), config=TINY, policy="interval", shares=(0.4,))
    table = ablation_table("warped", found)
    assert table.columns == ("warped", "mIoU, all segmented", "at 40% of regions (kept)", "G multiply-adds a frame")
    assert [row[0] for row in table.rows] == list(WARPING_NAMES.values())
    assert {row[1] for row in table.rows} == {"100.00%"}
    cells = [result.policies["interval"][0] for result in found.values()]
    assert len({cell.mean_iou for cell in cells}) == 3
    assert [row[2].split()[0] for row in table.rows] == [f"{cell.mean_iou:.2%}" for cell in cells]


def test_recipe(tmp_path, weights, capsys):  # noqa: F811
    path = Path(__file__).parents[2] / "eval" / "ablations.py"
    spec = importlib.util.spec_from_file_location("eval_ablations", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    frames = video(7, height=75, width=100)[:, 0]
    data = write_labelled(tmp_path, frames, frames[..., 0] % 5)
    out = tmp_path / "ablations.jsonl"
    small = ["--weights", weights, "--data", data, "--shares", "0.5", "--policy", "interval", "--no-time"]
    assert module.main(["overlap", *small, "--overlaps", "0", "128"]) == 1
    assert "variant 128: overlap 128 is too large for 75×100" in capsys.readouterr().err
    assert module.main(["overlap", "warping", *small, "--overlaps", "16", "--json", str(out)]) == 0
    rows = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows == ["| overlap", "| 16", "| warping", *(f"| {name}" for name in WARPING_NAMES.values())]
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(record["what"], record["variant"]) for record in records if record["is"] == "at share"} == {
        ("overlap", "16"), *(("warping", name) for name in WARPING_NAMES.values()),
    }  # fmt: skip
    assert all(record["policy"] in (*POLICIES, "every frame", "first frames only") for record in records)
