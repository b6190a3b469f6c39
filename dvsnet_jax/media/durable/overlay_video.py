"""A growing video that can be gone on with after a kill: it is encoded in parts of so many frames.

Each part begins with an encoder of its own, so what came before says nothing of what comes after. Going on copies the
packets of the parts that are whole into a new file, which takes the old one's place, and encodes from there: the same
pictures as of a video that was never interrupted.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av

from dvsnet_jax.media.durable.fragments import Fragments
from dvsnet_jax.media.video_writer import FRAGMENTED, QUICK, VideoWriter, close_container, settle_codec

_OPTIONS = {**QUICK, "bf": "0"}
"""Without B frames, with which frames of a file that was not ended are read late by as much as
the encoder holds back."""


class Mark(NamedTuple):
    """A place between two parts, where a video can be gone on with."""

    frames: int
    last: int
    """When the frame before it is shown, in ticks."""
    origin: float | None
    """The time of the video's beginning, in seconds, where frames have times."""


class OverlayVideo(VideoWriter):
    """A `VideoWriter` that is `growing`, in parts of `part` frames."""

    def __init__(self, path: str | os.PathLike[str], *, frame_rate: float | Fraction, part: int) -> None:
        super().__init__(path, frame_rate=frame_rate, options=_OPTIONS, growing=True)
        self._part = part
        self._count = 0
        self._encoder: Any = None
        self._from: Mark | None = None
        self._marks: dict[int, Mark] = {}

    def mark(self, frames: int) -> Mark | None:
        """The place after so many frames, if it is between two parts and not long ago."""
        return self._marks.get(frames)

    def go_on(self, mark: Mark) -> None:
        """Has the file that is there be gone on with from a mark, before the first frame."""
        self._from, self._count = mark, mark.frames
        self._marks[mark.frames] = mark
        self._timeline.go_on(mark.last, mark.origin)

    def write(self, frame: Any, time: float | None = None) -> None:
        self._check_begun(*frame.shape[:2])
        if self._encoder is None or (self._count % self._part == 0 and self._count):
            self._begin_part()
        super().write(frame, time)
        self._count += 1
        if self._count % self._part == 0:
            self._marks[self._count] = Mark(self._count, *self._timeline.state)
            self._marks.pop(self._count - 4 * self._part, None)

    def close(self) -> None:
        if self._from is not None and self._stack is None and self._failure is None and self._size is None:
            self._finish_old()
        super().close()

    def _open(self, height: int, width: int) -> None:
        if self._from is None:
            super()._open(height, width)
            with self._given_up_on_failure():  # the muxer takes no packet where its header could not be written
                self._container.start_encoding()
            return
        with ExitStack() as stack:
            path = Path(self.path).with_name(f".partial-{secrets.token_hex(6)}.mp4")
            stack.callback(path.unlink, missing_ok=True)
            file = Fragments(path)
            stack.push(file.__exit__)
            container = av.open(file, "w", format="mp4", options=FRAGMENTED)
            stack.push(partial(close_container, container))
            self._stream = container.add_stream("libx264", rate=self._timeline.rate, options=self._options)
            self._stream.time_base = self._timeline.tick
            settle_codec(self._stream.codec_context, height, width, self._timeline.tick)
            container.start_encoding()
            self._container, self._size = container, (height, width)
            for packet in packets_before(self.path, self._from.frames):
                self._put(packet)
            path.replace(self.path)
            file.moved(Path(self.path))
            self._stack = stack.pop_all()

    def _finish_old(self) -> None:
        """Of a source that has no frame past the mark: its video is made whole all the same."""
        assert self._from is not None
        with av.open(os.fspath(self.path)) as container:
            codec = container.streams.video[0].codec_context
            size = codec.height, codec.width
        self._check_begun(*size)

    def _begin_part(self) -> None:
        assert self._size is not None
        if self._encoder is not None:
            self._mux(None)
        encoder = av.CodecContext.create("libx264", "w")
        encoder.options = dict(self._options)
        settle_codec(encoder, *self._size, self._timeline.tick)
        encoder.framerate = self._timeline.rate
        encoder.flags = self._stream.codec_context.flags  # its header is the file's
        self._encoder = encoder

    def _mux(self, picture: av.VideoFrame | None) -> None:
        if picture is None and self._encoder is None:
            return
        with self._given_up_on_failure():
            for packet in self._encoder.encode(picture):
                self._put(packet)

    def _put(self, packet: Any) -> None:
        packet.stream = self._stream
        self._container.mux(packet)


def playable_frames(path: str | os.PathLike[str]) -> int:
    """How many frames of a video file are there whole; 0 where it cannot be opened."""
    try:
        with av.open(os.fspath(path)) as container:
            return sum(packet.size > 0 for packet in container.demux(video=0))
    except (av.error.FFmpegError, OSError):
        return 0


def packets_before(path: str | os.PathLike[str], frames: int) -> Iterator[Any]:
    """The first packets of a file of parts, which are those of its first frames, as an encoder gives them."""
    with av.open(os.fspath(path)) as container:
        for packet in _first(container, frames):
            made = av.Packet(_with_start_codes(bytes(packet)))
            made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
            made.duration, made.is_keyframe = packet.duration, packet.is_keyframe
            yield made


def _with_start_codes(content: bytes) -> bytes:
    """H.264 as a stream, which the muxer takes after an encoder's header, of H.264 as a file has it: each unit with its
    length before it. As it is it would be taken for a stream, and units of 256 to 511 bytes for start codes."""
    units, at = [], 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "big")
        units.append(b"\0\0\0\1" + content[at + 4 : end])
        at = end
    return b"".join(units)


def _first(container: Any, frames: int) -> Iterator[Any]:
    for number, packet in enumerate(container.demux(video=0)):
        if number == frames:
            return
        yield packet
