"""Size and CRC-32 of every file of a checkpoint, so that damage is found before anything tries to read around it.

orbax's own checks do not reach into the arrays: a flipped bit there would load as another number.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from dvsnet_jax.errors import InputError

NAME = "checksums.json"


def write_checksums(folder: Path) -> None:
    """Note every file that is in the folder now. Raises OSError."""
    (folder / NAME).write_text(json.dumps({name: list(_sum(folder / name)) for name in _files(folder)}, indent=0))


def verify(folder: Path) -> None:
    """Raise InputError, in one line, unless every file noted is there and as it was. Additional files are allowed."""
    damaged = f"{folder}: the checkpoint is damaged or incomplete: "
    advice = "; copy it again, with all its files"
    try:
        noted = json.loads((folder / NAME).read_bytes())
        noted = {name: (int(size), int(crc)) for name, (size, crc) in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{damaged}{NAME} cannot be read ({type(error).__name__}){advice}") from error
    found = _files(folder)
    if missing := sorted(noted.keys() - found):
        raise InputError(f"{damaged}{_first(missing, 'is', 'are')} missing{advice}")
    try:
        changed = [name for name in found & noted.keys() if noted[name] != _sum(folder / name)]
    except OSError as error:
        raise InputError(f"{damaged}{error}{advice}") from error
    if changed:
        raise InputError(f"{damaged}{_first(sorted(changed), 'is', 'are')} not as saved{advice}")


def _files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} - {NAME}


def _sum(file: Path) -> tuple[int, int]:
    size = crc = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            size, crc = size + len(block), zlib.crc32(block, crc)
    return size, crc


def _first(names: list[str], one: str, many: str) -> str:
    return f"{names[0]} {one}" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more {many}"
