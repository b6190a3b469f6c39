"""The packets of one stream as they come from its file, and what the file lacks when they end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from dvsnet_jax.media.reading.joined import next_recording

_SLACK = Fraction(1, 4)  # seconds by which a whole file may fall short of its header


class Packets:
    """The packets of one stream, counted; the error that ends them, if one does, comes as the last."""

    def __init__(self, container: Any, stream: Any, patience: float | None = None) -> None:
        """`patience`: seconds after which a live stream that sends nothing has ended, as the container was told too."""
        self._container, self._stream, self._patience = container, stream, patience
        # What an edit list leaves out is not in the index, and neither are the empty chunks of an AVI.
        self._indexed = len(getattr(stream, "index_entries", ()))
        self.count = 0
        self.marked = 0
        """How many of them the container marks as damaged, where it may do so wrongly."""
        self._end = Fraction(0)
        self._last = 0  # where the last packet of any stream ends, in bytes
        self._begun, self._left_out = False, 0  # how many are not to be shown after the first one that is

    def __iter__(self) -> Iterator[Any]:
        try:
            # All streams are read: sound may outlast the pictures, and the header's duration is that of both.
            asked = time.monotonic()
            for packet in self._container.demux():
                waited = time.monotonic() - asked
                if packet.pts is not None and packet.time_base is not None:
                    self._end = max(self._end, (packet.pts + (packet.duration or 0)) * packet.time_base)
                    self._last = max(self._last, (packet.pos or 0) + packet.size)
                if packet.stream is self._stream and packet.size:
                    packet.opaque = (self.count,)  # an object of its own: PyAV keeps these by address
                    self.count += 1
                    self._left_out += self._begun and packet.is_discard
                    self._begun = self._begun or not packet.is_discard
                    self.marked += packet.is_corrupt and self.marks_wrongly
                    yield packet
                if self._patience is not None and waited > 0.9 * self._patience:
                    # FFmpeg gives what it still held when the time was over, and would wait as long once more.
                    raise av.error.ExitError(0, "sent nothing")
                asked = time.monotonic()
        except av.error.FFmpegError as error:
            yield error

    @property
    def frame_ticks(self) -> Fraction | None:
        """The time between two frames, in the unit of their presentation times."""
        rate = self._stream.average_rate
        return 1 / (rate * self._stream.time_base) if rate else None

    @property
    def unit(self) -> Fraction:
        """Seconds of one tick of their presentation times."""
        return Fraction(self._stream.time_base or 1)

    @property
    def joined(self) -> bool:
        """Whether this is a kind of file whose recordings can be joined as they are, so that their times begin anew."""
        return self._container.format.name in ("mpegts", "mpeg")

    @property
    def marks_wrongly(self) -> bool:
        """Whether it marks packets as damaged that are not: where recordings were joined, and beside one that is."""
        return self.joined

    @property
    def counts_empty(self) -> bool:
        """Whether every number of a frame time stands for a frame, and one that is not there was empty."""
        avi = self._container.format.name == "avi"
        return avi and self.frame_ticks == 1 and not self._stream.codec_context.has_b_frames

    def unfound(self, path: str) -> int | None:
        """Where in the file another recording begins that was joined to this one, and was not found."""
        found = self.count - self._left_out
        return next_recording(path, self._container.format.name, found, self._stream.id, self._last)

    def shortage(self) -> str | None:
        """What a file lacks at its end, if anything. (A transport stream's header does not tell.)"""
        promised, duration = self._stream.frames, Fraction(self._container.duration or 0, av.time_base)
        end = self._end - Fraction(self._container.start_time or 0, av.time_base)
        if self.count < min(promised, self._indexed or promised):
            return f"ends early, with {self.count} of {promised} frames"
        if not promised and end < duration - max(_SLACK, duration / 100):
            return f"ends early, after {float(end):.1f} of {float(duration):.1f} seconds"
        return None
