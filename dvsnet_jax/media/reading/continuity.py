"""Frames in one line of time: gaps where frames never came, and recordings joined whose times begin anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dvsnet_jax.media.reading.packets import Packets

_BACK = 4  # frame times: less is disorder, more a recording that begins anew
_AHEAD = 10  # seconds: more is one too, where files are joined as they are
_MOST_EMPTY = 1000  # in a row


class Missing(str):
    """What is said of a frame that never was in the file (a format string)."""


BEFORE_KEY = "{frame} leans on frames before the beginning of this recording"
EMPTY = "{frame} is empty, as it is where a camera drops one"


def continuous(items: Iterator[tuple[int | None, Any]], packets: Packets) -> Iterator[tuple[int | None, Any]]:
    """`(time, item)` with times that go on where a recording joined to another begins anew, and `Missing` ones for the
    empty frames of an AVI."""
    last: int | None = None
    ahead, step = 0, round(packets.frame_ticks or 1)
    for time, item in _timed_first(items, packets):
        if time is None:
            yield time, item
            continue
        time += ahead
        if last is not None:
            later = time - last
            if later < -_BACK * step or (packets.joined and later * packets.unit > _AHEAD):
                ahead += last + step - time
                time = last + step
            elif packets.counts_empty and 1 < later <= _MOST_EMPTY:
                yield from ((empty, Missing(EMPTY)) for empty in range(last + 1, time))
        last = time
        yield time, item


def _timed_first(items: Iterator[tuple[int | None, Any]], packets: Packets) -> Iterator[tuple[int | None, Any]]:
    """The same, with a time for the first frame, which FFmpeg gives that of an RTSP stream without: a frame's time
    before the second, for which it waits."""
    for time, item in items:
        if time is None and not isinstance(item, str) and (second := next(items, None)) is not None:
            if second[0] is not None and packets.frame_ticks:
                time = second[0] - round(packets.frame_ticks)
            yield time, item
            yield second
        else:
            yield time, item
        break
    yield from items
