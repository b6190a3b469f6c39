"""The portability table: what lowers, what does not and why, and the agreement of what is here."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video
from tiny_files import clip, write_images

from dvsnet_jax import SegmentationFunction, checkpoints, networks
from dvsnet_jax.benchmarks import portability
from dvsnet_jax.benchmarks.exported_program import read_clip, run_directly, run_program
from dvsnet_jax.errors import InputError
from dvsnet_jax.export.lowering import lower
from dvsnet_jax.export.step_by_name import named_step
from dvsnet_jax.policies import ExpectedConfidence


def main(*arguments: str) -> int:
    path = Path(__file__).parents[2] / "eval" / "portability.py"
    spec = importlib.util.spec_from_file_location("recipe_portability", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(arguments)


def test_the_table(tmp_path, capsys):
    folder = tmp_path / "weights"
    checkpoints.save(folder, tiny_params(), TINY.replace(policy=ExpectedConfidence(50.0)))
    write_images(tmp_path / "drive", clip(4))
    options = ["--weights", str(folder), "--size", "64x96", "--frames", "4", "--input", str(tmp_path / "drive")]
    assert main(*options, "--platforms", "cpu,tpu", "--precisions", "float32", "--json", str(tmp_path / "p.jsonl")) == 0
    printed = capsys.readouterr().out
    assert "| cpu, float32 | yes |" in printed and "| tpu, float32 | yes |" in printed and "not here" in printed

    here, elsewhere = map(json.loads, (tmp_path / "p.jsonl").read_text().splitlines())
    # The program is the exported one: on the CPU it is the direct call, bit for bit.
    assert here["run"]["labels"] == here["run"]["routes"] == 1 and here["run"]["scores"] == 0
    assert 0 < here["run"]["segmented"] < 1 and here["run"]["device"] == "cpu"
    assert here["memory"]["arguments"] > 4 * 10_000 and here["memory"]["temporary"] > 0
    assert elsewhere["run"] is None and elsewhere["memory"] is None and elsewhere["failed"] is None
    for row in (here, elsewhere):
        assert row["program_bytes"] > 10_000 and row["custom_calls"] == {} and row["refused"] is None
        # A convolution of few channels is a matrix product, so the two together are the networks' layers.
        operations = row["operations"]
        assert operations["while"] >= 1 and operations["convolution"] > 10
        assert operations["convolution"] + operations["dot_general"] > 20
        assert 0 < row["multiply_adds"][0] < row["multiply_adds"][1]


def scores_of(params, images):
    return -images[:, ::16, ::16] * params


def test_a_platform_that_cannot_run_it_is_a_row_with_the_reason():
    def foreign(params, images):
        shape = jax.ShapeDtypeStruct((images.shape[0], 4, 4, 3), jnp.float32)
        return jax.ffi.ffi_call("my_segmenter", shape)(images)

    def by_platform(params, images):
        return jax.lax.platform_dependent(params, images, cpu=scores_of, default=foreign)

    own = TINY.replace(segmentation=SegmentationFunction(function=by_platform, num_classes=3), regions=(1, 1))
    params = {**networks.init_params(jax.random.key(0), own), "segmentation": jnp.ones(3)}
    frames = video(3, height=64, width=64)
    here, refused = portability.examine(params, own, frames, platforms=["cpu", "tpu"], precisions=["float32"])
    assert here.refused is None and here.run.labels == 1
    assert refused.refused.startswith("tpu cannot run the custom call my_segmenter") and refused.program_bytes is None
    assert "| tpu, float32 | no: tpu cannot run the custom call my_segmenter" in portability.table([here, refused])


def test_disagreement_is_measured():
    own = TINY.replace(segmentation=SegmentationFunction(function=scores_of, num_classes=3), regions=(1, 1))
    params = {**networks.init_params(jax.random.key(0), own), "segmentation": jnp.ones(3)}
    frames, cpu = video(3, height=64, width=64), jax.devices("cpu")[0]
    expected = run_directly(params, own, frames, cpu=cpu)
    expected = expected._replace(segmented=~expected.segmented, scores=expected.scores + 2, labels=expected.labels // 2)
    step = named_step(params, own, 64, 64, platforms=["cpu"], streams=1)
    program = bytes(lower(step, ["cpu"]).serialize())
    _, run = run_program(program, step.weights, step.arguments[1], frames, expected, device=cpu)
    assert run.routes == 0 and run.scores == pytest.approx(2, abs=1e-4) and 0 < run.labels < 1


def test_clips(tmp_path):
    frames = read_clip(None, (64, 96), frames=3, streams=2)
    assert frames.shape == (3, 2, 64, 96, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames[1:, 0], frames[:-1, 1])
    write_images(tmp_path / "drive", clip(2))
    with pytest.raises(InputError, match="has 2 frames, and 3 of 1 streams need 3"):
        read_clip(str(tmp_path / "drive"), (64, 96), frames=3)


def test_unknown_platforms_are_refused():
    with pytest.raises(InputError, match="'gpu' is not one of"):
        portability.examine(tiny_params(), TINY, video(2), platforms=["gpu"])
