"""Frames by their number, in any order: of image files, and of a video file, whatever its length.

    frames = NumberedVideo("drive.mp4")
    count, unreadable = frames.survey(keep)      # goes through all of them once, one at a time
    frames.read(817)[817]                        # decoded from the key frame before it

A frame that cannot be read has its number too, so the distance between two numbers is the distance between two frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.media.images import UnreadableFrame, read_image
from dvsnet_jax.media.reading.opened import AS_SHOWN, Reading
from dvsnet_jax.media.reading.pictures import Picture
from dvsnet_jax.media.sources import ImageSequence
from dvsnet_jax.media.video_reader import decode_frames, decode_from

Image = UInt8[np.ndarray, "height width 3"]
Keep = Callable[[int, Image], bool]

_BLOCK = 32  # frames of a video read together, whose way from the key frame is the same
_BLOCK_BYTES = 1 << 26  # and how much they may take: ten frames at 1080×1920


class NumberedFrames(Protocol):
    """Frames that can be read by number, from several threads."""

    def survey(self, keep: Keep, *, one_size: bool = False) -> tuple[int, dict[int, UnreadableFrame]]:
        """Goes through all frames once: how many there are, and which cannot be read, or where all are to have
        `one_size`, have not that of the first.

        `keep` is given each frame (RGB, 0..255), until it answers that it wants no more.
        """

    def read(self, number: int) -> dict[int, Image]:
        """The frame and those that come for nothing with it, by number. Raises UnreadableFrame."""


class _Size:
    """That of the first frame, which the others are to have."""

    def __init__(self) -> None:
        self._first: tuple[int, ...] | None = None

    def problem(self, size: tuple[int, ...], where: str) -> UnreadableFrame | None:
        """What is wrong with a frame of this height and width, if anything is."""
        self._first = self._first or size
        if size == self._first:
            return None
        height, width = self._first
        return UnreadableFrame(f"{where}: is {size[0]}×{size[1]}, but the first frame is {height}×{width}")


class NumberedImages:
    """Image files; each is read by itself."""

    def __init__(self, files: ImageSequence) -> None:
        self._files = files

    def survey(self, keep: Keep, *, one_size: bool = False) -> tuple[int, dict[int, UnreadableFrame]]:
        unreadable, wanted, same = {}, True, _Size()
        with closing(self._files.frames()) as frames:  # type: ignore[type-var]
            for frame in frames:
                error = frame.error
                if one_size and frame.image is not None:
                    error = same.problem(frame.image.shape[:2], frame.where)
                if error is not None:
                    unreadable[frame.index] = error
                elif wanted and frame.image is not None:
                    wanted = keep(frame.index, frame.image)
        return len(self._files.paths), unreadable

    def read(self, number: int) -> dict[int, Image]:
        return {number: read_image(self._files.paths[number], upright=self._files.upright)}


class NumberedVideo:
    """A video file. `survey` comes first: it learns at what time each frame is shown, and which are key frames."""

    def __init__(self, path: str, reading: Reading = AS_SHOWN) -> None:
        self._path, self._reading = path, reading
        self._numbers = np.zeros(0, np.int64)  # of the frames that can be read
        self._times = np.zeros(0, np.int64)  # when they are shown
        self._fields: str | None = None  # in which order they were taken, of interlaced frames
        self._keys = np.zeros(0, np.int64)  # numbers of those that the decoder can begin at

    @property
    def seekable(self) -> bool:
        """Whether its frames have times, each later than the last. Without, each is decoded for from the beginning."""
        return len(self._times) > 0 and bool((np.diff(self._times) > 0).all())

    def survey(self, keep: Keep, *, one_size: bool = False) -> tuple[int, dict[int, UnreadableFrame]]:
        unreadable: dict[int, UnreadableFrame] = {}
        numbers, times, keys, wanted, count, same = [], [], [], True, 0, _Size()
        for number, frame in enumerate(decode_frames(self._path, reading=self._reading)):
            count = number + 1
            if isinstance(frame, UnreadableFrame):
                unreadable[number] = frame
                continue
            if one_size and (error := same.problem(frame.size, f"{self._path} (frame {number})")):
                unreadable[number] = error
                continue
            numbers.append(number)
            if isinstance(frame, Picture):
                self._fields = self._fields or frame.fields
            times.append(-1 if frame.pts is None else frame.pts)
            if frame.key_frame:
                keys.append(number)
            if wanted:
                wanted = keep(number, frame.to_ndarray(format="rgb24"))
        self._numbers, self._times, self._keys = (np.array(each, np.int64) for each in (numbers, times, keys))
        return count, unreadable

    def read(self, number: int) -> dict[int, Image]:
        for frames in self._ways_to(number):
            found: dict[int, Image] = {}
            first = last = number
            with closing(frames):  # type: ignore[type-var]
                for place, frame in frames:
                    if not found:
                        size = max(1, min(_BLOCK, _BLOCK_BYTES // (3 * frame.pixels)))
                        first = number - number % size
                        last = first + size - 1
                    if first <= place <= last:
                        found[place] = frame.to_ndarray(format="rgb24")
                    if place >= last:
                        break
            if number in found:
                return found
        raise UnreadableFrame(f"{self._path}: frame {number} cannot be read again; did the file change?")

    def _ways_to(self, number: int) -> Iterator[Iterator[tuple[int, Picture]]]:
        """From the last key frame before the frame; from earlier ones, as a seek may land behind what it is asked for;
        from the beginning."""
        if self.seekable:
            keys = self._times[np.isin(self._numbers, self._keys[self._keys <= number])]
            for back in (1, 2, 4):
                if back <= len(keys):
                    yield self._from_keys(int(keys[-back]), keys)
        yield self._from_beginning()

    def _from_keys(self, time: int, keys: np.ndarray) -> Iterator[tuple[int, Picture]]:
        """Frames with their numbers, from the first of the key frames on that comes after a seek to `time`; `keys` are
        the times of those that will do. None where the seek landed behind them all."""
        begun = False
        for count, frame in enumerate(
            decode_from(self._path, time, reading=self._reading, **({"fields": self._fields} if self._fields else {}))
        ):
            if frame.pts is None:
                continue
            begun = begun or (frame.pts in keys and not (frame.fields and count == 0))
            if not begun and frame.pts > keys[-1]:
                return
            place = int(np.searchsorted(self._times, frame.pts))
            if begun and place < len(self._times) and self._times[place] == frame.pts:
                yield int(self._numbers[place]), frame

    def _from_beginning(self) -> Iterator[tuple[int, Picture]]:
        for number, frame in enumerate(decode_frames(self._path, reading=self._reading)):
            if not isinstance(frame, UnreadableFrame):
                yield number, frame
