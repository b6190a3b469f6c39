"""Interlaced frames, whose odd and even rows were taken at two moments, become frames of one moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import av.filter
import numpy as np

_CLEARLY = 1.2  # how much more unlike fields must be that are said to follow each other, to say otherwise
_KEPT = ("pts", "colorspace", "color_range", "color_trc", "color_primaries")


class Progressive(NamedTuple):
    """What `deinterlaced` gives."""

    time: Any
    frame: Any
    """A PyAV frame, or what came in its place."""
    fields: str | None = None
    """Which of the fields that it is made of is the first one: `tff`, the upper rows, `bff`, or `auto`, as the file
    marks it; None where it was not interlaced."""


def deinterlaced(items: Iterator[tuple[Any, Any]], order: str | None = None) -> Generator[Progressive]:
    """For each `(time, frame)` one, in the same order; `order` is that of the fields where it is known.

    Frames that are marked as interlaced go through FFmpeg's bwdif, which looks at the frames around each; the moment is
    that of the rows that were taken first. Others are as they were. What is no frame (an error) keeps its place. From
    the first interlaced frame on each comes two later.
    """
    waiting: deque[tuple[Any, Any]] = deque()
    first: Any = None  # what the filter is to begin with, until there is a second
    fields: _Fields | None = None
    for time, item in items:
        waiting.append((time, item))
        if isinstance(item, av.VideoFrame):
            if fields is not None and not fields.takes(item):
                yield from _matched(waiting, fields, fields.rest())
                fields = None
            if fields is not None:
                yield from _matched(waiting, fields, fields.step(item))
            elif first is not None:
                fields = _Fields(first, order or _order(first, item))
                yield from _matched(waiting, fields, fields.step(first))
                if fields.takes(item):
                    yield from _matched(waiting, fields, fields.step(item))
                    first = None
                else:
                    yield from _matched(waiting, fields, fields.rest())
                    fields, first = None, item if item.interlaced_frame else None
            elif item.interlaced_frame:
                first = item
        if fields is None and first is None:
            while waiting:
                yield Progressive(*waiting.popleft())
    if first is not None:
        fields = _Fields(first, order or "auto")
        yield from _matched(waiting, fields, fields.step(first))
    if fields is not None:
        yield from _matched(waiting, fields, fields.rest())
    while waiting:
        yield Progressive(*waiting.popleft())


def _matched(waiting: deque[tuple[Any, Any]], fields: _Fields, frames: list[Any]) -> Iterator[Progressive]:
    """Each frame that came out of the filter with the time of the one that went in, and errors between them."""
    for frame in frames:
        while not isinstance(waiting[0][1], av.VideoFrame):
            yield Progressive(*waiting.popleft())
        time, stored = waiting.popleft()
        if stored.interlaced_frame:
            for name in _KEPT:
                setattr(frame, name, getattr(stored, name))
            yield Progressive(time, frame, fields.order)
        else:
            yield Progressive(time, stored)


class _Fields:
    """The filter, for frames of one size and format."""

    def __init__(self, frame: Any, order: str) -> None:
        self._kind, self.order = _kind(frame), order
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format.name,
            time_base=frame.time_base or Fraction(1, 90000),
        )
        bwdif = self._graph.add("bwdif", f"mode=send_frame:deint=interlaced:parity={order}")
        sink = self._graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()

    def takes(self, frame: Any) -> bool:
        return _kind(frame) == self._kind

    def step(self, frame: Any) -> list[Any]:
        """What comes out when a frame goes in."""
        self._graph.push(frame)
        return self._ready()

    def rest(self) -> list[Any]:
        """What comes out at the end."""
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> list[Any]:
        found = []
        while True:
            try:
                found.append(self._graph.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return found


def _kind(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _order(one: Any, next_one: Any) -> str:
    """Which rows come first, `tff` (the upper ones), `bff`, or `auto`, as they are marked. Encoders often mark them
    wrongly; but what comes second in a frame is more like what comes first in the next one than the other way round."""
    if _kind(one) != _kind(next_one):
        return "auto"
    here, there = (frame.to_ndarray(format="gray").astype(np.float32) for frame in (one, next_one))
    rows = 2 * (len(here) // 2 - 1)
    upper, lower = here[:rows:2], here[1 : rows + 1 : 2]
    later_upper, later_lower = there[:rows:2], there[1 : rows + 1 : 2]
    # Rows lie between each other: each field is compared with the mean of the other's rows around it.
    tff = np.abs((lower[:-1] + lower[1:]) / 2 - later_upper[1:]).mean()
    bff = np.abs((later_lower[:-1] + later_lower[1:]) / 2 - upper[1:]).mean()
    if bff > _CLEARLY * tff:
        return "tff"
    return "bff" if tff > _CLEARLY * bff else "auto"
