"""Runs of `dvsnet segment` in processes of their own that are killed when they touch their output for the n-th time."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
from pathlib import Path

PRELOADED = [
    "av", "cv2", "PIL.Image", "orbax.checkpoint", "dvsnet_jax.cli", "dvsnet_jax.inference.segment_many",
    "dvsnet_jax.inference.segment_source", "dvsnet_jax.media.products", "dvsnet_jax.checkpoints", "killed_runs",
    "traced_tiny",
]  # fmt: skip
_TOUCHES = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")


def killed(arguments: list[str], out: Path, touches: int, part: int | None = None) -> bool:
    """Runs the command, which writes to `out`, and has it killed at so many touches; whether it came to that. `part` is
    how many frames apart the places are where it can be gone on from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)  # imported once, for all of them
    process = context.Process(target=_run, args=(arguments, str(out), touches, part))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _run(arguments: list[str], out: str, touches: int, part: int | None) -> None:
    from dvsnet_jax.cli import main
    from dvsnet_jax.media import output_folder

    output_folder.PART = part or output_folder.PART
    count = itertools.count(1)  # one thread's number is no other's

    def touched(event: str, given: tuple) -> None:
        if event in _TOUCHES and str(given[0]).startswith(out) and next(count) == touches:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)
    sys.exit(main(arguments))
