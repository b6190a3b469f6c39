"""The check of a device: its parts for real, tiny, on this CPU; and what becomes of those that hang, die or fail."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dvsnet_jax.benchmarks.device import check
from dvsnet_jax.benchmarks.device.check import PARTS, check_device, table
from dvsnet_jax.benchmarks.device.parts import _PARTS
from dvsnet_jax.errors import InputError

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "eval" / "device_check.py"

# In place of the real parts: it does what the part's name says.
PROGRAM = """
import json, os, signal, subprocess, sys, time
told = json.loads(sys.argv[1])
keep = lambda found: open(told["found"], "w").write(json.dumps(found))
match told["part"]:
    case "device": keep({"rate": 2.5, "rows": [{}, {}]})
    case "parity": keep({"warp": 1.0, "failure": "beyond rounding"}); print("a trace"); sys.exit(1)
    case "files": os.kill(os.getpid(), signal.SIGKILL)
    case "tests":
        keep({"so far": 1})
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open(os.environ["CHILD"], "w").write(str(child.pid))
        time.sleep(60)
    case part: keep({"programs": os.environ.get("JAX_COMPILATION_CACHE_DIR")})
"""


def recipe():
    spec = importlib.util.spec_from_file_location("recipe_device_check", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_a_part_that_hangs_dies_or_fails_costs_itself_alone(tmp_path, monkeypatch):
    (tmp_path / "part.py").write_text(PROGRAM)
    monkeypatch.setattr(check, "_PROGRAM", (sys.executable, str(tmp_path / "part.py")))
    monkeypatch.setitem(PARTS, "tests", 8.0)
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    os.mkfifo(tmp_path / "child")
    seen, children = [], []

    class Process(subprocess.Popen):
        """Its 8 seconds are over as soon as it has said something and has a child."""

        def wait(self, timeout=None):
            if timeout != 8:
                return super().wait(timeout)
            children.append(int((tmp_path / "child").read_text()))
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(subprocess, "Popen", Process)

    def progress(name):
        seen.append(json.loads((tmp_path / "check.json").read_text())["parts"][0]["state"])

    parts = ["device", "parity", "files", "tests", "start", "start again", "speed street"]
    results = check_device(tmp_path / "check.json", parts=parts, progress=progress)
    states = {each.name: each.state for each in results}
    assert states == {
        "device": "done", "parity": "failed", "files": "failed", "tests": "stopped", "start": "done",
        "start again": "done", "speed street": "done",
    }  # fmt: skip
    assert seen[:2] == ["left out", "done"]  # the file was whole before the first part, and after each
    device, parity, files, tests, start, again, street = results
    assert device.found == {"rate": 2.5, "rows": [{}, {}]} and device.output is None
    assert (parity.failure, parity.found, parity.output) == ("beyond rounding", {"warp": 1.0}, "a trace")
    assert files.failure == "the process ended with SIGKILL"
    assert tests.failure == "stopped after 8 s" and tests.found == {"so far": 1}
    _ended(*children)
    assert start.found["programs"] == again.found["programs"] != ""  # the second finds what the first compiled
    assert street.found["programs"] == ""  # and no time of the others depends on an earlier run
    written = json.loads((tmp_path / "check.json").read_text())
    assert [part["state"] for part in written["parts"]] == list(states.values())
    assert "| device | done |" in table(results) and "rate: 2.5; rows: 2 rows" in table(results)
    assert "stopped after 8 s; so far: 1" in table(results)


def _ended(process: int) -> None:
    """What a stopped part had started is killed too; its parent is gone, so that it may be a zombie for a while."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        if (stat := Path(f"/proc/{process}/stat")).exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError(f"process {process} goes on")


def test_what_is_left_when_the_time_is_over_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "part.py").write_text(PROGRAM)
    monkeypatch.setattr(check, "_PROGRAM", (sys.executable, str(tmp_path / "part.py")))
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    monkeypatch.setattr(check, "_LEAST", 0.1)
    results = check_device(tmp_path / "check.json", parts=["tests", "device"], minutes=0.01)
    assert [each.state for each in results] == ["stopped", "left out"]
    assert results[1].failure == "0.01 minutes are over"


def test_what_cannot_be_checked_is_said_before_anything_runs(tmp_path, capsys):
    assert set(PARTS) == set(_PARTS)
    with pytest.raises(InputError, match="'speeds' is no part of the check; these are: device, parity"):
        check_device(tmp_path / "check.json", parts=["speeds"])
    with pytest.raises(InputError):
        check_device(tmp_path / "nowhere" / "check.json")
    assert recipe()(["--minutes", "0"]) == 2
    capsys.readouterr()


def small(tmp_path, *more: str) -> dict:
    """The check's parts by name, run small on this CPU; time limits are for machines that do nothing else."""
    file = tmp_path / "check.json"
    assert recipe()(["--small", "--limit", "600", "--minutes", "60", "--json", str(file), *more]) == 0, file.read_text()
    return {part["name"]: part["found"] for part in json.loads(file.read_text())["parts"]}


def test_a_part_for_real_on_this_cpu(tmp_path):
    found = small(tmp_path, "--parts", "start")
    times = [found["start"][name] for name in ("imported", "weights loaded", "compiled", "first frame", "second frame")]
    assert times == sorted(times) and times[0] > 0


@pytest.mark.slow
def test_the_whole_check_small_on_this_cpu(tmp_path):
    found = small(tmp_path)
    assert set(found) == set(PARTS)
    assert found["parity"]["warp"]["largest difference"] < 2e-5
    assert found["parity"]["cpu, default products"]["labels"] == 1.0
    assert found["device"]["device"].endswith("cpu") and found["tests"]["gpu"]["failed"] == 0
    rows = found["speed street"]["rows, compact, prepared, float32, 2 streams"]
    assert [row["segmented"] for row in rows] == [0, 1, 2, 3, 4, None]
    assert found["files"]["street"]["frames/s"] > 0
