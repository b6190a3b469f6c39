"""Records as JSON, one object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path, growing_path


class JsonLinesWriter:
    """Appends records to a file that appears under its name when it is closed, with whole lines only.

    It appears after an error or Ctrl-C in the block too, with the lines until then; without a line it does not. Where a
    line cannot be written (disk full) it is taken back and `InputError` names the file. JSON has no NaN: give None.

    One that is `growing` has its name from the first line on, and every line is in it once it is written, whatever
    becomes of the process.
    """

    def __init__(self, path: str | os.PathLike[str], *, growing: bool = False) -> None:
        self.path = path
        self._place = growing_path if growing else atomic_path
        self._stack = ExitStack()
        self._file: FileIO | None = None
        self._kept = False

    def __enter__(self) -> JsonLinesWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def go_on(self, lines: int) -> None:
        """Has the growing file that is there be gone on with after so many lines; those after them go.

        Raises InputError where there are fewer.
        """
        end = end_of_line(self.path, lines)
        if end is None:
            raise InputError(f"{self.path}: has not the {lines} lines that it is to be gone on with after")
        os.truncate(self.path, end)
        self._place, self._kept = _as_it_is, True

    def write(self, record: dict[str, Any]) -> None:
        """Appends one line."""
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        if self._file is None:
            # Unbuffered, so that a line either is in the file or has raised.
            temporary = self._stack.enter_context(self._place(self.path))
            self._file = self._stack.enter_context(temporary.open("r+b" if self._kept else "wb", buffering=0))
            self._file.seek(0, os.SEEK_END)
        try:
            write_all_or_nothing(self._file, line)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); check that its folder is writable and not full"
            ) from error

    def close(self) -> None:
        """Gives the file its name. Further calls do nothing."""
        self._stack.close()


@contextmanager
def _as_it_is(path: str | os.PathLike[str]) -> Iterator[Path]:
    yield Path(path)


def end_of_line(path: str | os.PathLike[str], number: int) -> int | None:
    """Where so many whole lines of a file end, in bytes; None where there are fewer, or no file."""
    try:
        with Path(path).open("rb") as file:
            lines = [len(line) for line in islice(file, number) if line.endswith(b"\n")]
    except OSError:
        return None
    return sum(lines) if len(lines) == number else None


def write_all_or_nothing(file: FileIO, content: bytes) -> None:
    """Writes at the file's place, which is its end; where that fails (disk full) takes it back and raises OSError."""
    start = file.tell()
    try:
        while content:
            content = content[file.write(content) :]
    except OSError:
        file.truncate(start)
        raise
