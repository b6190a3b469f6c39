"""Two real processes in one training: who writes, who reads, and how all of them end when one cannot go on."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, video

from dvsnet_jax import LocalDecisionConfig
from dvsnet_jax.cli.run_options import join_processes
from dvsnet_jax.cli.running import run_command
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference import processes
from dvsnet_jax.ops.warp_cues import CUES
from dvsnet_jax.training import accelerate, loop, parallel
from dvsnet_jax.training.decision import example_files
from dvsnet_jax.training.decision.examples import PairSample
from dvsnet_jax.training.decision.network import DecisionTraining

HERE = Path(__file__).parent
TESTS = HERE.parent


class Numbers:
    """This process's batches: one number each, 10 × process and up; the one called `missing` cannot be read."""

    def __init__(self, missing=None):
        self.at, self.missing = 0, missing

    def __next__(self):
        self.at += 1
        if self.at == self.missing:
            raise InputError("frame 7 cannot be read")
        return np.float32([10 * jax.process_index() + self.at])

    def state(self):
        return {"at": self.at, "process": jax.process_index()}

    def restore(self, state):
        assert state["process"] == jax.process_index()
        self.at = state["at"]


@jax.jit
def add(state, batch):
    return {**state, "w": state["w"] + batch.sum()}, {"loss": batch.sum()}


def fresh():
    """A number, and much that cannot be made smaller."""
    return {"w": jnp.float32([0]), "much": jax.random.normal(jax.random.key(0), (4096,))}


def train(folder, steps, *, data=None, settings=None, validation=None):
    return loop.run(
        folder, {"kind": "a test", **(settings or {})}, fresh, add, data or Numbers(),
        loop.Schedule(steps=steps, look_every=2, save_every=2), params_of=lambda state: state, validation=validation,
    )  # fmt: skip


def refused(work, *args, **options):
    """What an error says, or None."""
    try:
        work(*args, **options)
    except InputError as error:
        return str(error)
    return None


@contextmanager
def full_disk():
    """For the first process: no file of its grows past 8 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if jax.process_index() == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def decision(root):
    """The second half of `accelerate`, in a folder that both share, with samples that need no networks."""

    def samples(params, key, current, carried=None, *, config):
        assert jax.process_index() == 0, "the first process makes the data"
        rng = np.random.default_rng(int(key.sum()) + int(current.sum()))
        feature = rng.normal(size=(4, 4, 4, len(CUES))).astype(np.float32)
        confidence = 90 + 4 * feature.mean((1, 2, 3))
        return PairSample(feature, confidence, np.abs(feature[:, 0, 0, 0]), None, None, confidence)

    example_files.pair_samples = samples
    clips = [[LabelledImage(frame, np.full((64, 96), 255, np.uint8)) for frame in video(12)[:, 0]]]
    config = TINY.replace(decision=LocalDecisionConfig(grid=(4, 4), width=4))
    options = accelerate.Acceleration(decision=DecisionTraining(epochs=2, batch_size=4), pairs=8)
    params = {"segmentation": {}, "flow": {}, "decision": {}}
    made = accelerate.learn_decision(params, config, clips, clips, Path(root) / "accelerate", options)
    leaves = [np.asarray(leaf).tobytes().hex() for leaf in jax.tree.leaves(made.params["decision"])]
    return {"leaves": leaves, "rows": len(made.rows)}


def one_process(number, root):
    """All situations, one after the other. The two processes share no folder unless it says so."""
    join_processes(True)
    own = Path(root) / f"own_{number}"
    said = {}
    far = loop.Validation(measure=lambda state: {"far": abs(float(state["w"][0]) - 20)}, by="far", highest=False)
    first = train(own / "run", 2, validation=far)
    again = train(own / "run", 4, validation=far)
    best, record = loop.best(own / "run", jax.eval_shape(fresh))
    said["w"] = [float(jax.device_get(state)["w"][0]) for state in (first, again)]
    said["best"] = [float(best["w"][0]), record["step"], record["far"]]
    sign = parallel.from_first(lambda: ({"w": np.float32([-0.0, np.nan])}, "said"), {"w": np.zeros(2, np.float32)})
    said["bits"] = [sign[0]["w"].tobytes().hex(), sign[1]]
    said["unreadable"] = refused(train, own / "unreadable", 6, data=Numbers(missing=4 if number == "1" else None))
    said["unreadable at once"] = refused(train, own / "at_once", 6, data=Numbers(missing=1 if number == "1" else None))
    with full_disk():
        said["full disk"] = refused(train, own / "full", 4)
    said["settings"] = refused(train, own / "settings", 2, settings={"samples": 90 + int(number)})
    parallel._PATIENCE = 0.3
    said["shared"] = [refused(parallel.check_shared, folder) for folder in (Path(root) / "shared", own / "not_shared")]
    said["decision"] = decision(root)
    said["files"] = sorted(str(path.relative_to(own)) for path in own.rglob("*")) if own.exists() else []
    (Path(root) / f"said_{number}.json").write_text(json.dumps(said))

    @dataclass
    class Train:
        def run(self):
            if number == "1":
                raise InputError("my weights are not here")
            train(own / "not_begun", 2)
            return 0

    sys.exit(run_command(Train, [], name="train"))


def two_processes(root):
    """(exit status, output) of each, and what each said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(map(str, (HERE, TESTS, TESTS.parent))),
        # What srun sets, but for the port.
        "SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2",
        "JAX_COORDINATOR_ADDRESS": address,
    }  # fmt: skip
    code = "import sys, test_several_processes as t; t.one_process(*sys.argv[1:])"
    command = [sys.executable, "-X", "faulthandler", "-c", code]
    outputs = [(root / f"told_{number}").open("w+") for number in range(2)]
    processes = []
    for number, output in enumerate(outputs):
        place = {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)}
        words = [*command, str(number), str(root)]
        processes.append(subprocess.Popen(words, env={**environment, **place}, stdout=output, stderr=output))
    for process in processes:
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # its stack is told
            process.wait()
    told = []
    for output in outputs:
        output.seek(0)
        told.append(output.read())
        output.close()
    said = [json.loads(path.read_text()) for number in range(2) if (path := root / f"said_{number}.json").exists()]
    assert len(said) == 2, told
    return [(process.returncode, text) for process, text in zip(processes, told, strict=True)], said


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def ended(root):
    return two_processes(root)


@pytest.mark.parametrize("before", ["", "--xla_dump_to=here", "--xla_cpu_collective_timeout_seconds=5"])
def test_processes_wait_for_each_other_for_longer_than_half_an_hour(before, monkeypatch):
    told = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda: told.append(os.environ["XLA_FLAGS"].split()))
    monkeypatch.setenv("XLA_FLAGS", before)
    processes.join()
    asked = [flag for flag in told[0] if flag.startswith("--xla_cpu_collective_timeout_seconds=")]
    assert asked == (["--xla_cpu_collective_timeout_seconds=604800"] if "timeout" not in before else [before])
    assert not before or before in told[0]


def test_all_go_on_from_what_the_first_has_saved_and_have_its_best(ended):
    _, (first, second) = ended
    # Of both processes' batches: 1 + 11, 2 + 12, then 3 + 13, 4 + 14.
    assert first["w"] == second["w"] == [26.0, 60.0]
    assert first["best"] == second["best"] == [26.0, 2, 6.0]
    assert first["bits"] == second["bits"] == [np.float32([-0.0, np.nan]).tobytes().hex(), "said"]


def test_only_the_first_process_writes(ended):
    _, (first, second) = ended
    assert {"run/latest", "run/best", "run/metrics.jsonl", "run/settings.json"} <= {*first["files"]}
    assert [name for name in second["files"] if "not_shared" not in name] == []


@pytest.mark.parametrize("situation", ["unreadable", "unreadable at once"])
def test_a_batch_that_one_cannot_read_ends_both(ended, situation):
    _, (first, second) = ended
    assert second[situation] == "frame 7 cannot be read"
    assert first[situation] == "process 1 of 2 stopped: frame 7 cannot be read"


def test_a_full_disk_on_the_first_ends_both(ended):
    _, (first, second) = ended
    assert "latest: the training's state cannot be written" in first["full disk"]
    assert second["full disk"] == f"process 0 of 2 stopped: {first['full disk']}"


def test_processes_of_different_runs_are_refused(ended):
    _, said = ended
    for each in said:
        assert each["settings"].startswith("samples is 91 in process 1 and 90 in process 0: all processes are of one")


def test_a_folder_that_is_not_shared_is_refused_where_it_must_be(ended):
    _, (first, second) = ended
    assert first["shared"][0] is None and second["shared"][0] is None
    assert "own_1/not_shared: is not the folder that the first process sees" in second["shared"][1]
    assert first["shared"][1] == f"process 1 of 2 stopped: {second['shared'][1]}"


def test_an_error_before_the_training_ends_both_in_one_line(ended):
    (first, second), _ = ended
    assert first[0] == second[0] == 1
    assert second[1].splitlines()[-1] == "train: my weights are not here"
    line = "train: process 1 of 2 stopped: my weights are not here"
    assert first[1].splitlines()[-1] == line


def test_the_decision_networks_data_are_made_once_and_both_learn_from_them(ended, root):
    _, (first, second) = ended
    assert first["decision"]["leaves"] == second["decision"]["leaves"]
    assert (first["decision"]["rows"], second["decision"]["rows"]) == (3, 0)
    made = {path.name for path in (root / "accelerate" / "decision-data" / "train").iterdir()}
    assert made == {"X.npy", "Y.npy", "flow_magnitude.npy", "samples.jsonl", "settings.json"}
