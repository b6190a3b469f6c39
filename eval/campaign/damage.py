"""What happens to files: bits flip, ends are missing, stretches are zero, and pieces stand where they do not belong."""

from __future__ import annotations

import random
from pathlib import Path


def flipped(content: bytearray, draw: random.Random) -> None:
    """One to sixteen bits, half of the time among the first bytes, where a file says what it is."""
    end = min(len(content), 64) if draw.random() < 0.5 else len(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        content[draw.randrange(end)] ^= 1 << draw.randrange(8)


def cut(content: bytearray, draw: random.Random) -> None:
    """The end is missing, now and then all of it."""
    del content[draw.randrange(len(content)) :]


def zeroed(content: bytearray, draw: random.Random) -> None:
    """A stretch was never written."""
    start, length = _stretch(content, draw)
    content[start : start + length] = bytes(length)


def spliced(content: bytearray, draw: random.Random) -> None:
    """A stretch stands again somewhere else: over what was there, between it, or it is gone from its place."""
    start, length = _stretch(content, draw)
    piece, place = content[start : start + length], draw.randrange(len(content))
    way = draw.randrange(3)
    if way == 0:
        content[place : place + length] = piece
    elif way == 1:
        content[place:place] = piece
    else:
        del content[start : start + length]


def noisy(content: bytearray, draw: random.Random) -> None:
    """A stretch is noise."""
    start, length = _stretch(content, draw)
    content[start : start + length] = draw.randbytes(length)


DAMAGES = (flipped, cut, zeroed, spliced, noisy)


def damage(place: Path, draw: random.Random) -> str:
    """Damages a file, or one of those in a folder, or takes it away; how, in a word."""
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    file = draw.choice([path for path in files if path.stat().st_size])
    if place.is_dir() and draw.random() < 0.1:
        file.unlink()
        return "missing"
    content, how = bytearray(file.read_bytes()), draw.choice(DAMAGES)
    how(content, draw)
    file.write_bytes(content)
    return how.__name__


def _stretch(content: bytearray, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(content))
    return start, min(len(content) - start, draw.choice((1, 4, 16, 64, 512, 4096)))
