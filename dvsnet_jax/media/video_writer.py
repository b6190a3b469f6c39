"""Video files: H.264 in MP4, written through PyAV, whole or not at all, or so that they can be played at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path, growing_path
from dvsnet_jax.media.durable.fragments import Fragments

_BT709 = 1  # FFmpeg's number for it, the same for matrix, primaries and transfer
_LIMITED = 1
# What headers may say past these, of a frame a day or a million a second, does not fit into a video's own.
_SLOWEST, _FASTEST = Fraction(1, 1000), Fraction(1_000_000)
# x264's default preset would be the slowest part of the program.
QUICK: Mapping[str, str] = MappingProxyType({"preset": "veryfast", "crf": "20"})
# Microseconds. A fragmented file has no edit list to begin at 0 by, for which negative offsets of B frames do instead.
FRAGMENTED = {"movflags": "hybrid_fragmented+negative_cts_offsets", "frag_duration": "500000"}
FORMATS: Mapping[str, str] = MappingProxyType({".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".avi": "avi"})
"""Of the files that are written, by their suffix, and FFmpeg's names for them."""


class Timeline:
    """When the frames of a video are shown, in ticks: those of its rate, or nearly their own times."""

    def __init__(self, frame_rate: float | Fraction, *, even: bool = False) -> None:
        """`even`: a tick a frame, as AVI has it, which fills what is between two frames with empty ones."""
        self.rate = min(max(Fraction(frame_rate).limit_denominator(65535), _SLOWEST), _FASTEST)
        # Ticks that the frames of this rate fall on, and others nearly: at least 90,000 a second.
        self._step = 1 if even else self.rate.denominator * max(1, -(-90_000 // self.rate.numerator))
        self.tick = 1 / (self.rate * self._step)
        """Seconds."""
        self._last: int | None = None
        self._origin: float | None = None  # the time of the video's beginning

    def place(self, time: float | None) -> int:
        """Of the next frame; see `VideoWriter.write`."""
        place = 0 if self._last is None else self._last + self._step
        if time is not None:
            if self._origin is None:
                self._origin = time - float(place * self.tick)
            timed = round((time - self._origin) / self.tick)
            place = timed if self._last is None or timed > self._last else place
        self._last = place
        return place

    @property
    def state(self) -> tuple[int, float | None]:
        """For `go_on` of another one: the last frame's place, and the time of the beginning."""
        assert self._last is not None
        return self._last, self._origin

    def go_on(self, last: int, origin: float | None) -> None:
        """As after the frames of the one whose `state` this was."""
        self._last, self._origin = last, origin


class WrittenVideo:
    """What every video does with its file: it is opened by the first frame, and given up where writing fails.

    One that fails (disk full) leaves nothing, or of a growing one the whole fragments; `InputError` names the file, and
    more frames are refused: a video of those after a gap would look like the whole.
    """

    def __init__(self, path: str | os.PathLike[str], frame_rate: float | Fraction) -> None:
        self.path = path
        self._timeline = Timeline(frame_rate)
        self._stack: ExitStack | None = None
        self._failure: BaseException | None = None
        self._container: Any = None
        self._stream: Any = None

    def _open(self, height: int, width: int) -> None:
        """Enters what holds the file into `_stack`, and sets `_container` and `_stream`."""
        raise NotImplementedError

    def _check_begun(self, height: int, width: int) -> None:
        """Before a frame: opens the file for the first one."""
        if self._failure is not None:
            raise InputError(f"{self.path}: was given up, writing it failed before") from self._failure
        if self._stack is None:
            self._open(height, width)

    def close(self) -> None:
        """Writes what is left and gives the file its name. Further calls do nothing."""
        if self._stack is None:
            return
        self._mux(None)
        stack, self._stack = self._stack, None
        stack.close()

    def _mux(self, picture: av.VideoFrame | None) -> None:
        """Encodes; on any failure the file is given up, since what is on disk can no longer be trusted."""
        with self._given_up_on_failure():
            for packet in self._stream.encode(picture):
                self._container.mux(packet)

    @contextmanager
    def _given_up_on_failure(self) -> Iterator[None]:
        assert self._stack is not None
        try:
            yield
        except BaseException as error:
            stack, self._stack, self._failure = self._stack, None, error
            stack.__exit__(type(error), error, error.__traceback__)
            raise


class VideoWriter(WrittenVideo):
    """Frames of one size into an `.mp4` that every player takes (yuv420p, BT.709), or what else `FORMATS` has.

        with VideoWriter(path, frame_rate=25) as video:
            video.write(frame)      # uint8 RGB [h, w, 3]; odd sizes are padded by their last row or column
            video.write(frame, 0.7)  # shown 0.7 s after a frame with the time 0

    The file appears under its name when it is closed, playable, also after an error or Ctrl-C in the block; without
    a frame none appears. Where writing itself fails (disk full) nothing is left, `InputError` names the file, and more
    frames are refused: a video of those after a gap would look like the whole.

    One that is `growing` has its name from the first frame on and can be played at any moment, after SIGKILL too: a
    fragmented MP4, half a second of video a fragment, that becomes an ordinary one when it is closed. It lags by a
    fragment and the frames that the encoder looks ahead. Where writing it fails the whole fragments stay.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        frame_rate: float | Fraction,
        options: Mapping[str, str] = QUICK,
        growing: bool = False,
    ) -> None:
        """`options` are libx264's; by default quick ones, good enough to look at."""
        super().__init__(path, frame_rate)
        self._options, self._growing = dict(options), growing
        self._format = "mp4" if growing else FORMATS.get(Path(path).suffix.lower(), "mp4")
        if self._format == "avi":  # which has neither times of frames nor an order other than theirs
            self._timeline, self._options["bf"] = Timeline(frame_rate, even=True), "0"
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, frame: UInt8[np.ndarray, "height width 3"], time: float | None = None) -> None:
        """Appends a frame; the first one sets the size, and ValueError is raised for another later on.

        With a `time`, in seconds, it is shown so much later than the first one that had one; without, or where that is
        no later than the frame before, one frame of the rate later than that.
        """
        self._check_begun(*frame.shape[:2])
        if frame.shape[:2] != self._size:
            raise ValueError(f"{self.path}: a frame of {frame.shape[:2]} came into a video of {self._size}")
        picture = av.VideoFrame.from_ndarray(_even(frame), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        picture.pts, picture.time_base = self._timeline.place(time), self._timeline.tick
        self._mux(picture)

    def _open(self, height: int, width: int) -> None:
        with ExitStack() as stack:
            path = stack.enter_context((growing_path if self._growing else atomic_path)(self.path))
            # A Python file, not a path: its errors come back as they were, "no space left" among them.
            file: Any = stack.enter_context(Fragments(path) if self._growing else path.open("wb"))
            container = av.open(file, "w", format=self._format, options=FRAGMENTED if self._growing else {})
            stack.push(partial(close_container, container))
            stream = container.add_stream("libx264", rate=self._timeline.rate, options=self._options)
            stream.time_base = self._timeline.tick
            settle_codec(stream.codec_context, height, width, self._timeline.tick)
            self._container, self._stream, self._size = container, stream, (height, width)
            self._stack = stack.pop_all()


def settle_codec(codec: Any, height: int, width: int, tick: Fraction) -> None:
    """Has an encoder take frames of this size, made even."""
    codec.height, codec.width = height + height % 2, width + width % 2
    codec.pix_fmt, codec.time_base = "yuv420p", tick
    codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
    codec.color_range = _LIMITED


def close_container(container: av.container.OutputContainer, kind: type[BaseException] | None, *_: object) -> None:
    """Writes the file's index, without which it cannot be played; after a failure only lets go of the file."""
    with suppress(av.error.FFmpegError, OSError) if kind else nullcontext():
        container.close()


def _even(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "height width 3"]:
    below, right = frame.shape[0] % 2, frame.shape[1] % 2
    if not below and not right:
        return np.ascontiguousarray(frame)
    return np.pad(frame, ((0, below), (0, right), (0, 0)), mode="edge")
