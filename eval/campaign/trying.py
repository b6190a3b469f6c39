"""One damaged input: made from a valid one, read, and what became of that. Runs in a process that may die of it."""

from __future__ import annotations

import gc
import random
import resource
import shutil
import tempfile
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dvsnet_jax.cli.failures import lines
from dvsnet_jax.errors import InputNotice, single_errors

HARM = "hostile: "
_WARM = ("png", "bmp", "checkpoint")
ROOM = 3 << 30
"""Bytes of address space beyond what the process has when it is ready: what asks for more is told so, and the machine
has nothing to fear."""


def serve(pipe: Connection) -> None:
    """Tries what it is told, one (kind, seed) after another, until it is told None; answers with what became of it."""
    samples: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        while (asked := pipe.recv()) is not None:
            kind, seed = asked
            try:
                if kind.startswith(HARM):
                    pipe.send(_harm(kind.removeprefix(HARM), Path(folder) / "tried"))
                    continue
                if kind not in samples:
                    samples[kind] = _ready(kind, Path(folder) / f"valid-{len(samples)}")
                    _limit_memory()
                pipe.send(_try(kind, seed, samples[kind], Path(folder) / "tried"))
            except Exception as error:  # the campaign's own
                pipe.send({"outcome": "campaign", "told": repr(error)})


def _harm(name: str, work: Path) -> dict[str, Any]:
    from campaign.hostile import HOSTILE
    from campaign.reading import read
    from campaign.samples import make

    kind, make_it = HOSTILE[name]
    warm = work.with_name("warm")
    for folder in (work, warm, work.with_name("harm-out")):
        shutil.rmtree(folder, ignore_errors=True)
    if kind in _WARM:  # the library behind it is loaded by a valid one first
        read(kind, make(kind, warm / "given"), warm / "out")
    work.mkdir()
    place = make_it(work)
    _limit_memory()
    return judged(lambda: read(kind, place, work.with_name("harm-out")), str(work))


def _ready(kind: str, place: Path) -> Path:
    """Makes the valid sample and reads it: what is in memory after that is nobody's fault."""
    from campaign.reading import read
    from campaign.samples import make

    made = make(kind, place)
    came, problems = read(kind, _copy(made, place, place.with_name(f"{place.name}-read")), place.with_name("out"))
    shutil.rmtree(place.with_name("out"), ignore_errors=True)
    if came != "whole" or problems:
        raise RuntimeError(f"the valid sample of {kind} is read as {came}: {problems}")
    return made


def _copy(made: Path, place: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(place, to)
    return to / made.relative_to(place)


def _place(made: Path, kind: str) -> Path:
    """The folder that `make` was given."""
    return next(path for path in made.parents if path.name.startswith("valid-"))


def _try(kind: str, seed: int, made: Path, work: Path) -> dict[str, Any]:
    from campaign.damage import damage
    from campaign.hostile import sealed_again
    from campaign.reading import read

    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    place = _copy(made, _place(made, kind), work / "given")
    how = (sealed_again if kind == "program, sealed again" else damage)(place, random.Random(seed))
    return judged(lambda: read(kind, place, work / "out"), str(work)) | {"damage": how}


def judged(work: Any, named: str) -> dict[str, Any]:
    """Runs `work`, which gives an outcome and problems; what became of it, as a JSON value. `named` must be in what is
    told where it fails: a message names its file."""
    handles, began, before = _handles(), time.monotonic(), _reset_peak()
    told, outcome, problems = "", "whole", []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            outcome, problems = work()
        except Exception as error:
            outcome, told = "refused", "\n".join(lines(error))
            problems += _unclear(error, told, named)
    peak = _peak() - before
    problems += [
        f"warning: {type(each.message).__name__}"
        for each in said
        if not issubclass(each.category, InputNotice) and "PIL" not in Path(each.filename).parts  # as the command does
    ]
    seconds = time.monotonic() - began
    if left := _left_open(handles):
        problems.append(f"handles: {left} more")
    return {
        "outcome": outcome, "problems": sorted(set(problems)), "told": told[:600], "mib": round(peak / 2**20, 1),
        "seconds": round(seconds, 2),
    }  # fmt: skip


def _unclear(error: BaseException, told: str, named: str) -> list[str]:
    problems = []
    for each in single_errors(error):
        if lines(each)[0].startswith("unexpected "):
            problems.append(f"traceback: {type(each).__name__}")
    if not problems and named not in told and "drive: " not in told:  # as inputs of several frames are called
        problems.append("unclear: the message names no file")
    if any(ord(letter) < 32 and letter != "\n" for letter in told) or len(told) > 2000:
        problems.append("unclear: a message of control characters, or too long")
    return problems


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        pages = int(file.read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))


def _left_open(handles: int) -> int:
    """How many more there are than before. Where one of a library's threads has failed, others may be reading still."""
    end = time.monotonic() + 2
    while (left := _handles() - handles) > 0 and time.monotonic() < end:
        gc.collect()
        time.sleep(0.05)
    return max(left, 0)


def _handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _reset_peak() -> int:
    """Bytes resident now, from which the peak counts."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
