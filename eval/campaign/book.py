"""What was tried and what became of it, a line each, so that a campaign goes on where it was; and its table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvsnet_jax.markdown import Table, markdown_table

COUNTED = ("traceback", "died", "hang", "half-written", "frames", "memory", "differs", "other")
"""Kinds of faults, as problems begin with them. `other`: warnings of libraries that come through, handles left open, a
message that names no file."""


class Book:
    """The lines of FOLDER/faults.jsonl."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "faults.jsonl"
        self.lines: list[dict[str, Any]] = []
        if self._path.exists():
            text = self._path.read_text()
            self.lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def has(self, part: str, name: str, number: int) -> bool:
        """Whether this was tried before."""
        return any((line["part"], line["name"], line["number"]) == (part, name, number) for line in self.lines)

    def note(self, part: str, name: str, number: int, came: dict[str, Any]) -> None:
        """One more."""
        line = {"part": part, "name": name, "number": number, **came}
        self.lines.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def faults(self) -> int:
        """How many problems there are, in all that was tried."""
        return sum(len(line["problems"]) for line in self.lines)

    def table(self, families: dict[str, Iterable[str]]) -> str:
        """A row for each family of names, and all together, as markdown; problems below it, by name."""
        columns = ("tried", "outcomes", *COUNTED, "most MiB", "longest, s")
        rows, named = [], {name: family for family, names in families.items() for name in names}
        groups: dict[str, list[dict[str, Any]]] = {}
        for line in self.lines:
            groups.setdefault(named.get(line["name"], line["name"]), []).append(line)
        for family, lines in [*groups.items(), ("all", self.lines)]:
            if lines:
                rows.append((family, *_row(lines)))
        table = Table(("what", *columns), tuple(rows))
        return markdown_table(table)


def kind_of(problem: str) -> str:
    """Under what a problem is counted."""
    kind = problem.partition(":")[0]
    return kind if kind in COUNTED else "other"


def _row(lines: list[dict[str, Any]]) -> tuple[str, ...]:
    outcomes: dict[str, int] = {}
    for line in lines:
        outcomes[line["outcome"]] = outcomes.get(line["outcome"], 0) + 1
    counts = {kind: 0 for kind in COUNTED}
    for line in lines:
        for problem in line["problems"]:
            counts[kind_of(problem)] += 1
    most = max((line["mib"] for line in lines if line.get("mib") is not None), default=None)
    longest = max((line["seconds"] for line in lines if line.get("seconds") is not None), default=None)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    numbers = ("–" if most is None else f"{most:.0f}", "–" if longest is None else f"{longest:.1f}")
    return str(len(lines)), told, *(str(counts[kind]) for kind in COUNTED), *numbers
