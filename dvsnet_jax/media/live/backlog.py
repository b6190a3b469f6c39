"""Packets between the thread that receives and the one that decodes: bounded in time and in bytes."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

_MOST_BYTES = 64 << 20
"""Held in all; a minute of a usual camera."""
_WHOLE = 8  # packets held where none may be dropped: the sender waits, as for a file


class Arrived(NamedTuple):
    """A packet, and when it came (`time.monotonic`)."""

    packet: Any
    at: float


@dataclass(frozen=True)
class End:
    """No further packet comes from this connection, and why where it did not end by itself."""

    reason: str | None


class Backlog:
    """Packets in order; where the first has waited longer than `most_seconds`, all up to the last key frame go.

    Without `drop` none goes: `put` waits for room.
    """

    def __init__(self, *, most_seconds: float, drop: bool) -> None:
        self._most, self._drop = most_seconds, drop
        self._items: deque[Arrived | End] = deque()
        self._bytes = 0
        self._ready = threading.Condition()
        self._closed = False
        self._starved = False  # packets up to the next key frame are of no use
        self.dropped = 0
        """Packets that went so far."""

    def put(self, packet: Any) -> bool:
        """Takes a packet; False where it is closed and nothing further is wanted."""
        arrived = Arrived(packet, time.monotonic())
        with self._ready:
            while not self._drop and len(self._items) >= _WHOLE and not self._closed:
                self._ready.wait()
            if self._starved and not packet.is_keyframe:
                self.dropped += 1
                return not self._closed
            self._starved = False
            self._items.append(arrived)
            self._bytes += packet.size
            if self._drop:
                self._catch_up(arrived.at)
            self._ready.notify_all()
            return not self._closed

    def end(self, reason: str | None) -> None:
        """No packet comes after this."""
        with self._ready:
            self._items.append(End(reason))
            self._ready.notify_all()

    def get(self) -> Arrived | End | None:
        """The next packet, waiting for it; None where it is closed."""
        with self._ready:
            while not self._items and not self._closed:
                self._ready.wait()
            if self._closed:
                return None
            item = self._items.popleft()
            if isinstance(item, Arrived):
                self._bytes -= item.packet.size
            self._ready.notify_all()
            return item

    def close(self) -> None:
        """Lets go of everything; whoever waits goes on."""
        with self._ready:
            self._closed = True
            self._items.clear()
            self._ready.notify_all()

    def _catch_up(self, now: float) -> None:
        first = self._items[0]
        assert isinstance(first, Arrived)
        if now - first.at <= self._most and self._bytes <= _MOST_BYTES:
            return
        keys = [
            place for place, item in enumerate(self._items) if isinstance(item, Arrived) and item.packet.is_keyframe
        ]
        # The first is being decoded on from, key frame or not: only one after it gets further.
        cut = keys[-1] if keys and keys[-1] > 0 else len(self._items)
        for _ in range(cut):
            item = self._items.popleft()
            assert isinstance(item, Arrived)
            self._bytes -= item.packet.size
            self.dropped += 1
        self._starved = not self._items
