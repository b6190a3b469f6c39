r"""Damaged files, killed processes, full disks, silent cameras: what becomes of runs that nobody watches.

    python eval/faults.py                                  # all: 1,250 inputs and 100 kills, hours on two cores
    python eval/faults.py --parts damaged --kinds mp4 png  # a part; what OUT/faults.jsonl has is not tried again

Prints a markdown table of what was tried and which faults there were, 0 where all is well, and ends with status 1 where
there is one. Everything is made here, from seeds, harmless to others; `campaign/` says how.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dvsnet_jax.cli.running import run_recipe
from dvsnet_jax.cli.screen import tell

PARTS = ("damaged", "hostile", "kills", "full", "rights", "streams", "workers")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Try what goes wrong, and count what should not."""

    out: Path = Path("faults")
    """Folder for faults.jsonl, a line for each thing tried, and what is made meanwhile."""
    parts: tuple[Literal["damaged", "hostile", "kills", "full", "rights", "streams", "workers"], ...] = PARTS
    """What to try."""
    kinds: tuple[str, ...] = ()
    """Of damaged inputs these kinds alone."""
    each: int = 25
    """Damaged inputs of each kind."""
    kills: int = 25
    """Kills of each of segment, evaluate, accelerate and training."""
    full: int = 10
    """Moments at which the disk is full."""
    seed: int = 0

    def run(self) -> int:
        from campaign import damaged, kinds, rooms, streams
        from campaign.book import Book
        from campaign.processes import compile_quickly
        from campaign.scene import Scene

        compile_quickly(self.out / "compiled")

        book, families = Book(self.out), dict(kinds.FAMILIES)
        if "damaged" in self.parts:
            wanted = self.kinds or [kind for family in families.values() for kind in family]
            damaged.damaged(book, wanted, self.each, self.seed, tell)
        if "hostile" in self.parts:
            damaged.hostile(book, self.out, tell)
        families["hostile files"] = damaged.HOSTILE
        scene = Scene(self.out / "scene")
        if "kills" in self.parts:
            scene.kill_all(book, self.kills, self.seed, tell)
        if "full" in self.parts:
            rooms.full(book, scene, self.full, self.seed, tell)
        if "rights" in self.parts:
            rooms.without_rights(book, scene, tell)
        if "streams" in self.parts:
            streams.stalling(book, scene, tell)
        if "workers" in self.parts:
            streams.dying_worker(book, scene, self.seed, tell)
        print(book.table(families))
        return 1 if book.faults() else 0


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Faults, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
