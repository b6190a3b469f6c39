"""The log of an evaluation: a line for each clip that is through, so that what was interrupted does only what is left.

Lines are appended and flushed to the disk one by one: a killed process loses the clips it was at. Each process of
several writes a file of its own, `clips.jsonl`, `clips-1.jsonl`, …, and reads all that there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.scores import ClipRecord


class ClipLog:
    """Records in a folder, by clip."""

    def __init__(self, folder: str | os.PathLike[str], *, process: int = 0) -> None:
        """`folder` exists. Raises InputError for lines that are no records."""
        self.folder = Path(folder)
        self._path = self.folder / ("clips.jsonl" if process == 0 else f"clips-{process}.jsonl")
        self._lines: list[ClipRecord] = []
        for path in sorted(self.folder.glob("clips*.jsonl")):
            for line in _whole_lines(path):
                try:
                    self._lines.append(ClipRecord.from_json(json.loads(line)))
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise InputError(f"{path}: has a line that is no record of a clip; remove the file") from error
        self.records = {record.clip: record for record in self._lines}

    def forget_changed(self, now: Mapping[str, dict[str, int]]) -> set[str]:
        """Leaves out what was counted from files that are others `now`, by clip; of which clips nothing is left."""
        self.records = {each.clip: each for each in self._lines if now.get(each.clip, each.files) == each.files}
        return {each.clip for each in self._lines} - self.records.keys()

    def forget(self, clips: Iterable[str]) -> None:
        """Leaves out what was counted of these, which are to be counted once more."""
        for clip in clips:
            self.records.pop(clip, None)

    def append(self, record: ClipRecord) -> None:
        """Adds a record. Raises InputError where it cannot be written; the file ends in a whole line all the same."""
        line = json.dumps(record.as_json(), allow_nan=False).encode() + b"\n"
        try:
            with self._path.open("ab") as file:
                end = _end_of_lines(self._path)
                file.truncate(end)  # what a killed process left of a line
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self._path, end)
                    raise
        except OSError as error:
            raise InputError(
                f"{self._path}: cannot be written ({error.strerror}); check that its folder is writable and not full"
            ) from error
        self.records[record.clip] = record


def _whole_lines(path: Path) -> list[Any]:
    return path.read_bytes()[: _end_of_lines(path)].splitlines()


def _end_of_lines(path: Path) -> int:
    """Where the last whole line ends."""
    return path.read_bytes().rfind(b"\n") + 1
