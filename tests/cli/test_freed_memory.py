"""What a command frees it keeps: a program's temporaries come without the kernel's help."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from dvsnet_jax.cli.freed_memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
import jax, jax.numpy as jnp
from jax import lax

def step(x):  # a temporary of 64 MiB, and a small result
    y = lax.optimization_barrier(x * 3)
    return lax.optimization_barrier(y[::-1] + 1).sum()

x = jnp.ones(1 << 24)
program = jax.jit(step).lower(x).compile()
assert program.memory_analysis().temp_size_in_bytes >= 1 << 26
def call(times):
    for _ in range(times):
        program(x).block_until_ready()
    return resource.getrusage(resource.RUSAGE_SELF)
before, after = call(20), call(10)  # until calls in flight have all had theirs
print(kept, (after.ru_minflt - before.ru_minflt) // 10)
"""


def faults(what: str) -> tuple[str, int]:
    """What it says, and the page faults of a call."""
    (line,) = said(["-c", FAULTS, what])
    kept, count = line.split()
    return kept, int(count)


def said(words: list[str], *, stdin: str = "", **environment: str) -> list[str]:
    """The lines that Python prints."""
    run = subprocess.run(
        [sys.executable, *words],
        input=stdin,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's")
def test_temporaries_cause_no_page_faults():
    kept, with_it = faults("keep")
    _, without = faults("leave")
    # Nothing as a rule; on a busy machine a call or two of the ten get memory that no call before them had.
    assert kept == "True" and with_it < without / 3
    assert without > 1 << 12, "nothing to be gained: leave malloc as it is"


def test_what_the_user_set_stays():
    code = "from dvsnet_jax.cli.freed_memory import keep_freed_memory; print(keep_freed_memory())"
    assert said(["-c", code], MALLOC_ARENA_MAX="2") == ["False"]


AGAIN = """
import os, sys
print("begun", *sys.argv[1:], flush=True)
from dvsnet_jax.cli.freed_memory import keep_freed_memory
print(keep_freed_memory(), "hugetlb=1" in os.environ.get("GLIBC_TUNABLES", ""))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's")
def test_the_process_is_begun_again_once_with_its_words(tmp_path):
    (tmp_path / "program.py").write_text(AGAIN)
    words = ["two words", "--size=1", "ö"]
    huge = tuple(map(int, platform.libc_ver()[1].split("."))) >= (2, 35)
    expected = ["begun " + " ".join(words)] * (1 + huge) + [f"True {huge}"]
    assert said([str(tmp_path / "program.py"), *words]) == expected
    assert said(["-c", AGAIN, *words]) == expected
    # A program that came by stdin has been read: begun again it would do nothing, and say nothing.
    assert said(["-", *words], stdin=AGAIN) == [expected[0], "True False"]
    assert said([], stdin=AGAIN) == ["begun", "True False"]


def test_help_and_wrong_usage_are_of_the_first_process(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nprint('begun', file=sys.stderr)")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    for word in ("--help", "--no-such-option"):
        run = subprocess.run(
            [sys.executable, "-m", "dvsnet_jax", word], env=environment, capture_output=True, text=True
        )
        assert run.stderr.count("begun") == 1
