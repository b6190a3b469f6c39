"""The benchmarks run and count right; how long anything takes is never asserted."""

from __future__ import annotations

import gc
import gzip
import importlib.util
import json
import resource
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import CARRIED, TINY, carried_params, tiny_params
from tiny_files import clip, weights, write_images, write_video  # noqa: F401

from dvsnet_jax import init_state, segment_frame
from dvsnet_jax.benchmarks import end_to_end, region, tables
from dvsnet_jax.benchmarks import frame_step as speed
from dvsnet_jax.benchmarks.frame_step import Form
from dvsnet_jax.benchmarks.trace import trace_steps
from dvsnet_jax.cli.compile_cache import keep_compiled
from dvsnet_jax.errors import InputError

EVAL = Path(__file__).parents[2] / "eval"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("recipe_speed", EVAL / "speed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_form_is_timed_beside_every_frame(recipe, weights, tmp_path, capsys, monkeypatch):  # noqa: F811
    rounds = []

    def noted(rate):
        return lambda *args, repeats, **more: rounds.append(repeats) or rate(*args, repeats=repeats, **more)

    for name in ("matmul_rate", "copy_rate"):
        monkeypatch.setattr(speed, name, noted(getattr(speed, name)))
    forms = ["compact,prepared", "dense,trained", "2,compact"]
    out = tmp_path / "speed.jsonl"
    call = ["--weights", weights, "--size", "64x96", "--repeats", "1", "--json", str(out), "--forms", *forms]
    assert recipe.main(call) == 0
    assert rounds == [1, 1]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["segmented"] for row in rows] == [0, 1, 2, 3, 4, None, 0, 4, None, 0, 1, 2, 3, 4, None]
    steps = [row for row in rows if row["streams"] == 1 and row["routing"] == "compact"]
    assert np.ptp(np.diff([row["multiply_adds"] for row in steps[:5]])) <= 1  # each region adds the same
    assert steps[5]["multiply_adds"] == steps[4]["multiply_adds"] - steps[0]["multiply_adds"]
    assert all(row["memory_bytes"] > 64 * 96 * 3 and row["median_s"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert (
        "every frame, no DVSNet" in printed
        and "for each region segmented" in printed
        and "gain (frames/s) at" in printed
    )


def test_without_dvsnet_labels_are_those_of_a_first_frame():
    frames = clip(1)[:1]
    state = init_state(tiny_params(), frames, config=TINY)
    expected = segment_frame(tiny_params(), state, frames, config=TINY)[1].labels
    np.testing.assert_array_equal(speed._every_frame(tiny_params(), frames, config=TINY), expected)


def test_tables_are_of_the_timings():
    timings = [
        speed.Timing(Form(), count, 4, (0.1 + 0.2 * count,), 1.0, 2**20, 10**9 * (1 + count)) for count in range(5)
    ] + [speed.Timing(Form(), None, 4, (0.85,), 1.0, 2**20, 4 * 10**9)]
    step = tables.step_table(timings, {"float32": 10**11})
    assert step.rows[0][2:6] == ("100.0 (100.0–100.0)", "11.1%", "10.00", "1.0") and step.rows[0][6] == "10%"
    (gain,) = tables.gain_table(timings).rows
    assert gain[1:3] == (f"{0.85 / 0.14:.2f}× ({1 / 0.14:,.2f})", f"{0.85 / 0.18:.2f}× ({1 / 0.18:,.2f})")
    (line,) = tables.fit_lines(timings)
    assert "100.0 ms + 200.0 ms" in line and "residual of this line is 0.0 ms" in line


def test_stages_are_timed_beside_the_whole_step(recipe, weights, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "stages.jsonl"
    call = ["stages", "--weights", weights, "--size", "64x96", "--repeats", "1", "--json", str(out)]
    assert recipe.main(call) == 0
    names = [json.loads(line)["name"] for line in out.read_text().splitlines()]
    assert names[1:3] == ["flow network", "decision network"] and names[-1] == "whole step, nothing segmented"
    assert "whole step less the two networks" in capsys.readouterr().out


def test_a_region_gives_pytorchs_scores():
    pytest.importorskip("torch")
    rows = region.time_region(
        TINY, height=64, width=96, repeats=1, peers=EVAL / "peers", compiled=False
    )  # the tiny network: the paper's takes minutes to compile
    assert [row.what for row in rows] == ["ours, as trained", "ours, prepared", "PyTorch eager",
                                          "PyTorch eager, channels_last"]  # fmt: skip
    assert all(row.difference < 1e-3 for row in rows) and rows[0].difference == 0
    assert len(region.table(rows).rows) == 4


def test_end_to_end_times_each_stage(recipe, weights, tmp_path, capsys):  # noqa: F811
    write_images(tmp_path / "frames", clip(3))
    write_video(tmp_path / "drive.mp4", clip(4))
    call = ["end-to-end", "--weights", weights, "--input", str(tmp_path / "frames"), str(tmp_path / "drive.mp4")]
    assert recipe.main([*call, "--json", str(tmp_path / "rows.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [(row["frames"], row["height"], row["width"]) for row in rows] == [(3, 64, 96), (4, 64, 96)]
    assert all(row[stage] > 0 for row in rows for stage in ("read", "step", "write", "whole", "every_frame"))
    assert "of the slowest stage" in capsys.readouterr().out
    with pytest.raises(InputError, match="no such file"):
        end_to_end.time_inputs(tiny_params(), TINY, ["missing.mp4"])


def test_a_trace_has_the_stages_by_name(weights, tmp_path, capsys):  # noqa: F811
    spec = importlib.util.spec_from_file_location("recipe_step_trace", EVAL / "step_trace.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(["--save-dir", str(tmp_path), "--weights", weights, "--size", "64x96", "--steps", "1"]) == 0
    trace = Path(capsys.readouterr().out.strip())
    text = gzip.decompress(trace.read_bytes()).decode()
    assert "segment_frame" in text and trace.is_relative_to(tmp_path)


def test_a_trace_of_carried_motion(tmp_path):
    trace = trace_steps(carried_params(), CARRIED, tmp_path, height=64, width=96, steps=1)
    assert "segment_frame" in gzip.decompress(trace.read_bytes()).decode()


def test_memory_does_not_grow_with_the_length_of_a_video():
    """Arrays alive, and the process's own memory, over 300 frames after the first 50."""
    frames = clip(2)
    state = init_state(tiny_params(), frames[:1], config=TINY)

    def run(state, count):
        for number in range(count):
            state, result = segment_frame(tiny_params(), state, frames[number % 2][None], config=TINY)
        jax.block_until_ready(result)
        gc.collect()
        return state, len(jax.live_arrays()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    state, arrays, peak = run(state, 50)
    state, arrays_later, peak_later = run(state, 300)
    assert arrays_later <= arrays and peak_later - peak < 20_000  # KiB


def test_compiled_programs_are_kept_in_the_users_cache(monkeypatch, tmp_path):
    before = jax.config.jax_compilation_cache_dir
    try:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        keep_compiled()
        assert jax.config.jax_compilation_cache_dir == before  # the tests' own place is set
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        keep_compiled()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "dvsnet-jax" / "xla")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_wrong_options_are_told(recipe, capsys):
    for call, told in ((["sideways"], "sideways"), (["end-to-end"], "needs --input"), (["--forms", "odd"], "odd")):
        assert recipe.main(call) == 2
        assert told in capsys.readouterr().err
