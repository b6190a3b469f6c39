"""`dvsnet measure device-check`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dvsnet_jax.cli.option_types import OptionalPath, OptionalPositive, Positive, option
from dvsnet_jax.cli.screen import tell


@dataclass(frozen=True, kw_only=True)
class DeviceCheck:
    """Check a GPU or TPU within minutes: right, fast, soon.

    Against the originals' outputs and this machine's CPU, the tests marked gpu, speed by regions segmented for one
    stream and eight, from files to files, and how soon a first frame comes. Each part is a process with a time limit
    of its own; one that fails stops no other. Writes one JSON file, whole after every part, and prints a table.
    """

    json: Annotated[str, tyro.conf.arg(metavar="FILE")] = "device-check.json"
    """Written anew after every part."""
    minutes: Positive = 8.0
    """All parts together; what is left then is left out."""
    small: bool = False
    """Tiny networks and frames, for a CPU."""
    parts: Annotated[str | None, option("NAMES")] = None
    """With commas between them; all if not given."""
    limit: Annotated[OptionalPositive, option("SECONDS")] = None
    """Of each part, in place of its own."""
    repository: OptionalPath = None
    """Its folder, for parity and tests: eval/device_check.py knows it."""

    def run(self) -> int:
        from dvsnet_jax.benchmarks.device.check import PARTS, check_device, table

        results = check_device(
            Path(self.json),
            parts=[name.strip() for name in self.parts.split(",")] if self.parts else tuple(PARTS),
            minutes=self.minutes,
            limit=self.limit,
            small=self.small,
            repository=Path(self.repository) if self.repository else None,
            progress=tell,
        )
        print(f"{table(results)}\n\nwritten to {self.json}")
        return 0 if all(each.state == "done" for each in results) else 1
