"""Settings of a run as JSON values, and what differs between two runs' of them: kept beside what a run wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """A setting that two runs do not share."""

    name: str
    """"training: seed" for {"training": {"seed": …}}."""
    first: str
    """Its value, as JSON, shortened; null where it is not there."""
    second: str


def as_read_back(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file: tuples are lists."""
    value: dict[str, Any] = json.loads(json.dumps(settings))
    return value


def first_difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> Difference | None:
    """The first setting, in the order of `second`, that differs; None if none does. Both `as_read_back`."""
    before, now = _flat(first), _flat(second)
    for name in [*now, *(name for name in before if name not in now)]:
        if (was := before.get(name)) != (new := now.get(name)):
            return Difference(name, _short(was), _short(new))
    return None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}: ") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
