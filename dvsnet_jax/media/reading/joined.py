"""Recordings that were joined to one file byte by byte, where FFmpeg finds the first one alone and says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_MARKS = {"flv": 9, "asf": 16}
"""By container, how many of its first bytes stand at the beginning of every such file and nowhere else."""
_WINDOW = 1 << 20
"""Bytes after the last packet, where an index may lie, in which the next recording is looked for."""
_MOST_BOXES = 1_000_000
_WHOLE = {b"moov", b"mdat"}
_FIRST = (b"ftyp", b"moov", b"wide", b"mdat", b"pnot")
"""What an MP4 may begin with."""


def next_recording(path: str, container: str, packets: int, track: int, end: int) -> int | None:
    """Where in a file another recording begins of which frames were not found; None where there is no such thing.

    `container` is FFmpeg's name of its kind; so many `packets` that are to be shown came of the `track` (its id) that
    was read, and `end` is where the last one of any ends. (Of a fragmented MP4 whose times begin anew the first ones of
    the second recording come as if an edit list left them out.)
    """
    with suppress(OSError), Path(path).open("rb") as file:
        if "mp4" in container.split(","):
            return _next_mp4(file, packets, track)
        if (length := _MARKS.get(container)) is not None:
            mark = file.read(length)
            file.seek(end)
            found = file.read(_WINDOW).find(mark)
            return None if found < 0 or end + found == 0 else end + found
    return None


def _next_mp4(file: BinaryIO, packets: int, track: int) -> int | None:
    """The first box of a second recording: what comes after boxes that make a whole one, where that is whole, too."""
    begins, kinds, second, fragmented, samples = 0, set[bytes](), None, False, 0
    for kind, place, size in _boxes(file):
        # Each fragment has an mdat of its own.
        if kinds >= _WHOLE and kind in ((b"ftyp", b"moov") if fragmented else _FIRST):
            begins, kinds = place, set()
        kinds.add(kind)
        if kind == b"moof":
            fragmented = True
            samples += _samples(file.read(size), track)
        if begins and second is None and kinds >= _WHOLE:
            second = begins
    # Of fragments all may have been found: as many as are there.
    return None if fragmented and packets >= samples else second


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and content's length of each of a file's boxes; the file stands at its content meanwhile."""
    place, end = 0, file.seek(0, 2)
    for _ in range(_MOST_BOXES):
        file.seek(place)
        header = file.read(8)
        size, kind = int.from_bytes(header[:4], "big"), header[4:]
        begin = 8
        if size == 1:
            size, begin = int.from_bytes(file.read(8), "big"), 16
        if len(header) < 8 or size < begin or place + size > end:
            return
        yield kind, place, min(size - begin, _WINDOW)
        place += size


def _samples(fragment: bytes, track: int) -> int:
    """How many frames of a track a moof box tells of."""
    count = 0
    for kind, content in _inside(fragment):
        if kind != b"traf":
            continue
        parts = list(_inside(content))
        if any(kind == b"tfhd" and int.from_bytes(part[4:8], "big") == track for kind, part in parts):
            count += sum(int.from_bytes(part[4:8], "big") for kind, part in parts if kind == b"trun")
    return count


def _inside(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while 8 <= (size := int.from_bytes(content[place : place + 4], "big")) <= len(content) - place:
        yield content[place + 4 : place + 8], content[place + 8 : place + size]
        place += size
