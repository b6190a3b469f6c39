"""What devices tell each other in a compiled program: its collective operations by kind, and how much they bring."""

from __future__ import annotations

import re
from collections.abc import Mapping

_COLLECTIVE = re.compile(
    r" = (.*?[\])}]) (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(-start)?\("
)
_ARRAY = re.compile(r"\b(pred|bf16|[suf]\d+)\[([\d,]*)\]")
_BITS = {"pred": 8, "bf16": 16}


def exchange(text: str, devices: int) -> dict[str, dict[str, int]]:
    """Of a program's text: `{"all-gather": {"count": 2, "bytes": 8192}}`, bytes that one device has after it, its own
    among them. One in a loop counts once."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        if (operation := _COLLECTIVE.search(line)) is None:
            continue
        kind, sizes = operation.group(2), [_bytes(*array) for array in _ARRAY.findall(operation.group(1))]
        held = sum(sizes)
        if operation.group(3) and kind == "all-gather":  # what goes in stands before what comes out
            held = held * devices // (devices + 1)
        elif operation.group(3) and kind == "collective-permute":
            held = max(sizes)
        total = found.setdefault(kind, {"count": 0, "bytes": 0})
        total["count"] += 1
        total["bytes"] += held
    return found


def told(exchanged: Mapping[str, Mapping[str, int]]) -> str:
    """In a cell of a table."""
    kinds = (f"{each['count']} × {kind}, {each['bytes'] / 1e6:.2f} MB" for kind, each in exchanged.items())
    return "; ".join(kinds) or "none"


def _bytes(kind: str, shape: str) -> int:
    count = 1
    for size in filter(None, shape.split(",")):
        count *= int(size)
    return count * (_BITS.get(kind) or int(kind[1:])) // 8
