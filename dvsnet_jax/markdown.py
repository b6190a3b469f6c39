"""Tables of results, and how a README holds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dvsnet_jax.errors import InputError

_BEGINS_A_NUMBER = re.compile(r"[-+−±~<>≤≥]?\s*\.?\d")
_NOTHING = ("", "–", "—", "-")
_MARKUP = re.compile(r"([\\|<*`\[])")


@dataclass(frozen=True)
class Table:
    """Cells are plain text, written out as they are to be read; the first of a row names it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(
                    f"a table's row {list(row)!r} has {len(row)} cells, expected {len(self.columns)}, one for each of "
                    f"its columns {list(self.columns)!r}; leave none out, an empty cell is ''"
                )


def numeric_columns(table: Table) -> tuple[bool, ...]:
    """Which columns are set to the right: those where every cell begins with a number, but never the rows' names."""
    cells = [[row[place].strip() for row in table.rows] for place in range(len(table.columns))]
    return tuple(place > 0 and _numeric(column) for place, column in enumerate(cells))


def markdown_table(table: Table) -> str:
    """The table in GitHub's markdown. Cells come out as they are: nothing in them is markup or ends the row."""
    rule = "|".join("--:" if number else "---" for number in numeric_columns(table))
    return "\n".join([_line(table.columns), f"|{rule}|", *(_line(row) for row in table.rows)])


def _numeric(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell not in _NOTHING]
    return bool(said) and all(_BEGINS_A_NUMBER.match(cell) for cell in said)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_MARKUP.sub(r"\\\1", " ".join(cell.split())) for cell in cells) + " |"
