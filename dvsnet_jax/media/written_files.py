"""Which files a run wrote into its output folder: on record, so that the next run removes these and no others.

The record is FOLDER/dvsnet-files.jsonl: a line about itself, then one for each file. A file is in it before it is
written, so that nothing is missing after a killed run.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.json_lines import write_all_or_nothing

RECORD = "dvsnet-files.jsonl"
_NOTE = "the files below were written by dvsnet; --overwrite removes them and no others"


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, made with its parents where it is missing; `InputError` where it cannot be."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(None, "no permission to write in it")
    except OSError as error:
        reason = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror
        raise InputError(f"{path}: cannot be the output folder ({reason}); choose another with --out") from error
    return path


class WrittenFiles:
    """The record of one run in `folder`, which is made. `add` may be called from several threads at once.

    What an earlier run wrote stands until this one writes its first file: a run that fails before that loses nothing.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, writer: str = "dvsnet_jax", overwrite: bool | str = False
    ) -> None:
        """`writer` is what the record calls who writes; `overwrite` allows to write in the place of an earlier run,
        whoever that was, or of a writer so called.

        Raises InputError for a folder that holds files of an earlier run and must not be overwritten, a record that is
        damaged, and a folder that cannot be made or written to.
        """
        self.folder = make_folder(folder)
        self._record = self.folder / RECORD
        self._before = self._content()
        self._writer = writer
        former_writer, self._former = self._parse(self._before)
        left = [path for path in self._former if os.path.lexists(path)]
        if left and overwrite not in (True, former_writer):
            raise InputError(
                f"{self.folder}: holds what an earlier run of {former_writer} wrote ({len(left)} files); pass "
                "--overwrite to write in its place, or choose another folder with --out"
            )
        self._added: set[Path] = set()
        self._lock = threading.Lock()

    def check_free(self, paths: Iterable[Path]) -> None:
        """InputError where a file is at a path that is to be written to, and no run is known to have written it."""
        for path in paths:
            if os.path.lexists(path) and path not in self._former and path not in self._added:
                raise InputError(
                    f"{path}: is there, and {self._record} does not say that dvsnet wrote it, so it is left alone; "
                    "move it away, or choose another folder with --out"
                )

    def check_kept(self, inputs: Iterable[str | os.PathLike[str]]) -> None:
        """InputError where an input is one of the files that are to be overwritten."""
        former = {os.path.realpath(path) for path in self._former}
        for path in inputs:
            if os.path.realpath(path) in former:
                raise InputError(
                    f"{path}: is an input, but an earlier run wrote it and --overwrite would remove it; choose another "
                    "folder with --out"
                )

    def add(self, *paths: Path) -> None:
        """Notes files of the folder that are about to be written. Before the first ones those of the earlier run are
        removed, and the folders that this leaves empty. Raises InputError where that fails or nothing can be noted."""
        with self._lock:
            new = [path for path in paths if path not in self._added]
            if not new:
                return
            lines = b"".join(_line({"file": path.relative_to(self.folder).as_posix()}) for path in new)
            if self._added:
                self._append(lines)
            else:
                self._begin(lines)
            self._added.update(new)

    def _begin(self, lines: bytes) -> None:
        if self._content() != self._before:
            raise InputError(
                f"{self.folder}: another run has begun to write here meanwhile; choose another folder with --out"
            )
        try:
            for path in self._former:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be removed ({error.strerror}); remove it by hand") from error
        for folder in sorted({path.parent for path in self._former} - {self.folder}, reverse=True):
            with suppress(OSError):  # somebody's own files are in it
                folder.rmdir()
        with atomic_path(self._record) as temporary:
            temporary.write_bytes(_line({"writer": self._writer, "note": _NOTE}) + lines)

    def _append(self, lines: bytes) -> None:
        try:
            with self._record.open("r+b", buffering=0) as file:
                file.seek(0, os.SEEK_END)
                write_all_or_nothing(file, lines)
        except OSError as error:
            raise InputError(
                f"{self._record}: cannot be written ({error.strerror}); check that its folder is writable and not full"
            ) from error

    def _content(self) -> bytes:
        try:
            return self._record.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise InputError(
                f"{self._record}: cannot be read ({error.strerror}); choose another folder with --out"
            ) from error

    def _parse(self, content: bytes) -> tuple[str, dict[Path, None]]:
        """Who wrote a record, and the files in it, in its order."""
        if not content:
            return "", {}
        try:
            # What a killed process left of a last line does not count: its file was not written.
            header, *records = map(json.loads, content[: content.rfind(b"\n") + 1].splitlines())
            names = [PurePosixPath(record["file"]) for record in records]
            # Nothing outside of the folder is ever removed, whatever somebody may have written into the record.
            if header["note"] != _NOTE or not all(map(_is_inside, names)):
                raise ValueError
            writer = str(header["writer"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self._record}: is no record of the files that dvsnet wrote, or damaged; move it away, or choose "
                "another folder with --out"
            ) from error
        return writer, dict.fromkeys(self.folder / name for name in names)


def _is_inside(name: PurePosixPath) -> bool:
    return bool(name.name) and not name.is_absolute() and ".." not in name.parts


def _line(record: dict[str, str]) -> bytes:
    return json.dumps(record).encode() + b"\n"
