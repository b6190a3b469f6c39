"""The motion that a video file holds already: its decoder's vectors, in the same pass as its pictures.

A vector says from where a block was taken, not from which frame: with B frames, or with several references, that may be
any of a dozen, earlier or later. So the frame is found out by looking (`references`), and a vector over d frames is
divided by d.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import chain
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from dvsnet_jax.media.images import UnreadableFrame
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.motion.following import Estimator, checked
from dvsnet_jax.media.motion.likeness import Grey, grey
from dvsnet_jax.media.motion.painting import Vectors, paint, settled, vectors_of
from dvsnet_jax.media.motion.references import distances
from dvsnet_jax.media.reading.opened import AS_SHOWN, Reading
from dvsnet_jax.media.reading.pictures import Picture
from dvsnet_jax.media.video_reader import decode_frames

_REACH = 8  # frames shown, back or forward, that a vector is looked for in


class _Shown:
    """A frame in its place among those around it."""

    def __init__(self, decoded: Picture | UnreadableFrame) -> None:
        self.seconds = decoded.seconds
        self.image: UInt8[np.ndarray, "h w 3"] | UnreadableFrame
        self.grey: Grey | None = None
        self.vectors: Vectors | None = None
        self.turn = -1
        if isinstance(decoded, UnreadableFrame):
            self.image = decoded
        else:
            self.image = image = decoded.to_ndarray()
            self.grey = grey(image)
            self.turn = decoded.decoded
            self.vectors = vectors_of(decoded)

    @property
    def looks_ahead(self) -> bool:
        return self.vectors is not None and bool(self.vectors.future.any())


class Coded(NamedTuple):
    """A frame of a file, and its motion."""

    image: UInt8[np.ndarray, "h w 3"] | UnreadableFrame
    motion: Motion | None
    seconds: float | None
    """When it is shown."""


def coded_frames(location: str, otherwise: Estimator | None = None, reading: Reading = AS_SHOWN) -> Generator[Coded]:
    """What `decode_video` gives, each with the motion to the frame before it.

    A frame that is predicted from later ones comes only when those are decoded, two or three frames later as a rule.
    Where there are no vectors, as in an intra frame, or the pictures contradict them, `otherwise` is asked for the
    motion of that one frame. None comes for a first frame, one after an unreadable one, one of another size, and where
    `otherwise` is None or the pictures contradict it too, as at a cut.
    """
    around: list[_Shown] = []
    at = 0
    with closing(decode_frames(location, vectors=True, reading=reading)) as decoded:
        for frame in chain(decoded, [None]):
            if frame is not None:
                around.append(_Shown(frame))
            while at < len(around) and (frame is None or _is_ready(around[at:])):
                yield Coded(around[at].image, _motion(around, at, otherwise), around[at].seconds)
                at += 1
            if at > _REACH:
                del around[: at - _REACH]
                at = _REACH


def _is_ready(waiting: list[_Shown]) -> bool:
    """Whether what the first of them was predicted from has been decoded."""
    return not all(frame.looks_ahead for frame in waiting) or len(waiting) > _REACH


def _motion(around: list[_Shown], at: int, otherwise: Estimator | None) -> Motion | None:
    later, earlier = around[at].grey, around[at - 1].grey if at else None
    if later is None or earlier is None or earlier.shape != later.shape:
        return None
    found = _from_vectors(around, at)
    motion = found and checked(*found, later, earlier)
    if motion is None and otherwise is not None:
        otherwise.flow(earlier, None)
        found = otherwise.flow(later, earlier)
        motion = found and checked(*found, later, earlier)
    return motion


def _from_vectors(
    around: list[_Shown], at: int
) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, "rows columns"]] | None:
    """Flow to the frame before and what of it is covered: each vector divided by the frames that it reaches over, near
    ones counting more."""
    frame = around[at]
    if frame.vectors is None or frame.grey is None:
        return None
    candidates = {
        at - place: other.grey
        for place, other in enumerate(around[: at + _REACH + 1])
        if other.turn < frame.turn and other.grey is not None and other.grey.shape == frame.grey.shape
    }
    over = distances(frame.vectors, frame.grey, candidates)
    known = over != 0
    vectors, over = Vectors(*(values[known] for values in frame.vectors)), over[known].astype(np.float32)
    vectors = vectors._replace(to=vectors.to / over[:, None])
    return settled(*paint(vectors, frame.grey.cells.shape, 1 / over**2))
