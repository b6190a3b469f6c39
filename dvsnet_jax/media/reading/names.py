"""Names of files as people and machines write them: numbers without zeros, lists from Windows, a Mac's leftovers."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_NUMBERS = re.compile(r"(\d+)")


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Paths sorted by name, numbers in it as numbers: frame_2 before frame_10. Equal ones as text has them."""
    return sorted(paths, key=lambda path: (order(path.stem), path.name))


def order(name: str) -> tuple[tuple[bool, int, str], ...]:
    """What to sort a name by, so that numbers in it count as numbers."""
    parts = (part for part in _NUMBERS.split(name) if part)
    return tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


def is_hidden(path: Path) -> bool:
    """Whether its name begins with a dot, as those of what a Mac leaves beside every file on a stick or a share."""
    return path.name.startswith(".")


def list_lines(path: Path) -> list[str]:
    """The lines of a list in UTF-8, or in UTF-16 with its mark, as Windows has it. Raises UnicodeDecodeError and
    OSError."""
    content = path.read_bytes()
    # The mark alone is no proof: other files begin with these two bytes too.
    sixteen = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b".\0" in content[1:] + b"\0"
    return content.decode("utf-16" if sixteen else "utf-8-sig").splitlines()


def forms(text: str) -> Iterator[str]:
    """How a path in a list may be meant: as it stands, and with Windows' backslashes as slashes."""
    yield text
    if "\\" in text:
        yield text.replace("\\", "/")


def columns(line: str) -> Iterator[str]:
    """What the first path of a line may be: all of it, or what comes before a space, tab, comma or semicolon, without
    the quotes around it."""
    for separator in (None, r"\s+", r"\s*[,;\t]\s*"):
        text = (line if separator is None else re.split(separator, line)[0]).strip().strip("\"'")
        if text:
            yield text
