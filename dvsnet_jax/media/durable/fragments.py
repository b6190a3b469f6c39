"""The file of an MP4 that grows by fragments: after a write that failed it ends in its last whole one."""

from __future__ import annotations

import os
from pathlib import Path


class Fragments:
    """A file for a muxer that writes fragments, unbuffered: what was written is there when the process is killed.

    After a failure (disk full) what is left of a fragment is cut off; without a whole one no file stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb", buffering=0)
        self._failed = False

    def write(self, content: bytes) -> int:
        """All of it: a raw file may take a part, which the muxer does not look at."""
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._failed = True
            raise
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def moved(self, path: Path) -> None:
        """The file has another name now."""
        self._path = path

    def __enter__(self) -> Fragments:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        end = whole_fragments(self._path) if kind or self._failed else None
        if end == 0:
            self._path.unlink()
        elif end is not None and self._failed:  # else the muxer has ended it, with an index behind its pictures
            os.truncate(self._path, end)


def whole_fragments(path: Path) -> int:
    """How many bytes of an MP4 are whole boxes that can be played: up to the end of the last `mdat`."""
    size, end, place = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while True:
            file.seek(place)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8 or place + length > size:
                return end
            place += length
            if head[4:8] == b"mdat":
                end = place
