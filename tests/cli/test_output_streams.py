"""What the command prints where nobody reads it, and in an encoding that does not have its characters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dvsnet_jax.cli.failures import one_line

COMMAND = """
import sys
from dataclasses import dataclass
from dvsnet_jax.cli.running import run_command

@dataclass(frozen=True)
class Say:
    text: str
    times: int

    def run(self) -> int:
        for _ in range(self.times):
            print(self.text)
        return 0

sys.exit(run_command(Say, None, name="say"))
"""


@pytest.mark.parametrize("times", [1, 20_000], ids=["at the end", "on its way"])
def test_whoever_reads_may_go(times):
    """As `| head -1` does."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", COMMAND, "--text", "hello", "--times", str(times)]
    done = subprocess.run(words, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_is_closed():
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", COMMAND, "--text", "hello", "--times", "1"]
    done = subprocess.run(words, env=environment, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_characters_that_the_terminal_does_not_have_come_as_escapes():
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": "latin-1:strict"}
    words = [sys.executable, "-c", COMMAND, "--text", "Straße 道 \udcff", "--times", "1"]
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Straße \\u9053 \\udcff\n".encode("latin-1"), b"")


@pytest.mark.parametrize("error", [MemoryError("3 PiB"), RuntimeError("RESOURCE_EXHAUSTED: 3 PiB\nmore")])
def test_where_memory_runs_out(error):
    told = one_line(error)
    assert "memory ran out" in told and "3 PiB" in told and "--input-size" in told and "\n" not in told
