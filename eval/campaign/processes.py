"""Commands in processes of their own, which are forked from one that has the libraries, and may be killed."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PRELOADED = [
    "av", "cv2", "numpy", "PIL.Image", "jax", "orbax.checkpoint", "dvsnet_jax.cli", "dvsnet_jax.checkpoints",
    "dvsnet_jax.inference.segment_source", "dvsnet_jax.inference.segment_many", "dvsnet_jax.evaluation.evaluate",
    "dvsnet_jax.evaluation.reports.evaluation", "dvsnet_jax.datasets.flow.dis", "dvsnet_jax.training.accelerate",
    "dvsnet_jax.training.segmentation_run", "dvsnet_jax.program", "dvsnet_jax.export", "dvsnet_jax.media.products",
    "dvsnet_jax.training.own_network", "dvsnet_jax.training.warm_start", "grain.python", "scipy.stats",
    "campaign.traced",
]  # fmt: skip
_LONGEST = 60.0  # seconds of work: past them a command hangs, and so it does where it does nothing for as long
_IDLE, _LOOK = 0.05, 0.01
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2  # by which root reads and writes what it has no rights to


def compile_quickly(kept: Path) -> None:
    """For processes that start after this: programs without XLA's dear optimizations, kept in a folder."""
    for name, value in {
        "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(kept.absolute()), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
    }.items():  # fmt: skip
        os.environ.setdefault(name, value)


def server() -> Any:
    """What processes are forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def worked(process: int) -> float:
    """Seconds of processor time that a process has had, 0 where it is no more. On a busy machine a minute by the clock
    may be a second of them."""
    try:
        numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Ended:
    """How a command ended."""

    status: int
    """Its exit status; minus the signal's number where one ended it."""
    told: str
    """What it wrote to stderr."""
    seconds: float
    """By the clock."""
    work: float
    """Seconds of processor time."""
    hangs: bool = False

    @property
    def problems(self) -> list[str]:
        """What nobody should see, whatever goes wrong."""
        if "Traceback" in self.told or re.search(r"unexpected \w+: ", self.told):
            return [f"traceback: {self.told.strip().splitlines()[-1][:200]}"]
        return [f"hang: over {_LONGEST:g} s"] if self.hangs else []


class Command:
    """`dvsnet` with these words, running."""

    def __init__(
        self, words: list[str], log: Path, *, most_bytes: int | None = None, without_rights: bool = False
    ) -> None:
        """`most_bytes` is the length that its files may have, as of a disk that is full; `without_rights` takes from
        root what it may do more than others."""
        self._log, self._began, self._worked = log, time.monotonic(), 0.0
        log.parent.mkdir(parents=True, exist_ok=True)
        self.process = server().Process(target=_run, args=(words, str(log), most_bytes, without_rights), daemon=True)
        self.process.start()

    def join(self) -> Ended:
        """Waits for its end, as long as it does not hang."""
        began = before = self._work()
        hangs, idle = False, 0.0
        while self.process.is_alive() and not hangs:
            self.process.join(5 * _LOOK)
            idle += 5 * _LOOK  # not by the clock, which goes on where a machine is halted
            if (work := self._work()) - before > _IDLE:
                before, idle = work, 0.0
            hangs = work - began > _LONGEST or idle > _LONGEST
        hangs &= self.process.is_alive()
        took = time.monotonic() - self._began
        self.process.kill()
        self.process.join()
        told = self._log.read_text() if self._log.exists() else ""
        return Ended(self.process.exitcode or 0, told, took, self._worked, hangs)

    def reach(self, work: float) -> None:
        """Waits until it has had so many seconds of processor time, or has ended: on a machine whose speed drifts the
        same moment of its work."""
        while self.process.is_alive() and self._work() < work:
            self.process.join(_LOOK)

    def kill(self, work: float) -> Ended:
        """SIGKILL after so many seconds of processor time, if it is still there."""
        self.reach(work)
        self.process.kill()
        return self.join()

    def _work(self) -> float:
        self._worked = max(self._worked, worked(self.process.pid))  # of a process that is no more, what was seen last
        return self._worked


def _run(words: list[str], log: str, most_bytes: int | None, without_rights: bool) -> None:
    number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(number, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if without_rights and os.geteuid() == 0:
        _as_others()
    from dvsnet_jax.cli import main

    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    sys.exit(main(words))


def _as_others() -> None:
    """Takes from this thread, and those that it will start, the capabilities by which root passes over rights."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) == 0:
        data[0] &= ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
        libc.capset(header, data)
