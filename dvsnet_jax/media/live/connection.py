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
from dvsnet_jax.media.video_reader import opened_live

_LEFT_ALONE = 1.0  # seconds that closing waits for a thread that waits for the network
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


class Picture(NamedTuple):
    """A decoded frame (PyAV's), not yet turned into an array."""

    number: int
    """Its place among all that came."""
    frame: Any
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
        drop: bool | None,
        reconnect: Reconnect,
        most_behind: float,
        on_event: Callable[[str], None],
    ) -> None:
        self._location, self._tally, self._reconnect = location, tally, reconnect
        self._drop, self._most_behind, self._on_event = drop, most_behind, on_event
        self._ready = threading.Condition()
        self._pictures: list[Picture] = []
        self._closed = threading.Event()
        self._backlog: Backlog | None = None
        self._error: InputError | None = None
        self._ended = False
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="dvsnet-live", daemon=True)
        self._thread.start()

    def take(self, stop: Callable[[], bool], idle: Callable[[], object], *, keep: bool = False) -> Picture | None:
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
            self._error = InputError(f"{self._location}: fails ({type(error).__name__}: {first_line(error)})")
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
                reason, finite = str(error).removeprefix(f"{self._location}: "), False
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
                f"{self._location}: {reason}{tried}, after {self._number} frames; check the camera and the network"
            )
        pause = min(pause, left)
        self._on_event(f"{reason}; trying again in {pause:.1f} s")
        self._closed.wait(pause)

    def _receive_once(self, lost_at: float | None) -> tuple[str | None, bool]:
        """One connection, to its end: what was wrong, and whether it was a whole file behind an address."""
        with opened_live(self._location) as (container, stream):
            # A duration is that of something that ends: it is gone through like a file.
            finite = bool(container.duration and container.duration > 0) or self._location.startswith("lavfi:")
            drop = not finite if self._drop is None else self._drop
            backlog = self._backlog = Backlog(most_seconds=self._most_behind, drop=drop)
            if self._closed.is_set():
                return None, True
            decoder = _Decoder(self, backlog, stream.codec_context, drop, lost_at)
            try:
                backlog.end(self._said(_receive(container, stream, backlog), finite))
                decoder.thread.join()
            finally:
                backlog.close()
                decoder.thread.join()  # before the container goes, which the packets belong to
            return decoder.reason, finite

    def _said(self, error: Any, finite: bool) -> str | None:
        """What ended a connection, as a phrase; None for an end in good order."""
        number = getattr(error, "errno", None)
        if error is None:
            return None
        if number == errno.EIO and not finite and self._location.startswith("http"):
            return None  # what FFmpeg makes of every HTTP stream that ends with its connection: no length was told
        # FFmpeg calls a timeout an exit that was asked for.
        if isinstance(error, av.error.ExitError) or number == errno.ETIMEDOUT:
            return "sends nothing any more"
        return f"was lost ({' '.join(str(getattr(error, 'strerror', None) or first_line(error)).split())})"

    # --- the decoding thread ---

    def decoded(self, frame: Any, at: float, gap: float | None, drop: bool) -> bool:
        """Takes a picture in; False where nothing further is wanted."""
        picture = Picture(self._number, frame, at, gap)
        self._number += 1
        with self._ready:
            if drop:
                if self._pictures:
                    # A gap is told with the first picture after it that is taken.
                    picture = picture._replace(gap=self._pictures[0].gap if gap is None else gap)
                    self._tally.add(dropped=len(self._pictures))
                self._pictures = [picture]
            else:
                while len(self._pictures) >= _HELD and not self._closed.is_set():
                    self._ready.wait()
                self._pictures.append(picture)
            self._tally.add(came=1)
            self._ready.notify_all()
        return not self._closed.is_set()

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
    """The thread that turns one connection's packets into pictures."""

    def __init__(
        self, connection: Connection, backlog: Backlog, context: Any, drop: bool, lost_at: float | None
    ) -> None:
        self._connection, self._backlog, self._context = connection, backlog, context
        self._drop, self._lost_at = drop, lost_at
        self.reason: str | None = None
        self._came: dict[int | None, float] = {}
        self._skipped = 0
        self.thread = threading.Thread(target=self._run, name="dvsnet-live-decode", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            while (item := self._backlog.get()) is not None:
                if isinstance(item, End):
                    self.reason = item.reason
                    self._decode(None, time.monotonic())
                    return
                if self._backlog.dropped > self._skipped:
                    self._connection.skipped(self._backlog.dropped - self._skipped)
                    self._skipped = self._backlog.dropped
                if not self._decode(item.packet, item.at):
                    return
        except Exception as error:
            self.reason = f"its pictures cannot be decoded ({first_line(error)})"
        finally:
            self._backlog.close()

    def _decode(self, packet: Any, at: float) -> bool:
        if packet is not None:
            self._came[packet.pts] = at
            if len(self._came) > 64:
                del self._came[next(iter(self._came))]
        try:
            frames = self._context.decode(packet)
        except av.error.FFmpegError:
            return True  # damage now and then is normal for a network; what follows is repaired by the decoder
        for frame in frames:
            gap = None
            if self._lost_at is not None:
                gap, self._lost_at = self._connection.came_back(self._lost_at), None
            self._connection.running()
            if not self._connection.decoded(frame, self._came.pop(frame.pts, at), gap, self._drop):
                return False
        return True


def _receive(container: Any, stream: Any, backlog: Backlog) -> Any:
    """Moves packets into the backlog until there are no more; the error that ended them, if one did."""
    try:
        for packet in container.demux(stream):
            if packet.size and not backlog.put(packet):
                return None
    except av.error.FFmpegError as error:
        return error
    return None
