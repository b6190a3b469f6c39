"""Damaged inputs by the hundred, in a process beside this one that is replaced where it dies or hangs."""

from __future__ import annotations

import signal
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from campaign.book import Book
from campaign.hostile import HOSTILE
from campaign.kinds import missing
from campaign.processes import server, worked

LONGEST = 60.0
"""Seconds of work for an input; past them it hangs, and so it does where it does nothing for as long."""
_IDLE = 0.05
_READY = 600.0  # for the first of a kind: libraries are loaded, programs compiled
MOST = 256
"""MiB that reading a small input may take beyond what the process has."""


def seed_of(kind: str, number: int, seed: int) -> int:
    """The same in every run."""
    return zlib.crc32(f"{seed} {kind} {number}".encode())


class Trier:
    """The process that reads damaged inputs, or the one after it."""

    def __init__(self) -> None:
        self._context = server()
        self._process: Any = None
        self._pipe: Any = None
        self._known: set[str] = set()

    def tried(self, kind: str, seed: int, longest: float = LONGEST) -> dict[str, Any]:
        """What became of one. A process that died of it, or hangs, is no more."""
        if self._process is None:
            self._start()
        limit = longest if kind in self._known else max(longest, _READY)
        self._pipe.send((kind, seed))
        try:
            came = self._pipe.recv() if self._answers(limit, kind in self._known) else None
        except EOFError:
            self._process.join()
            code = -(self._process.exitcode or 0)
            self.close(kill=True)
            name = signal.Signals(code).name if code > 0 else f"exit {-code}"
            return {"outcome": "died", "problems": [f"died: {name}"], "told": "", "mib": None, "seconds": None}
        if came is None:
            self.close(kill=True)
            return {"outcome": "hang", "problems": [f"hang: over {longest:g} s"], "told": "", "mib": None,
                    "seconds": longest}  # fmt: skip
        if came["outcome"] == "campaign":
            raise RuntimeError(f"{kind}: {came['told']}")
        self._known.add(kind)
        if came["mib"] > MOST:
            came["problems"].append(f"memory: {came['mib']:.0f} MiB")
        return came

    def _answers(self, limit: float, ready: bool) -> bool:
        """Waits for an answer; False after so many seconds of its work, or where it is ready and does nothing for as
        long. On a busy machine a minute by the clock may be a second of its work."""
        began = before = worked(self._process.pid)
        while not self._pipe.poll(limit):
            now = worked(self._process.pid)
            if now - began > limit or (ready and now - before < _IDLE):
                return False
            before = now
        return True

    def close(self, *, kill: bool = False) -> None:
        """Ends the process."""
        if self._process is None:
            return
        if not kill:
            self._pipe.send(None)
            self._process.join(30)
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self._process, self._known = None, set()

    def _start(self) -> None:
        from campaign.trying import serve

        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()


def damaged(book: Book, kinds: Sequence[str], each: int, seed: int, tell: Callable[[str], None]) -> None:
    """`each` damaged inputs of each kind, those that the book does not have yet."""
    trier = Trier()
    try:
        for kind in kinds:
            if library := missing(kind):
                tell(f"{kind}: not tried, {library} is not here")
                continue
            left = [number for number in range(each) if not book.has("damaged", kind, number)]
            for number in left:
                book.note("damaged", kind, number, trier.tried(kind, seed_of(kind, number, seed)))
            if left:
                tell(f"{kind}: {len(left)} tried")
    finally:
        trier.close(kill=True)


def hostile(book: Book, folder: Path, tell: Callable[[str], None]) -> None:
    """Each of the files that somebody made to do harm, once."""
    trier = Trier()
    try:
        for name in HOSTILE:
            if not book.has("hostile", name, 0):
                came = trier.tried(f"hostile: {name}", 0)
                if came["outcome"] == "whole":
                    came["problems"].append("other: it was taken")
                book.note("hostile", name, 0, came)
                tell(f"{name}: {came['outcome']}")
    finally:
        trier.close(kill=True)
