"""The folder of a run: the settings it was started with, so that what goes on in it is the same run."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.training.parallel import by_first, told_by_all

SETTINGS = "settings.json"


def claim(folder: str | Path, settings: Mapping[str, Any]) -> bool:
    """Makes a run's folder, or checks that the one there is of a run with these settings; whether it was there.

    `settings` are JSON values: all that decides what the run computes, data and weights as fingerprints.
    Raises InputError for a folder of another run, naming the first setting that differs, and where it cannot be made.
    """
    file = Path(folder) / SETTINGS
    wanted = json.loads(json.dumps(settings))  # as it reads back: tuples are lists
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        found = json.loads(file.read_bytes()) if file.exists() else None
    except OSError as error:
        raise InputError(f"{folder}: cannot be made or read ({error.strerror}); choose another save folder") from error
    except ValueError as error:
        raise InputError(f"{file}: is damaged, it is not JSON ({error}); choose another save folder") from error
    if found is None:
        write_json(file, wanted)
        return False
    came, before = _flat(wanted), _flat(found)
    for name in [*came, *(name for name in before if name not in came)]:
        if (was := before.get(name)) != (now := came.get(name)):
            raise InputError(
                f"{file}: {name} was {_short(was)} and is now {_short(now)}: this folder is of another run; start it "
                "with the settings it had, or choose another save folder"
            )
    return True


def claim_together(folder: str | Path, settings: Mapping[str, Any]) -> None:
    """`claim` by the first of several processes, after a look whether all of them have the same settings.

    Raises InputError in all of them, as `claim` does and for settings that differ.
    """
    first, *others = (_flat(each) for each in told_by_all(json.loads(json.dumps(settings))))
    for process, other in enumerate(others, 1):
        for name in [*first, *(name for name in other if name not in first)]:
            if (ours := first.get(name)) != (theirs := other.get(name)):
                raise InputError(
                    f"{name} is {_short(theirs)} in process {process} and {_short(ours)} in process 0: all processes "
                    "are of one run; start them with the same command, data and weights"
                )
    by_first(lambda: claim(folder, settings))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"training": {"seed": 1}} as {"training: seed": 1}, so that a message names what differs."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}: ") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def write_json(path: str | Path, value: Any) -> None:
    """A JSON value as a file, atomically. Raises InputError where it cannot be written."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_lines(path: str | Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Records as a file of JSON lines, atomically: all of them, in the place of those of before."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(each, allow_nan=False) + "\n" for each in records), encoding="utf-8")


def fingerprint(tree: Any) -> str:
    """CRC-32 of all arrays of a pytree, in its order: tells weights apart, no more."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.asarray(leaf).tobytes(), crc)
    return f"{crc:08x}"


def fingerprint_lines(lines: Sequence[str]) -> str:
    """The same of lines of text."""
    return f"{zlib.crc32(chr(10).join(lines).encode()):08x}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
