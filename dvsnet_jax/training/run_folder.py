"""The folder of a run: the settings it was started with, so that what goes on in it is the same run."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path, remove_partial
from dvsnet_jax.media.durable.run_settings import as_read_back, first_difference
from dvsnet_jax.media.json_lines import write_all_or_nothing
from dvsnet_jax.training.parallel import by_first, told_by_all

SETTINGS = "settings.json"


def claim(folder: str | Path, settings: Mapping[str, Any], *, option: str = "--save-dir") -> bool:
    """Makes a run's folder, or checks that the one there is of a run with these settings; whether it was there.

    `settings` are JSON values: all that decides what the run computes, data and weights as fingerprints. `option` is
    what names the folder on the command line.
    Raises InputError for a folder of another run, naming the first setting that differs, and where it cannot be made.
    """
    file = Path(folder) / SETTINGS
    wanted, another = as_read_back(settings), f"choose another folder ({option})"
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        found = json.loads(file.read_bytes()) if file.exists() else None
    except OSError as error:
        raise InputError(f"{folder}: cannot be made or read ({error.strerror}); {another}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is damaged, it is not JSON ({error}); {another}") from error
    if found is None:
        write_json(file, wanted)
        return False
    if not isinstance(found, dict):
        raise InputError(f"{file}: is damaged, it holds no settings; {another}")
    if differs := first_difference(found, wanted):
        raise InputError(
            f"{file}: {differs.name} was {differs.first} and is now {differs.second}: this folder is of another run; "
            f"start it with the settings it had, or {another}"
        )
    return True


def claim_together(folder: str | Path, settings: Mapping[str, Any]) -> None:
    """`claim` by the first of several processes, after a look whether all of them have the same settings.

    Raises InputError in all of them, as `claim` does and for settings that differ.
    """
    first, *others = told_by_all(as_read_back(settings))
    for process, other in enumerate(others, 1):
        if differs := first_difference(other, first):
            raise InputError(
                f"{differs.name} is {differs.first} in process {process} and {differs.second} in process 0: all "
                "processes are of one run; start them with the same command, data and weights"
            )
    by_first(lambda: claim_alone(folder, settings))


def claim_alone(folder: str | Path, settings: Mapping[str, Any]) -> None:
    """`claim` by the one process that writes there: what a killed one left of temporary files goes."""
    remove_partial(Path(folder), below=claim(folder, settings))


def write_json(path: str | Path, value: Any) -> None:
    """A JSON value as a file, atomically. Raises InputError where it cannot be written."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_lines(path: str | Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Records as a file of JSON lines, atomically: all of them, in the place of those of before."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(each, allow_nan=False) + "\n" for each in records), encoding="utf-8")


def append_line(path: str | Path, record: Mapping[str, Any]) -> None:
    """One more record at the end of such a file. Raises InputError where it cannot be written; the file is then as it
    was."""
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    try:
        with Path(path).open("ab", buffering=0) as file:
            write_all_or_nothing(file, line)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); check that its folder is there, writable and not full"
        ) from error


def said(setting: Any) -> str:
    """What a configuration says of itself, the same in every process: functions by their names alone."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(setting))


def fingerprint(tree: Any) -> str:
    """CRC-32 of all arrays of a pytree, in its order: tells weights apart, no more."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.asarray(leaf).tobytes(), crc)
    return f"{crc:08x}"


def fingerprint_lines(lines: Sequence[str]) -> str:
    """The same of lines of text."""
    return f"{zlib.crc32(chr(10).join(lines).encode()):08x}"
