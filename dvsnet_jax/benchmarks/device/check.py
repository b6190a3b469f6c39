"""One look at a device within minutes: is it right, how fast, how soon. Each part is a process of its own with its own
time limit, so that one that hangs, or takes the device down, costs itself alone; `parts` is what they do.

What is known so far is one JSON file, written anew after every part: `{"what": "device_check", "parts": [...], …}`.
A part is `done`, `failed` (`failure` says why), `stopped` by its limit or `left out` because the time was over; what it
had `found` until then is kept in each case.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dvsnet_jax.errors import InputError
from dvsnet_jax.markdown import Table, markdown_table
from dvsnet_jax.media.atomic import atomic_path

PARTS: Mapping[str, float] = {
    "device": 45, "parity": 110, "tests": 75, "speed cityscapes": 75, "speed street": 60, "files": 45, "devices": 60,
    "start": 45, "start again": 30, "start bfloat16": 60,
}  # fmt: skip
"""In their order, and seconds that each may take; all together they may take less (`minutes`)."""
_KEEPING = ("start", "start again")
"""Parts that share a folder of compiled programs, empty at first; the others keep none."""
_PROGRAM = (sys.executable, "-m", "dvsnet_jax.benchmarks.device.parts")
_LEAST = 3.0
"""Seconds below which a part is not begun."""
_TAIL = 2_000
"""Characters of a failed part's output that are kept."""


@dataclass
class PartResult:
    """What became of a part."""

    name: str
    limit: float
    """Seconds that it could take."""
    state: str = "left out"
    """done, failed, stopped, left out."""
    seconds: float = 0.0
    failure: str | None = None
    found: dict[str, Any] = field(default_factory=dict)
    """By name, as JSON has it; a part that did not end has what it found before."""
    output: str | None = None
    """The end of what it printed, where it is not done."""


def check_device(
    result: Path,
    *,
    parts: Sequence[str] = tuple(PARTS),
    minutes: float = 8.0,
    limit: float | None = None,
    small: bool = False,
    repository: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[PartResult]:
    """Runs the parts one after the other and writes `result`, whole after each of them.

    Args:
      minutes: all parts together; those that are left then are left out.
      limit: seconds of each part, in place of those in `PARTS`.
      small: a tiny network and few frames, for a CPU.
      repository: the folder that has `tests/`, which the parts parity and tests need.

    Raises InputError for a part that is not known, and where `result` cannot be written, before anything is run.
    """
    if unknown := [name for name in parts if name not in PARTS]:
        raise InputError(f"{unknown[0]!r} is no part of the check; these are: {', '.join(PARTS)}")
    began, ends = datetime.now(UTC), time.monotonic() + 60 * minutes
    results = [PartResult(name, PARTS[name] if limit is None else limit) for name in parts]

    def write() -> None:
        said = {
            "what": "device_check",
            "version": 1,
            "began": began.isoformat(timespec="seconds"),
            "small": small,
            "minutes": minutes,
            "python": platform.python_version(),
            "host": f"{platform.machine()}, {os.cpu_count()} CPU cores",
            "seconds": round((datetime.now(UTC) - began).total_seconds(), 1),
            "parts": [asdict(each) for each in results],
        }
        with atomic_path(result) as temporary:
            temporary.write_text(json.dumps(said, indent=1, allow_nan=False) + "\n", "utf-8")

    write()
    with tempfile.TemporaryDirectory() as folder:
        for each in results:
            left = ends - time.monotonic()
            if left < _LEAST:
                each.failure = f"{minutes:g} minutes are over"
            else:
                progress(each.name)
                _run(each, min(each.limit, left), small, repository, Path(folder))
            write()
    return results


def table(results: Sequence[PartResult]) -> str:
    """Markdown: a line a part."""
    rows = tuple((each.name, each.state, f"{each.seconds:.0f} of {each.limit:.0f} s", _told(each)) for each in results)
    return markdown_table(Table(("part", "is", "took", "says"), rows))


def _told(result: PartResult) -> str:
    found = "; ".join(f"{name}: {_short(value)}" for name, value in result.found.items())
    return "; ".join(filter(None, (result.failure, found))) or "–"


def _short(value: Any) -> str:
    """A value on one line; of a list of rows their number alone, for the JSON has them."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return f"{len(value)} rows" if value and isinstance(value[0], dict) else ", ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _run(part: PartResult, limit: float, small: bool, repository: Path | None, folder: Path) -> None:
    """Fills in what becomes of a part; raises nothing that is the part's own fault."""
    place = folder / f"{part.name}.json"
    settings = {
        "part": part.name, "small": small, "found": str(place), "began": time.time(),
        "repository": None if repository is None else str(repository),
    }  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(folder)}  # what a stopped part leaves there goes with it
    if part.name in _KEEPING:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(folder / "programs")
    elif not small:  # where times are of interest
        environment["JAX_COMPILATION_CACHE_DIR"] = ""
    started = time.monotonic()
    with (folder / "output.txt").open("w+b") as output:
        process = subprocess.Popen(
            [*_PROGRAM, json.dumps(settings)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            status: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
        output.seek(0)
        printed = output.read().decode("utf-8", "replace").strip()
    part.seconds = round(time.monotonic() - started, 1)
    part.found = json.loads(place.read_text("utf-8")) if place.exists() else {}
    if status is None:
        part.state, part.failure = "stopped", f"stopped after {limit:.0f} s"
    else:
        part.failure = part.found.pop("failure", None)
        if status and part.failure is None:
            part.failure = f"the process ended with {status if status > 0 else signal.Signals(-status).name}"
        part.state = "failed" if part.failure else "done"
    part.output = printed[-_TAIL:] if part.state != "done" else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started: pytest is a process of a part."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
