"""Video files, streams and cameras, decoded by FFmpeg through PyAV."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import UnreadableFrame

_Timed = tuple[int | None, Any]
Decoded = UInt8[np.ndarray, "height width 3"] | UnreadableFrame

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv", ".h264", ".hevc"}
)
"""Suffixes by which videos are found in a folder; a file given by its name is opened whatever its suffix is."""
_DEVICE_FORMATS = ("v4l2", "avfoundation", "dshow", "gdigrab", "x11grab", "lavfi")
_TIMEOUT = 10.0  # seconds after which a stream that sends nothing counts as gone
# FFmpeg looks at 20 frames for the frame rate before it gives the first, which are seconds of a slow camera; and, where
# it misses anything else, at five seconds of the stream.
_SOON = {"fpsprobesize": "0", "analyzeduration": "500000"}
_SLACK = Fraction(1, 4)  # seconds by which a whole file may fall short of its header


def is_live(location: str) -> bool:
    """Whether this names a network stream or a device, in place of a file."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", location)) or _device(location) is not None


def probe_video(path: str) -> tuple[int | None, Fraction | None]:
    """`(frames, frames per second)` as the file's header has them, None where it does not say.

    Raises `InputError` for a file that is no video.
    """
    with _opened(path) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        count = stream.frames
        if not count and container.duration and rate:
            count = round(Fraction(container.duration, av.time_base) * rate)
        return count or None, rate


def probe_coding(path: str) -> tuple[str, int]:
    """The codec's name, and how many frames its decoder holds back to give them in the order in which they are shown: 0
    where there are no B frames. Raises `InputError` for a file that is no video.
    """
    with _opened(path) as (_, stream):
        return stream.codec_context.name, stream.codec_context.reorder_depth


def decode_video(location: str) -> Iterator[Decoded]:
    """Every frame of the first video stream, in order, RGB 0..255; an `UnreadableFrame` in the place of a damaged one.

    Decoding goes on past damage; frames that depend on a lost one then come as well as the decoder can repair them. A
    file that ends before its header says so gives an `UnreadableFrame` at its end. Rotation marks are not applied:
    pixels stay where they are stored. Raises `InputError` where the video cannot be opened.
    """
    with closing(decode_frames(location)) as frames:
        for frame in frames:
            yield frame if isinstance(frame, UnreadableFrame) else frame.to_ndarray(format="rgb24")


def decode_frames(location: str, *, vectors: bool = False) -> Generator[Any | UnreadableFrame]:
    """The same as PyAV has them, `VideoFrame`s. With `vectors` they come with the decoder's motion vectors, where it
    gives any, and their `opaque` is `(n,)`: they were the n-th that was decoded."""
    live = is_live(location)
    with _opened(location) as (container, stream):
        decoder = stream.codec_context
        if vectors:
            decoder.copy_opaque = True
            decoder.options = {"flags2": "+export_mvs"}  # after the first decode it would have no effect
            decoder.thread_type = "SLICE"  # whole frames in threads would lose vectors at random
        packets = _Packets(container, stream)
        for index, decoded in enumerate(_in_order(_decoded(packets, decoder, live))):
            if isinstance(decoded, str):
                yield UnreadableFrame(f"{location}: {decoded.format(frame=f'frame {index}')}")
            else:
                yield decoded
        problem = None if live else packets.shortage()
        if problem:
            yield UnreadableFrame(f"{location}: {problem}")


def decode_from(path: str, time: int) -> Iterator[av.VideoFrame]:
    """A file's frames from somewhere before `time` on (a presentation time, in the stream's unit); damaged ones are
    left out. The first ones may lean on frames before them: trust none before the first that is a key frame."""
    with _opened(path) as (container, stream):
        try:
            container.seek(time, stream=stream)
        except av.error.FFmpegError:  # this kind of file has no way to; whoever asks goes through it from its beginning
            return
        for _, decoded in _decoded(_Packets(container, stream), stream.codec_context, live=False):
            if not isinstance(decoded, str):
                yield decoded


class _Packets:
    """The packets of one stream, counted; the error that ends them, if one does, comes as the last."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self.count = 0
        self._end = Fraction(0)

    def __iter__(self) -> Iterator[Any]:
        try:
            # All streams are read: sound may outlast the pictures, and the header's duration is that of both.
            for packet in self._container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    self._end = max(self._end, (packet.pts + (packet.duration or 0)) * packet.time_base)
                if packet.stream is self._stream and packet.size:
                    packet.opaque = (self.count,)  # an object of its own: PyAV keeps these by address
                    self.count += 1
                    yield packet
        except av.error.FFmpegError as error:
            yield error

    @property
    def frame_ticks(self) -> Fraction | None:
        """The time between two frames, in the unit of their presentation times."""
        rate = self._stream.average_rate
        return 1 / (rate * self._stream.time_base) if rate else None

    def shortage(self) -> str | None:
        """What a file lacks at its end, if anything. (A transport stream's header does not tell.)"""
        promised, duration = self._stream.frames, Fraction(self._container.duration or 0, av.time_base)
        end = self._end - Fraction(self._container.start_time or 0, av.time_base)
        if self.count < promised:
            return f"ends early, with {self.count} of {promised} frames"
        if not promised and end < duration - max(_SLACK, duration / 100):
            return f"ends early, after {float(end):.1f} of {float(duration):.1f} seconds"
        return None


def _decoded(packets: _Packets, decoder: Any, live: bool) -> Iterator[_Timed]:
    """`(presentation time, frame)`, or with what is wrong with the frame (a format string) in its place."""
    ended, last = None, None
    for packet in packets:
        if isinstance(packet, av.error.FFmpegError):
            ended = f"cannot be read from {{frame}} on ({_reason(packet)})"
        elif packet.is_corrupt and not live:
            yield packet.pts, "{frame} is damaged or cut off"
        else:
            for time, item in _decode(decoder, packet, live):
                last = time
                yield time, item
    left = _decode(decoder, None, live)
    yield from left if live or not (ended or packets.shortage()) else _with_gaps(left, last, packets.frame_ticks)
    if ended:
        yield None, ended


def _decode(decoder: Any, packet: Any, live: bool) -> Iterator[_Timed]:
    try:
        frames = decoder.decode(packet)
    except av.error.FFmpegError as error:
        yield packet and packet.pts, f"{{frame}} cannot be decoded ({_reason(error)})"
        return
    for frame in frames:
        # A damaged frame now and then is normal for a camera or network; it comes as the decoder repaired it.
        yield frame.pts, "{frame} is damaged" if frame.is_corrupt and not live else frame


def _with_gaps(left: Iterator[_Timed], last: int | None, ticks: Fraction | None) -> Iterator[_Timed]:
    """Where a file is cut off, a frame may have come and the one shown before it not (files hold B frames after the
    frames they depend on): the last frames of such a file, with an error in each gap."""
    for time, item in left:
        if last is not None and time is not None and ticks and time - last > 1.5 * ticks:
            yield time - 1, "{frame} is cut off"
        last = time
        yield time, item


def _in_order(decoded: Iterator[_Timed]) -> Iterator[Any]:
    """Errors at their place among the frames: a decoder holds frames back, and finds damage before it gives those."""
    held: list[tuple[int, str]] = []
    for time, item in decoded:
        if isinstance(item, str) and time is not None:
            held.append((time, item))
            continue
        while held and (time is None or min(held)[0] < time):
            yield held.pop(held.index(min(held)))[1]
        yield item
    yield from (item for _, item in sorted(held))


@contextmanager
def opened_live(location: str) -> Iterator[tuple[Any, Any]]:
    """A stream or camera, so that its first picture comes soon: the container and its video stream. Raises
    `InputError` where it cannot be opened."""
    with _opened(location, options=_SOON) as both:
        yield both


@contextmanager
def _opened(location: str, *, options: dict[str, str] | None = None) -> Iterator[tuple[Any, Any]]:
    device = _device(location)
    live = is_live(location)
    if device is not None and device[0] not in av.formats_available:
        raise InputError(
            f"{location}: this PyAV cannot open it (it was built without {device[0]}); reinstall it over a full FFmpeg "
            "with 'pip install --no-binary av av', or stream the camera to a URL"
        )
    try:
        container = av.open(
            device[1] if device else location,
            format=device[0] if device else None,
            options=options,
            timeout=_TIMEOUT if live else None,
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        hint = "check the address" if live else "expected a video, an image, a folder of images or a .txt list of them"
        raise InputError(f"{location}: cannot be opened ({_reason(error)}); {hint}") from error
    with container:
        if not container.streams.video:
            raise InputError(f"{location}: has no video in it; expected a file or stream with pictures")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise InputError(f"{location}: no decoder for its video here; convert it, for example to H.264")
        yield container, stream


def _device(location: str) -> tuple[str, str] | None:
    """(format, device) for `/dev/video0` and `FORMAT:DEVICE`, None for anything else."""
    if location.startswith("/dev/video"):
        return "v4l2", location
    prefix, colon, device = location.partition(":")
    if colon and prefix in _DEVICE_FORMATS and not Path(location).exists():
        return prefix, device
    return None


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
