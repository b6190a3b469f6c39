"""BDD100K's videos about its labelled pictures: a second of each, whose last frame has the picture's labels.

    videos/SPLIT/NAME.mov         beside what `bdd100k` reads, in whichever of train, val and test

Phones recorded them lying on their side, with a mark of how to turn each: frames come upright. By its documentation
(bdd100k/bdd100k, doc/source/download.rst) pictures are the frames at the 10th second; of the 10,000 labelled ones some
have no video, and their splits are others than the videos'. Users found the picture some frames from there
(ucbdrive/bdd100k, issue 74), which is metres of road, so it is looked for: of the frames within half a second of 10 s,
by their times, it is the one that is most like the picture.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from dvsnet_jax.datasets.readers import bdd100k
from dvsnet_jax.datasets.samples import VOID, LabelledFile, LabelledImage
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.images import read_image, resize_image
from dvsnet_jax.media.motion.attached import Kind, with_motion
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.sources import open_source

LENGTH = 30
"""Frames of a clip, at most, the labelled one the last: a second."""
AT, NEAR = 10.0, 0.5
"""Seconds from the video's beginning to the labelled frame, by the documentation; and how far from there it may be."""
_LOOK = (45, 80)  # height and width at which frames are held against the picture
_ALIKE = 12.0  # mean difference, of 255; the picture's own frame was compressed once less, and is far below


@dataclass(frozen=True)
class VideoMoment:
    """A clip, decoded from the video's beginning whenever it is iterated over."""

    name: str
    video: Path
    file: LabelledFile
    """The labelled picture."""
    _found: list[int] = field(default_factory=list, compare=False)
    """Which of the video's frames it is, once that is known."""

    def __iter__(self) -> Iterator[LabelledImage]:
        """Its frames, upright; labels are void but for the last, whose own picture is not looked at.

        Raises `InputError` for a video that cannot be read or has no times, and where none of its frames near 10 s is
        like the labelled picture.
        """
        for sample, _ in self._read(None):
            yield sample

    def coded(self) -> Iterator[tuple[LabelledImage, Motion | None]]:
        """The same, each with the motion to the frame before it by the video file's own vectors."""
        return self._read("codec")

    def paths(self) -> list[Path]:
        return [self.video, self.file.image, self.file.labels]

    def _read(self, kind: Kind | None) -> Iterator[tuple[LabelledImage, Motion | None]]:
        if not self._found:
            self._found.append(self._labelled_frame())
        last = self._found[0]
        with closing(with_motion(open_source(self.video), kind)) as frames:  # type: ignore[type-var]
            for frame, motion in frames:
                if frame.index <= last - LENGTH:
                    continue
                if frame.image is None:
                    raise InputError(str(frame.error)) from frame.error
                if frame.index == last:
                    yield LabelledImage(frame.image, self.file.read_labels()), motion
                    return
                yield LabelledImage(frame.image, np.full(frame.image.shape[:2], VOID, np.uint8)), motion

    def _labelled_frame(self) -> int:
        """The number of the frame, from 0, that the labelled picture is."""
        picture = read_image(self.file.image)
        wanted, nearest = _look(picture), (np.inf, -1)
        begun: float | None = None
        with closing(open_source(self.video).frames()) as frames:  # type: ignore[type-var]
            for frame in frames:
                if frame.time is None:
                    raise InputError(f"{self.video}: has no times to find the labelled frame by; copy it again")
                begun = frame.time if begun is None else begun
                if frame.time - begun > AT + NEAR:
                    break
                if frame.time - begun < AT - NEAR or frame.image is None:
                    continue
                if (frame.image.shape[0] > frame.image.shape[1]) != (picture.shape[0] > picture.shape[1]):
                    raise InputError(
                        f"{self.video}: is shown {frame.image.shape[1]} × {frame.image.shape[0]}, but "
                        f"{self.file.image.name} is {picture.shape[1]} × {picture.shape[0]}; it has lost the mark of "
                        "how to turn it: take the data set's own file"
                    )
                nearest = min(nearest, (float(np.abs(_look(frame.image) - wanted).mean()), frame.index))
        if nearest[0] > _ALIKE:
            told = f"the nearest differs by {nearest[0]:.0f} of 255" if nearest[1] >= 0 else "it ends before that"
            raise InputError(
                f"{self.video}: no frame within {NEAR:g} s of its {AT:g}th second is {self.file.image.name} ({told}); "
                "it is another video, or turned"
            )
        return nearest[1]


def list_moments(root: str | os.PathLike[str], split: str) -> list[VideoMoment]:
    """A clip for each labelled picture of the split that has a video, in order of their names. Tells (`InputNotice`)
    how many have none.

    Raises `InputError` as `bdd100k.list_clips` does, and where no picture has a video.
    """
    pictures = bdd100k.list_clips(root, split)
    videos = {path.stem: path for path in sorted((Path(root) / "videos").glob("*/[!.]*.mov"))}
    found = [VideoMoment(name, videos[name], file) for name, (file,) in pictures if name in videos]
    if not found:
        raise InputError(
            f"{Path(root) / 'videos'}: holds the video of none of {len(pictures)} labelled pictures, expected "
            f"SPLIT/{pictures[0][0]}.mov; unpack BDD100K's videos there"
        )
    if lost := len(pictures) - len(found):
        warnings.warn(
            f"{root}: {lost} of {len(pictures)} labelled pictures have no video here, and are left out; of some there "
            "is none at all",
            InputNotice,
            stacklevel=2,
        )
    return found


def _look(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "45 80 3"]:
    return resize_image(image, _LOOK).astype(np.float32)
