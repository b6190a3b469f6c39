"""`dvsnet evaluate` on a tiny tree of every data set, in one process and in two: the same counts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
import tiny_sets
from tiny_files import weights  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.datasets.readers.named import KINDS
from dvsnet_jax.evaluation import evaluate
from dvsnet_jax.evaluation.clips.scores import ClipRecord

# Of BDD100K's pictures one has no video, which is told.
pytestmark = pytest.mark.filterwarnings("ignore::dvsnet_jax.errors.InputNotice")


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    return tiny_sets.write_all(root) | tiny_sets.bdd100k_videos(root / "videos")


def options(trees, weights, out):  # noqa: F811
    return ["evaluate", *trees, "--weights", weights, "--out", str(out), "--target", "50", "--show", "0"]


def counted(out) -> dict[str, dict]:
    """Of each clip all but the time."""
    text = "".join(path.read_text() for path in out.glob("clips*.jsonl"))
    records = [ClipRecord.from_json(json.loads(line)).as_json() for line in text.splitlines()]
    return {each["clip"]: each | {"seconds": 0, "timed": 0} for each in records}


@pytest.fixture(scope="module")
def alone(trees, weights, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("alone")
    assert main(options(trees, weights, out)) == 0
    return out


def test_every_set_is_evaluated_by_its_name(trees, alone):
    assert {spec.split(":")[0] for spec in trees} == KINDS | {"bdd100k-videos"}
    expected = {name: frames for clips in trees.values() for name, frames in clips.items()}
    found = counted(alone)
    assert {name: (each["frames"], each["labelled"]) for name, each in found.items()} == {
        name: (len(frames), sum(frame is not None for frame in frames)) for name, frames in expected.items()
    }
    for name, frames in expected.items():
        true = [
            sum(row) + void
            for row, void in zip(*(found[name]["dvsnet"][part] for part in ("confusion", "void")), strict=True)
        ]
        half = tiny_sets.SIZE[0] * tiny_sets.SIZE[1] // 2
        assert true == [half * frames.count(label) for label in range(5)], name


@pytest.fixture(scope="module")
def by_two(trees, weights, alone, tmp_path_factory):  # noqa: F811
    """The parts that two processes would take, one after the other into one folder."""
    out = tmp_path_factory.mktemp("two")
    for number in (0, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluate.jax, "process_index", lambda number=number: number)
            # The second finds the first one's clips in its log, and takes what is left.
            patch.setattr(evaluate, "own_part", lambda clips, number=number: clips[:: 2 - number])
            patch.setattr(evaluate, "gather", lambda value: [value])
            assert main(options(trees, weights, out)) == 0
    assert len([*out.glob("clips*.jsonl")]) == 2
    return counted(out)


@pytest.mark.parametrize("kind", sorted([*KINDS, "bdd100k-videos"]))
def test_the_parts_of_two_processes_count_alike(trees, alone, by_two, kind):
    (clips,) = (clips for spec, clips in trees.items() if spec.startswith(f"{kind}:"))
    for name in clips:
        assert by_two[name] == counted(alone)[name]


@pytest.mark.slow
def test_two_processes_count_alike(trees, alone, weights, tmp_path):  # noqa: F811
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    job = {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2", "JAX_PLATFORMS": "cpu"}
    call = [sys.executable, "-m", "dvsnet_jax", *options(trees, weights, tmp_path / "out"), "--distributed"]
    processes = [
        subprocess.Popen(
            call,
            env={**os.environ, **job, "SLURM_PROCID": n, "SLURM_LOCALID": n, "JAX_COORDINATOR_ADDRESS": address},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for n in ("0", "1")
    ]
    for process in processes:
        _, told = process.communicate(timeout=600)
        assert process.returncode == 0, told
    assert counted(tmp_path / "out") == counted(alone)
    totals = [json.loads((out / "results.json").read_text()) for out in (alone, tmp_path / "out")]
    assert totals[0]["dvsnet"] == totals[1]["dvsnet"]
