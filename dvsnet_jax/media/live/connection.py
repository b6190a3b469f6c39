"""A live source's connection: one thread receives, another decodes, and the newest picture is there to be taken."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import av

from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.media.live.backlog import Backlog, End
from dvsnet_jax.media.live.tally import Tally
from dvsnet_jax.media.reading.addresses import without_password
from dvsnet_jax.media.reading.colors import with_matrix
from dvsnet_jax.media.reading.continuity import continuous
from dvsnet_jax.media.reading.fields import deinterlaced
from dvsnet_jax.media.reading.opened import TIMEOUT, Reading, is_silence, opened, reason
from dvsnet_jax.media.reading.packets import Packets
from dvsnet_jax.media.reading.pictures import Picture
from dvsnet_jax.media.reading.told import Told
from dvsnet_jax.media.reading.turning import Turning

_LEFT_ALONE = 1.0  # seconds that closing waits for a thread that waits for the network
_CLOCKS_APART = 1.001  # how much faster than ours a camera's clock may go
_HELD = 2  # pictures that wait to be taken where none may be dropped


@dataclass(frozen=True)
class Reconnect:
    """How a lost connection is tried again. Seconds."""

    first: float = 0.5
    """Pause before the first try; each next one is twice as long."""
    longest: float = 30.0
    give_up: float = 600.0
    """Without a picture for so long the source has failed; 0: it is not tried again."""

    def pauses(self) -> Iterator[float]:
        pause = self.first
        while True:
            yield min(pause, self.longest)
            pause *= 2


class Came(NamedTuple):
    """A picture, its pixels not yet made."""

    number: int
    """Its place among all that came."""
    picture: Picture
    at: float
    """When its packet came, `time.monotonic`."""
    gap: float | None
    """Seconds without a connection right before it."""


class Connection:
    """The threads of one live source, from `start` to `close`."""

    def __init__(
        self,
        location: str,
        tally: Tally,
        *,
        reading: Reading,
        drop: bool | None,
        reconnect: Reconnect,
        most_behind: float,
        on_event: Callable[[str], None],
    ) -> None:
        self._location, self._tally, self._reconnect = location, tally, reconnect
        self._name = without_password(location)
        self._reading, self._drop, self._most_behind, self._on_event = reading, drop, most_behind, on_event
        self._ready = threading.Condition()
        self._pictures: list[Came] = []
        self._closed = threading.Event()
        self._backlog: Backlog | None = None
        self._error: InputError | None = None
        self._ended = False
        self.finite = False
        """Whether it is a file behind an address, with an end; known before its first picture is taken."""
        self._number = 0
        self._last: tuple[float, float] | None = None  # the time of the picture before, and when it came
        self._thread = threading.Thread(target=self._run, name="dvsnet-live", daemon=True)
        self._thread.start()

    def take(self, stop: Callable[[], bool], idle: Callable[[], object], *, keep: bool = False) -> Came | None:
        """The newest picture that was not taken yet (without dropping: the next), waiting for one; None at the end and
        where `stop` says so. `idle` is called before it waits. With `keep` it counts as not taken. Raises InputError
        where the source cannot be opened or is lost for good."""
        if not self._pictures:
            idle()
        with self._ready:
            while not self._pictures:
                if stop():
                    return None
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return None
                self._ready.wait(0.2)
            picture = self._pictures[0]
            if not keep:
                del self._pictures[0]
            self._ready.notify_all()
            return picture

    def close(self) -> None:
        """Ends the threads. One that waits for the network is left to end by itself when that gives up."""
        self._closed.set()
        with self._ready:
            self._ready.notify_all()
        if (backlog := self._backlog) is not None:
            backlog.close()
        self._thread.join(_LEFT_ALONE)

    # --- the receiving thread ---

    def _run(self) -> None:
        try:
            self._receive_on()
        except InputError as error:
            self._error = error
        except Exception as error:  # of a library: told like any other, in the thread that asks
            said = first_line(error).replace(self._location, self._name)
            self._error = InputError(f"{self._name}: fails ({type(error).__name__}: {said})")
        finally:
            self._tally.enter("ended")
            with self._ready:
                self._ended = True
                self._ready.notify_all()

    def _receive_on(self) -> None:
        """Receives, and connects again for as long as that is wanted."""
        pauses = self._reconnect.pauses()
        lost_at: float | None = None
        while not self._closed.is_set():
            before = self._number
            try:
                reason, finite = self._receive_once(lost_at)
            except InputError as error:
                if lost_at is None:
                    raise
                reason, finite = str(error).removeprefix(f"{self._name}: "), False
            if self._closed.is_set() or (reason is None and (finite or not self._reconnect.give_up)):
                return
            if self._number > before:
                pauses, lost_at = self._reconnect.pauses(), None
            lost_at = lost_at or time.monotonic()
            self._wait(reason or "the stream ended", next(pauses), lost_at, finite)

    def _wait(self, reason: str, pause: float, lost_at: float, finite: bool) -> None:
        self._tally.enter("lost")
        left = self._reconnect.give_up - (time.monotonic() - lost_at)
        if finite or left <= 0:
            tried = "" if finite or not self._reconnect.give_up else (
                f" and did not come back within {self._reconnect.give_up:g} s"
            )  # fmt: skip
            raise InputError(
                f"{self._name}: {reason}{tried}, after {self._number} frames; check the camera and the network"
            )
        pause = min(pause, left)
        self._on_event(f"{reason}; trying again in {pause:.1f} s")
        self._closed.wait(pause)

    def _receive_once(self, lost_at: float | None) -> tuple[str | None, bool]:
        """One connection, to its end: what was wrong, and whether it was a whole file behind an address."""
        with opened(self._location, self._reading) as (container, stream):
            # A duration is that of something that ends: it is gone through like a file.
            finite = bool(container.duration and container.duration > 0) or self._location.startswith("lavfi:")
            self.finite = finite
            drop = not finite if self._drop is None else self._drop
            backlog = self._backlog = Backlog(most_seconds=self._most_behind, drop=drop)
            if self._closed.is_set():
                return None, True
            packets = Packets(container, stream, TIMEOUT)
            told = Told(self._name, stream)
            decoder = _Decoder(self, backlog, stream, packets, told, self._reading, drop, lost_at)
            try:
                backlog.end(self._said(_receive(packets, backlog), finite))
                decoder.thread.join()
            finally:
                backlog.close()
                decoder.thread.join()  # before the container goes, which the packets belong to
            return decoder.reason, finite

    def _said(self, error: Any, finite: bool) -> str | None:
        """What ended a connection, as a phrase; None for an end in good order."""
        if error is None:
            return None
        if error.errno == errno.EIO and not finite and self._location.startswith("http"):
            return None  # what FFmpeg makes of every HTTP stream that ends with its connection: no length was told
        return "sends nothing any more" if is_silence(error) else f"was lost ({reason(error)})"

    # --- the decoding thread ---

    def decoded(self, picture: Picture, at: float, gap: float | None, drop: bool) -> bool:
        """Takes a picture in; False where nothing further is wanted."""
        came = Came(self._number, picture, at, gap)
        self._number += 1
        with self._ready:
            if drop:
                if self._pictures:
                    # A gap is told with the first picture after it that is taken.
                    came = came._replace(gap=self._pictures[0].gap if gap is None else gap)
                    self._tally.add(dropped=len(self._pictures))
                self._pictures = [came]
            else:
                while len(self._pictures) >= _HELD and not self._closed.is_set():
                    self._ready.wait()
                self._pictures.append(came)
            self._tally.add(came=1)
            self._ready.notify_all()
        return not self._closed.is_set()

    def missing(self) -> None:
        """A frame never was in the file; its number stands for it."""
        self._number += 1

    def ahead(self, seconds: float, at: float) -> float:
        """What to add to the times of a connection of which this is the first one: they begin anew with each, and are
        to go on where the last one's ended, so much later as it came later."""
        return 0.0 if self._last is None else self._last[0] + (at - self._last[1]) - seconds

    def shown(self, seconds: float, at: float) -> None:
        """The time of the newest picture."""
        # The last one before a silence is given when that is found out, seconds late: none counts as later than the
        # one before it says, but for what the two clocks may differ by.
        if self._last is not None and seconds > self._last[0]:
            at = min(at, self._last[1] + _CLOCKS_APART * (seconds - self._last[0]))
        self._last = seconds, at

    def skipped(self, count: int) -> None:
        """So many frames were passed over before they were decoded."""
        self._number += count
        self._tally.add(came=count, dropped=count)

    def came_back(self, lost_at: float) -> float:
        """The first picture after a loss: seconds that it took."""
        gap = time.monotonic() - lost_at
        self._tally.add(reconnected=1)
        self._on_event(f"back after {gap:.1f} s")
        return gap

    def running(self) -> None:
        self._tally.enter("running")


class _Decoder:
    """The thread that turns one connection's packets into pictures, as `video_reader` does those of a file."""

    def __init__(
        self,
        connection: Connection,
        backlog: Backlog,
        stream: Any,
        packets: Packets,
        told: Told,
        reading: Reading,
        drop: bool,
        lost_at: float | None,
    ) -> None:
        self._connection, self._backlog, self._stream, self._packets = connection, backlog, stream, packets
        self._told, self._drop, self._lost_at = told, drop, lost_at
        self._turning, self._matrix = Turning(rotate=reading.rotate), reading.matrix
        self.reason: str | None = None
        self._came: dict[int | None, float] = {}
        self._at = 0.0  # when the packet came that is being decoded
        self._skipped = 0
        self._ahead: float | None = None
        self.thread = threading.Thread(target=self._run, name="dvsnet-live-decode", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for ticks, frame, fields in deinterlaced(continuous(self._decoded(), self._packets)):
                if isinstance(frame, str):
                    self._connection.missing()
                elif not self._take(ticks, frame, fields):
                    return
        except Exception as error:
            self.reason = f"its pictures cannot be decoded ({first_line(error)})"
        finally:
            self._backlog.close()

    def _decoded(self) -> Iterator[tuple[int | None, Any]]:
        """`(presentation time, frame)` of what comes, to its end."""
        while (item := self._backlog.get()) is not None:
            if isinstance(item, End):
                self.reason, self._at = item.reason, time.monotonic()
                yield from self._decode(None)
                return
            if self._backlog.dropped > self._skipped:
                self._connection.skipped(self._backlog.dropped - self._skipped)
                self._skipped = self._backlog.dropped
            self._at = self._came[item.packet.pts] = item.at
            if len(self._came) > 64:
                del self._came[next(iter(self._came))]
            yield from self._decode(item.packet)

    def _decode(self, packet: Any) -> Iterator[tuple[int | None, Any]]:
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            return  # damage now and then is normal for a network; what follows is repaired by the decoder
        for frame in frames:
            yield frame.pts, frame

    def _take(self, ticks: int | None, frame: Any, fields: str | None) -> bool:
        """Hands a picture on; False where nothing further is wanted."""
        at, gap, seconds = self._came.pop(frame.pts, self._at), None, None
        if self._lost_at is not None:
            gap, self._lost_at = self._connection.came_back(self._lost_at), None
        if ticks is not None:
            seconds = float(ticks * self._packets.unit)
            if self._ahead is None:
                self._ahead = self._connection.ahead(seconds, at)
            seconds += self._ahead
            self._connection.shown(seconds, at)
        self._told.frame(with_matrix(frame, self._matrix), fields is not None)
        self._connection.running()
        picture = Picture(frame, seconds, self._turning.of(frame), fields)
        return self._connection.decoded(picture, at, gap, self._drop)


def _receive(packets: Packets, backlog: Backlog) -> Any:
    """Moves packets into the backlog until there are no more; the error that ended them, if one did."""
    for packet in packets:
        if isinstance(packet, av.error.FFmpegError):
            return packet
        if not backlog.put(packet):
            return None
    return None
