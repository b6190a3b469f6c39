"""Names of files as people and machines write them: numbers without zeros, lists from Windows, a Mac's leftovers."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

# Seconds since 1970 with a fraction, whose digits count from the point on; else 1.10 comes after 1.9.
_NUMBERS = re.compile(r"(\d{9,}\.\d+|\d+)")
_NO_TEXT = frozenset(range(32)) - set(b"\t\n\v\f\r\x1a")  # bytes; the last is DOS's mark of the end


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Paths sorted by name, numbers in it as numbers: frame_2 before frame_10. Equal ones as text has them."""
    return sorted(paths, key=lambda path: (order(path.stem), path.name))


def order(name: str) -> tuple[tuple[bool, Decimal, str], ...]:
    """What to sort a name by, so that numbers in it count as numbers."""
    parts = (part for part in _NUMBERS.split(name) if part)
    return tuple((False, Decimal(part), part) if part[0].isdecimal() else (True, Decimal(0), part) for part in parts)


def is_hidden(path: Path) -> bool:
    """Whether its name begins with a dot, as those of what a Mac leaves beside every file on a stick or a share."""
    return path.name.startswith(".")


def list_lines(path: Path) -> list[str]:
    """The lines of a list in UTF-8, or as Windows has it: in UTF-16, or in the code page of western Europe. Raises
    UnicodeDecodeError and OSError."""
    content = path.read_bytes().rstrip(b"\x1a")
    # The mark alone is no proof: other files begin with these two bytes too.
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b".\0" in content[1:] + b"\0"
    if marked or (b".\0" in content and not any(content[1::2]) and len(content) % 2 == 0):
        return content.decode("utf-16" if marked else "utf-16-le").splitlines()
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        if not _NO_TEXT.isdisjoint(content):
            raise
        return content.decode("cp1252").splitlines()


def forms(text: str) -> Iterator[str]:
    """How a path in a list may be meant: as it stands, and with Windows' backslashes as slashes."""
    yield text
    if "\\" in text:
        yield text.replace("\\", "/")


def as_spelt_here(path: Path) -> Path | None:
    """The one file whose path differs from this one in capitals, or in how accents are put together, at most: Windows
    and a Mac do not tell such apart."""
    found = Path(path.anchor)
    try:
        for part in path.parts[1:] if path.anchor else path.parts:
            name = part if (found / part).exists() else _alike(part, found)
            if name is None:
                return None
            found /= name
        return found if found.is_file() else None
    except OSError:  # no folder, or no name that a file can have
        return None


def _alike(part: str, folder: Path) -> str | None:
    alike = _by_plain_name(folder, folder.stat().st_mtime_ns).get(_plain(part), [])
    accents = [name for name in alike if _composed(name) == _composed(part)]
    return one[0] if len(one := accents or alike) == 1 else None


@lru_cache(maxsize=8)  # a list may have thousands of lines that are not there, of a folder of thousands
def _by_plain_name(folder: Path, changed: int) -> dict[str, list[str]]:
    """The names in a folder that was last `changed` then."""
    found: dict[str, list[str]] = {}
    for path in folder.iterdir():
        found.setdefault(_plain(path.name), []).append(path.name)
    return found


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _plain(name: str) -> str:
    return _composed(_composed(name).casefold())


def columns(line: str) -> Iterator[str]:
    """What the first path of a line may be: all of it, or what comes before a space, tab, comma or semicolon, without
    the quotes around it."""
    for separator in (None, r"\s+", r"\s*[,;\t]\s*"):
        text = (line if separator is None else re.split(separator, line)[0]).strip().strip("\"'")
        if text:
            yield text
