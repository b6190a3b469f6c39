"""A camera or network stream as a source of frames: when we are too slow, the newest frame wins.

source = LiveVideo("yard", "rtsp://camera/stream")
with contextlib.closing(source.frames()) as frames:
    for frame in frames: ...            # LiveFrame: each the newest when it is asked for
print(source.tally.now)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.live.connection import Connection, Reconnect
from dvsnet_jax.media.live.tally import Tally
from dvsnet_jax.media.reading.addresses import without_password
from dvsnet_jax.media.reading.opened import AS_SHOWN, Reading, is_live
from dvsnet_jax.media.sources import Frame, Source, Video

MOST_BEHIND = 1.0
"""Seconds of undecoded stream that are held; what is older goes, up to the newest key frame."""


@dataclass(frozen=True)
class LiveFrame(Frame):
    """A frame that came at some moment, and what was left out before it."""

    image: UInt8[np.ndarray, "height width 3"] | None
    """There always: what cannot be decoded is left out."""
    arrived: float = 0.0
    """When its packet came, `time.monotonic`."""
    dropped: int = 0
    """Frames between the one before and this one that were left out."""
    gap: float | None = None
    """Seconds without a connection right before it."""
    came_as: tuple[int, int] | None = None
    """The height and width that it came in, where that is not the size of the first one, to which it is resized."""

    def lag(self) -> float:
        """Seconds since it came."""
        return time.monotonic() - self.arrived


class LiveVideo:
    """A stream or camera that is read on in threads whatever its frames are needed for.

    Its frames are numbered as they come, so that numbers of dropped frames are missing, and shown as those of files are
    (`reading`). Their times are the stream's; after a loss they go on by the clock. A lost connection is tried
    again with growing pauses; one that could not be had in the first place is an error at once. Where pictures come in
    another size, as after that, they are resized to that of the first, as FFmpeg does, and `on_event` is told. An
    address behind which is a file, with an end, is gone through to its end, frame by frame, each as it is.
    """

    files: Sequence[str] = ()
    count = None
    frame_rate = None

    def __init__(
        self,
        name: str,
        location: str,
        reading: Reading = AS_SHOWN,
        *,
        drop: bool | None = None,
        reconnect: Reconnect | None = None,
        most_behind: float = MOST_BEHIND,
        on_event: Callable[[str], None] = lambda what: None,
    ) -> None:
        """`drop`: whether the newest frame wins; if not given it does wherever the stream has no end. `on_event` is
        told of losses, returns and other sizes, a phrase each, from threads. `most_behind`: see `MOST_BEHIND`."""
        self.name, self.location, self.reading = name, location, reading
        self._drop, self._reconnect, self._most_behind = drop, reconnect or Reconnect(), most_behind
        self._on_event = on_event
        self.stop = threading.Event()
        """Set it to end the frames, also while none comes."""
        self.idle: Callable[[], object] = lambda: None
        """Called, in the thread that asks, before it waits for a frame that is not there yet."""
        self.prepare: Callable[[int, int], object] = lambda height, width: None
        """Called with the size of the first picture, before a frame is taken: what takes long then costs no lag."""
        self.tally = Tally()

    def frames(self) -> Generator[Frame]:
        """The newest frame each time one is asked for. Close the generator to stop the threads.

        Raises InputError where it cannot be opened, or does not come back.
        """
        connection = Connection(
            self.location,
            self.tally,
            reading=self.reading,
            drop=self._drop,
            reconnect=self._reconnect,
            most_behind=self._most_behind,
            on_event=self._on_event,
        )
        last, where = -1, without_password(self.location)
        size: tuple[int, int] | None = None
        told: set[tuple[int, int]] = set()
        try:
            if (first := connection.take(self.stop.is_set, self.idle, keep=True)) is not None:
                self.prepare(*first.picture.size)
            while (came := connection.take(self.stop.is_set, self.idle)) is not None:
                number = came.number
                image = came.picture.to_ndarray()
                came_in = (image.shape[0], image.shape[1])
                size = size or came_in
                resized = came_in != size and not connection.finite
                if came_in not in told and (resized or told):  # each size once, and that it is the first one's again
                    told.add(came_in)
                    self._on_event(_other_size(came_in, size))
                if resized:
                    image = resize_image(image, size)
                self.tally.add(taken=1)
                yield LiveFrame(
                    number,
                    f"frame_{number:06d}",
                    f"{where} (frame {number})",
                    image,
                    time=came.picture.seconds,
                    arrived=came.at,
                    dropped=number - last - 1,
                    gap=came.gap,
                    came_as=came_in if resized else None,
                )
                last = number
        finally:
            connection.close()


def _other_size(now: tuple[int, int], first: tuple[int, int]) -> str:
    """What is told where pictures come in another size than those before them."""
    if now == first:
        return f"its pictures are {now[0]}×{now[1]} again"
    squeezed = "" if now[0] * first[1] == now[1] * first[0] else ", which squeezes or stretches them"
    return (
        f"its pictures are {now[0]}×{now[1]} now; they are resized to {first[0]}×{first[1]}, in which it began"
        f"{squeezed}; begin anew, with another --out, to have them in their own size"
    )


def as_live(source: Source, **options: object) -> Source:
    """The same source as a `LiveVideo` with these options, where it is a stream or camera; else as it is."""
    if isinstance(source, Video) and is_live(source.location):
        return LiveVideo(source.name, source.location, source.reading, **options)  # type: ignore[arg-type]
    return source


def live_note(frame: Frame) -> dict[str, object]:
    """What routes.jsonl says of a live frame whose labels are there now; nothing of any other."""
    if not isinstance(frame, LiveFrame):
        return {}
    lag = frame.lag()
    note: dict[str, object] = {"came": round(time.time() - lag, 3), "lag": round(lag, 3), "dropped": frame.dropped}
    if frame.gap is not None:
        note["gap"] = round(frame.gap, 3)
    if frame.came_as is not None:
        note["size"] = list(frame.came_as)
    return {"live": note}
