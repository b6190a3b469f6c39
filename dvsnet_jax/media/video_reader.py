"""Video files, streams and cameras, decoded by FFmpeg through PyAV: every frame in order, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from typing import Any

import av
import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.media.images import MissingFrame, UnreadableFrame
from dvsnet_jax.media.reading.addresses import without_password
from dvsnet_jax.media.reading.colors import with_matrix
from dvsnet_jax.media.reading.continuity import BEFORE_KEY, Missing, continuous
from dvsnet_jax.media.reading.fields import deinterlaced
from dvsnet_jax.media.reading.opened import AS_SHOWN, SILENT, TIMEOUT, Reading, comes_once, is_silence, opened, reason
from dvsnet_jax.media.reading.opened import is_live as is_live
from dvsnet_jax.media.reading.packets import Packets
from dvsnet_jax.media.reading.pictures import Picture
from dvsnet_jax.media.reading.told import Told
from dvsnet_jax.media.reading.turning import Turning

_Timed = tuple[int | None, Any]
Decoded = UInt8[np.ndarray, "height width 3"] | UnreadableFrame

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv", ".h264", ".hevc"}
)
"""Suffixes by which videos are found in a folder; a file given by its name is opened whatever its suffix is."""


class _Gone(str):
    """What is said of a stream that has ended."""


class _StreamEnded(UnreadableFrame):
    advice = "check that it still sends; the same command begins again"


def probe_video(path: str, reading: Reading = AS_SHOWN) -> tuple[int | None, Fraction | None]:
    """`(frames, frames per second)` as the file's header has them, None where it does not say.

    Raises `InputError` for a file that is no video.
    """
    with opened(path, reading) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        count = stream.frames
        if not count and container.duration and rate:
            count = round(Fraction(container.duration, av.time_base) * rate)
        return count or None, rate


def probe_coding(path: str, reading: Reading = AS_SHOWN) -> tuple[str, int]:
    """The codec's name, and how many frames its decoder holds back to give them in the order in which they are shown: 0
    where there are no B frames. Raises `InputError` for a file that is no video.
    """
    with opened(path, reading) as (_, stream):
        return stream.codec_context.name, stream.codec_context.reorder_depth


def decode_video(location: str, reading: Reading = AS_SHOWN) -> Iterator[Decoded]:
    """Every frame of the video, in order, RGB 0..255; an `UnreadableFrame` in the place of a damaged one, and a
    `MissingFrame`, which is one too, in that of a frame that never was in the file.

    Frames come as they are shown: upright, in the colours that the file names, interlaced ones made whole. Decoding
    goes on past damage; frames that depend on a lost one then come as well as the decoder can repair them. A file that
    ends before its header says so gives an `UnreadableFrame` at its end. Raises `InputError` where the video cannot be
    opened.
    """
    with closing(decode_frames(location, reading=reading)) as frames:
        for frame in frames:
            yield frame if isinstance(frame, UnreadableFrame) else frame.to_ndarray()


def decode_frames(
    location: str, *, vectors: bool = False, reading: Reading = AS_SHOWN
) -> Generator[Picture | UnreadableFrame]:
    """The same as `Picture`s. With `vectors` they come with the decoder's motion vectors, where it gives any, and know
    how many were decoded before them."""
    live, name = is_live(location), without_password(location)
    with opened(location, reading) as (container, stream):
        decoder = stream.codec_context
        if vectors:
            decoder.copy_opaque = True
            decoder.options = {
                **decoder.options,
                "flags2": "+export_mvs",
            }  # after the first decode it would have no effect
            decoder.thread_type = "SLICE"  # whole frames in threads would lose vectors at random
        packets, told = Packets(container, stream, TIMEOUT if live else None), Told(name, stream)
        turning = Turning(rotate=reading.rotate)
        items = continuous(_in_order(_decoded(packets, decoder, live)), packets)
        for index, (time, frame, fields) in enumerate(deinterlaced(items)):
            seconds = None if time is None else float(time * stream.time_base)
            if isinstance(frame, str):
                told.missing(frame)
                yield _error(frame, f"{name}: {frame.format(frame=f'frame {index}')}", seconds)
            else:
                told.frame(with_matrix(frame, reading.matrix), fields is not None)
                yield Picture(frame, seconds, turning.of(frame), fields)
        told.end(packets)
        problem = None if live else packets.shortage()
        if problem:
            yield UnreadableFrame(f"{name}: {problem}")
        elif not comes_once(location) and (begin := packets.unfound(location)) is not None:
            yield _joined(name, begin)


def decode_from(path: str, time: int, *, fields: str | None = None, reading: Reading = AS_SHOWN) -> Iterator[Picture]:
    """A file's frames from somewhere before `time` on (a presentation time, in the stream's unit); damaged ones are
    left out. The first ones may lean on frames before them: trust none before the first that is a key frame. Of
    interlaced ones, whose `fields` come in that order, nor the very first: it is made without the one before it."""
    with opened(path, reading) as (container, stream):
        try:
            container.seek(time, stream=stream)
        except av.error.FFmpegError:  # this kind of file has no way to; whoever asks goes through it from its beginning
            return
        packets, turning = Packets(container, stream), Turning(rotate=reading.rotate)
        for _, frame, order in deinterlaced(_decoded(packets, stream.codec_context, live=False), fields):
            if not isinstance(frame, str):
                yield Picture(with_matrix(frame, reading.matrix), None, turning.of(frame), order)


def _joined(name: str, begin: int) -> UnreadableFrame:
    error = UnreadableFrame(
        f"{name}: holds another recording, joined to this one byte by byte, of which frames are not found"
    )
    error.advice = (
        f"take it out (tail -c +{begin + 1} FILE > REST) and segment that too, or pass --skip-unreadable to leave it"
    )
    return error


def _error(frame: str, message: str, seconds: float | None) -> UnreadableFrame:
    kind = MissingFrame if isinstance(frame, Missing) else _StreamEnded if isinstance(frame, _Gone) else UnreadableFrame
    error = kind(message)
    error.seconds = seconds
    return error


def _decoded(packets: Packets, decoder: Any, live: bool) -> Iterator[_Timed]:
    """`(presentation time, frame)`, or with what is wrong with the frame (a format string) in its place."""
    ended: str | None = None
    last: int | None = None
    beginning: _Beginning | None = None if live else _Beginning()
    for packet in packets:
        if isinstance(packet, av.error.FFmpegError):
            if live:
                why = SILENT if is_silence(packet) else f"ended ({reason(packet)})"
                ended = _Gone(f"{why}; {{frame}} would be the next")
            else:
                ended = f"cannot be read from {{frame}} on ({reason(packet)})"
            continue
        damaged = packet.is_corrupt and not live and not packets.marks_wrongly
        items = iter([(packet.pts, "{frame} is damaged or cut off")]) if damaged else _decode(decoder, packet, live)
        if beginning is not None:
            beginning.add(packet)
            items, begun = beginning.after(items)
            beginning = None if begun else beginning
        for time, item in items:
            last = time
            yield time, item
    left = _decode(decoder, None, live)
    if beginning is not None:
        left = iter([*beginning.errors, *beginning.after(left)[0]])
    yield from left if live or not (ended or packets.shortage()) else _with_gaps(left, last, packets.frame_ticks)
    if ended:
        yield None, ended


class _Beginning:
    """Until the first frame comes: a recording that begins between key frames holds some that nothing can decode."""

    def __init__(self) -> None:
        self.errors: list[_Timed] = []
        self._times: list[int] = []
        self._key = False

    def add(self, packet: Any) -> None:
        self._key = self._key or packet.is_keyframe
        if packet.pts is not None and not getattr(packet, "is_discard", False):
            self._times.append(packet.pts)

    def after(self, items: Iterator[_Timed]) -> tuple[Iterator[_Timed], bool]:
        """What comes of the last packet, after what is missing before the first frame; whether that frame was there."""
        found = list(items)
        first = next((time for time, item in found if not isinstance(item, str)), None)
        if not any(not isinstance(item, str) for _, item in found):
            if self._key:
                return iter(found), False
            self.errors += found
            return iter(()), False
        lost = [] if first is None else sorted(time for time in set(self._times) if time < first)
        told = {time for time, item in found if isinstance(item, str)}
        return iter([*((t, Missing(BEFORE_KEY)) for t in lost if t not in told), *found]), True


def _decode(decoder: Any, packet: Any, live: bool) -> Iterator[_Timed]:
    try:
        frames = decoder.decode(packet)
    except av.error.FFmpegError as error:
        yield packet and packet.pts, f"{{frame}} cannot be decoded ({reason(error)})"
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


def _in_order(decoded: Iterator[_Timed]) -> Iterator[_Timed]:
    """Errors at their place among the frames: a decoder holds frames back, and finds damage before it gives those."""
    held: list[tuple[int, str]] = []
    for time, item in decoded:
        if isinstance(item, str) and time is not None:
            held.append((time, item))
            continue
        while held and (time is None or min(held)[0] < time):
            yield held.pop(held.index(min(held)))
        yield time, item
    yield from sorted(held)
