"""A video, or a folder of frames, as a clip without labels: any length, in bounded memory, each frame at its place."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.samples import VOID, LabelledImage
from dvsnet_jax.errors import DamagedInput, InputError
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.numbered_frames import NumberedFrames, NumberedImages, NumberedVideo
from dvsnet_jax.media.reading.addresses import without_password
from dvsnet_jax.media.reading.opened import AS_SHOWN, Reading
from dvsnet_jax.media.sources import ImageSequence, open_source
from dvsnet_jax.media.video_reader import is_live

_MOST_BYTES = 1 << 30  # of frames that the process keeps, all its clips together: 2000 frames of 480 × 360
_NAMED = 8  # unreadable frames that a warning names


class KeptFrames:
    """Frames in memory, the last ones that were wanted, up to so many bytes."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._frames: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, clip: int, number: int) -> np.ndarray | None:
        with self._lock:
            if (clip, number) not in self._frames:
                return None
            self._frames.move_to_end((clip, number))
            return self._frames[clip, number]

    def put(self, clip: int, number: int, frame: np.ndarray) -> None:
        """Keeps the frame, in the place of those that were wanted longest ago."""
        with self._lock:
            before = self._frames.pop((clip, number), None)
            self.bytes += frame.nbytes - (0 if before is None else before.nbytes)
            self._frames[clip, number] = frame
            while self.bytes > self.most_bytes and len(self._frames) > 1:
                self.bytes -= self._frames.popitem(last=False)[1].nbytes

    def has_room(self, frame: np.ndarray) -> bool:
        return self.bytes + frame.nbytes <= self.most_bytes


_KEPT = KeptFrames()
_clips = itertools.count()


class UnlabelledClip(Sequence[LabelledImage]):
    """The frames of a video or of a folder, all labels void.

    Every frame is there at its place, whatever the length: what does not fit in memory is read again when it is wanted,
    which in a video means decoding from the key frame before it. A frame that cannot be read has its place too, and
    raises UnreadableFrame there; `unreadable` says which they are.
    """

    def __init__(
        self,
        location: str,
        scale: float = 1.0,
        *,
        kept: KeptFrames = _KEPT,
        reading: Reading = AS_SHOWN,
        one_size: bool = True,
    ) -> None:
        """Goes through all frames once, read that way. Warns (`DamagedInput`) where some cannot be read; and unless
        `one_size` is False, those of another size than the first count as such: no two of them make a pair.

        Raises InputError for what is not there, a stream or camera, and where no frame can be read.
        """
        if is_live(location):
            raise InputError(
                f"{without_password(location)}: is a stream or a camera, which can be gone through once; expected is a "
                "file, whose frames can be read again and again; record it first"
            )
        source = open_source(location, reading=reading)
        self.name = source.name
        self._files = [Path(file) for file in source.files]
        self._scale, self._kept, self._number = scale, kept, next(_clips)
        self._frames: NumberedFrames
        self._frames = NumberedImages(source) if isinstance(source, ImageSequence) else NumberedVideo(location, reading)
        self._count, self.unreadable = self._frames.survey(self._keep, one_size=one_size)
        if len(self.unreadable) == self._count:
            reason = next(iter(self.unreadable.values()), "there is none")
            raise InputError(f"{location}: none of its {self._count} frames can be read ({reason}); name another")
        self._warn(location)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        if not 0 <= index < self._count:
            raise IndexError(index)
        if index in self.unreadable:
            raise self.unreadable[index]
        image = self._kept.get(self._number, index)
        if image is None:
            found = {number: self._scaled(frame) for number, frame in self._frames.read(index).items()}
            for number, frame in found.items():
                self._kept.put(self._number, number, frame)
            image = found[index]
        return LabelledImage(image, np.full(image.shape[:2], VOID, np.uint8))

    def paths(self) -> list[Path]:
        return self._files

    def _keep(self, number: int, frame: np.ndarray) -> bool:
        frame = self._scaled(frame)
        if room := self._kept.has_room(frame):
            self._kept.put(self._number, number, frame)
        return room

    def _scaled(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        if self._scale == 1:
            return image
        height, width = (max(1, round(side * self._scale)) for side in image.shape[:2])
        return resize_image(image, (height, width))

    def _warn(self, location: str) -> None:
        if self.unreadable:
            numbers = ", ".join(map(str, list(self.unreadable)[:_NAMED]))
            more = ", …" if len(self.unreadable) > _NAMED else ""
            warnings.warn(
                f"{location}: {len(self.unreadable)} of its {self._count} frames cannot be read (frames {numbers}{more}"
                f"; {next(iter(self.unreadable.values()))}); nothing is made of them, and the others keep their places",
                DamagedInput,
                stacklevel=2,
            )
        whole = all(self._kept.get(self._number, n) is not None for n in range(self._count) if n not in self.unreadable)
        if isinstance(self._frames, NumberedVideo) and not self._frames.seekable and not whole:
            warnings.warn(
                f"{location}: does not fit in memory, and its frames have no times to find them by, so each is decoded "
                "for from the beginning, slowly; 'ffmpeg -i FILE -g 25 NEW.mp4' makes a file that has them",
                DamagedInput,
                stacklevel=2,
            )
