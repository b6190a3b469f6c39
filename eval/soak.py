r"""A run that is left alone for hours: does its memory grow, does it hold on to files, are its labels what they were?

    python eval/soak.py --minutes 120

`dvsnet segment` on two streams over the loopback, a looped video that never ends and a camera that falls silent again
and again (longer than the 10 seconds after which it counts as lost), sampled from outside. After the first quarter of
the time memory must stay within 2 %, and handles and threads as many; the labels of the last round of the loop must be
those of a fresh process. Prints a line of figures, and ends with status 1 where one of that does not hold.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvsnet_jax.cli.running import run_recipe
from dvsnet_jax.cli.screen import tell


@dataclass(frozen=True, kw_only=True)
class Soak:
    """Let a run go on for long, and look at it from outside."""

    minutes: float = 120.0
    """How long."""
    out: Path = Path("soak")
    """Folder for what is written; removed first."""
    fps: float = 10.0
    """Frames a second of the two streams."""
    silence: float = 15.0
    """Seconds for which the second one says nothing."""

    def run(self) -> int:
        from campaign.processes import compile_quickly

        compile_quickly(self.out.with_name(f"{self.out.name}-compiled"))

        from campaign import soaking
        from campaign.streams import count

        samples, problems = soaking.soak(self.out, self.minutes, self.fps, self.silence, tell)
        text = (self.out / "log.txt").read_text()
        frames = sum(count(self.out / "out" / name) for name in ("yard", "yard-2"))
        print(soaking.told(samples, frames, text.count("back after")))
        for problem in problems:
            print(f"does not hold: {problem}")
        if not problems:
            print("memory within 2 %, handles and threads constant, labels those of a fresh run")
        return 1 if problems else 0


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Soak, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
