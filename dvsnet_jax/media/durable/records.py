"""The record of what runs wrote into a folder, as a file: a line about itself, then one for each file and each input.

FOLDER/dvsnet-files.jsonl           of a run in one process
FOLDER/dvsnet-files-1-of-4.jsonl    of the second of four that share the inputs
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dvsnet_jax.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RECORD = "dvsnet-files.jsonl"
NOTE = "the files below were written by dvsnet; --overwrite removes them and no others"
_NAMES = re.compile(r"dvsnet-files(?:-(\d+)-of-(\d+))?\.jsonl")


@dataclass(frozen=True)
class Part:
    """Which of the processes that share a run's inputs this is."""

    index: int = 0
    count: int = 1

    @property
    def record(self) -> str:
        """The name of its record."""
        return RECORD if self.count == 1 else f"dvsnet-files-{self.index}-of-{self.count}.jsonl"


@dataclass(frozen=True)
class Record:
    """What a record says."""

    path: Path
    part: Part
    content: bytes = b""
    """Its whole lines; what a killed process left of a last one does not count: its file was not written."""
    writer: str = ""
    settings: Mapping[str, Any] | None = None
    """Of the run; None where the record does not say."""
    files: Mapping[Path, None] | None = None
    """In their order."""
    done: Mapping[Path, tuple[int, Any]] | None = None
    """By folder, the inputs that are through: how many files came of each, and what it was then."""


def read_record(path: Path, part: Part) -> Record:
    """An empty one where there is none. Raises InputError for one that cannot be read or is damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Record(path, part)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); choose another folder with --out") from error
    content = content[: content.rfind(b"\n") + 1]
    if not content:
        return Record(path, part)
    try:
        header, *lines = map(json.loads, content.splitlines())
        files = [PurePosixPath(line["file"]) for line in lines if "done" not in line]
        done = {
            PurePosixPath(line["done"]): (int(line["files"]), line["input"]) for line in lines if "done" in line
        }  # fmt: skip
        # Nothing outside of the folder is ever removed, whatever somebody may have written into the record.
        if header["note"] != NOTE or not all(name.name and _is_inside(name) for name in files):
            raise ValueError
        if not all(map(_is_inside, done)):
            raise ValueError
        writer, settings = str(header["writer"]), header.get("settings")
        if not isinstance(settings, dict | None):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path}: is no record of the files that dvsnet wrote, or damaged; move it away, or choose another folder "
            "with --out"
        ) from error
    folder = path.parent
    return Record(
        path, part, content, writer, settings,
        dict.fromkeys(folder / name for name in files), {folder / name: came for name, came in done.items()},
    )  # fmt: skip


def other_records(folder: Path, own: Part) -> list[Record]:
    """Those of the other processes that wrote into a folder."""
    found = []
    for path in sorted(folder.glob("dvsnet-files*.jsonl")):
        if (named := _NAMES.fullmatch(path.name)) and path.name != own.record:
            part = Part(int(named[1]), int(named[2])) if named[1] else Part()
            found.append(read_record(path, part))
    return found


def header(writer: str, settings: Mapping[str, Any] | None) -> bytes:
    """A record's first line."""
    return _line({"writer": writer, "note": NOTE, **({} if settings is None else {"settings": settings})})


def file_lines(folder: Path, paths: Iterable[Path]) -> bytes:
    """The record's lines of files that are about to be written below `folder`."""
    return b"".join(_line({"file": path.relative_to(folder).as_posix()}) for path in paths)


def done_line(folder: Path, place: Path, files: int, came: Any) -> bytes:
    """The record's line of an input of which all is written: the folder of its files, how many these are, and what the
    input was when it came."""
    return _line({"done": place.relative_to(folder).as_posix(), "files": files, "input": came})


def hold(path: Path) -> int | None:
    """Keeps a record for this process until the file number that comes is closed, by whatever end of the process; None
    where there is no record, or files cannot be held here. Raises InputError where another process holds it."""
    if fcntl is None:
        return None
    try:
        number = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(number)
        if not isinstance(error, BlockingIOError):
            return None  # a file system that has no such thing
        raise InputError(
            f"{path.parent}: another run is writing here; wait for its end, or choose another folder with --out"
        ) from error
    return number


def check_nobody_holds(paths: Iterable[Path]) -> None:
    """InputError where a run that is under way holds one of the records."""
    for path in paths:
        if (number := hold(path)) is not None:
            os.close(number)


def _is_inside(name: PurePosixPath) -> bool:
    return not name.is_absolute() and ".." not in name.parts and "\0" not in str(name)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
