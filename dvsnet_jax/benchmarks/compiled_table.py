"""Rows of `benchmarks.compiled` as a table, and held against those of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dvsnet_jax.benchmarks.compiled import A_PASS, OTHER, STAGES, Compiled
from dvsnet_jax.benchmarks.exchange import told
from dvsnet_jax.errors import InputError
from dvsnet_jax.markdown import Table, markdown_table

WORSE = 0.05
"""More than so much is worse."""
_SMALL = {"cycles": 2_000, "kernels": 1}
"""What a stage may gain whatever its size: where one operation lands in another fusion."""


def table(rows: Sequence[Compiled]) -> str:
    """Markdown: cycles of a TPU, kernels of a GPU, as their compilers say, by stage with nothing segmented; of several
    devices what each has to do, and what they exchange."""
    columns: tuple[str, ...] = (
        "target, precision", "compiled in, s", "nothing segmented", *STAGES, OTHER, A_PASS, "gathers", "library calls",
        "copies", "temporaries", "code",
    )  # fmt: skip
    cells = [_cells(row) for row in rows]
    if any(row.devices > 1 for row in rows):
        columns = (*columns, "exchange")
        cells = [
            (*each, "–" if row.exchange is None else told(row.exchange)) for each, row in zip(cells, rows, strict=True)
        ]
    return markdown_table(Table(columns, tuple(cells)))


def _named(row: Compiled) -> str:
    return f"{row.target}{f' × {row.devices}' if row.devices > 1 else ''}, {row.precision}"


def _cells(row: Compiled) -> tuple[str, ...]:
    name, nothing = _named(row), "–"
    stages = row.cycles if row.cycles is not None else row.kernels
    if stages is None or row.memory is None:
        return (name, f"no: {row.refused}", *[nothing] * (len(STAGES) + 8))
    unit = "cycles" if row.cycles is not None else "kernels"
    return (
        name,
        nothing if row.seconds is None else f"{row.seconds:.0f}",
        f"{row.light:,} {unit}",
        *(f"{stages[stage]:,}" for stage in (*STAGES, OTHER, A_PASS)),
        *(nothing if count is None else str(count) for count in (row.gathers, row.calls, row.copies)),
        f"{row.memory['temporary'] / 1e6:.0f} MB",
        f"{row.memory['code'] / 1e6:.0f} MB" if row.memory["code"] else nothing,
    )


def read_rows(path: Path) -> list[Compiled]:
    """Of the JSON lines that an earlier run wrote. Raises InputError for a file of anything else."""
    rows = []
    try:
        for line in path.read_text("utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            if row.pop("what", None) == "compiled":
                rows.append(Compiled(**row))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read as rows of --json ({error}); write it anew with --json") from error
    if not rows:
        raise InputError(f"{path}: has no row of a compiled step; write one with --compile … --json {path}")
    return rows


def worse(rows: Sequence[Compiled], before: Sequence[Compiled]) -> Iterator[str]:
    """A line for each stage, and for temporary memory, that takes over 5 % more than in the earlier run, and for each
    target that no longer compiles. Raises InputError where the two have no row in common."""
    earlier = {_named(row): row for row in before}
    common = [row for row in rows if _named(row) in earlier]
    if not common:
        raise InputError(f"the earlier run has none of {', '.join(map(_named, rows))}")
    for row in common:
        name = _named(row)
        old = earlier[name]
        if row.refused is not None:
            if old.refused is None:
                yield f"{name}: does not compile any more ({row.refused})"
            continue
        for unit in ("cycles", "kernels"):
            now, then = getattr(row, unit), getattr(old, unit)
            for stage in now if now and then else ():
                if now[stage] > then.get(stage, 0) * (1 + WORSE) and now[stage] - then.get(stage, 0) > _SMALL[unit]:
                    yield f"{name}: {stage} has {now[stage]:,} {unit}, before {then.get(stage, 0):,}"
        now, then = (sum(each["bytes"] for each in (of.exchange or {}).values()) for of in (row, old))
        if now > then * (1 + WORSE):
            yield f"{name}: the devices exchange {now:,} bytes, before {then:,}"
        if row.memory and old.memory and row.memory["temporary"] > old.memory["temporary"] * (1 + WORSE):
            yield f"{name}: temporaries take {row.memory['temporary']:,} bytes, before {old.memory['temporary']:,}"
