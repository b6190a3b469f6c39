"""Pairs of frames drawn from clips, for the decision network, with the motion between the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.clips import Clip, current_frames, key_frames, unreadable
from dvsnet_jax.datasets.pair_lists import FramePair
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import FrameMotion
from dvsnet_jax.media.images import read_image
from dvsnet_jax.media.motion.attached import estimator
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.media.motion.following import Follower


class PairFrames(NamedTuple):
    """A pair, read."""

    key: UInt8[np.ndarray, "height width 3"]
    current: UInt8[np.ndarray, "height width 3"]
    motion: tuple[FrameMotion, ...] | None = None
    """Of each frame after the key frame up to the current one, in order, to the frame before it; None where it was not
    asked for."""


Read = Callable[[FramePair], PairFrames]


def read_files(pair: FramePair) -> PairFrames:
    """Key and current frame, from their files, without what lies between."""
    return PairFrames(read_image(pair.key), read_image(pair.current))


def clip_pairs(
    clips: Sequence[Clip],
    count: int,
    distances: tuple[int, int],
    *,
    seed: int,
    motion: Literal["dis", "encoder"] | None = None,
) -> tuple[list[FramePair], Read]:
    """`count` pairs of frames drawn from clips, and what reads them. Their paths are the clip's and frames' numbers.

    With `motion` all frames from key to current are read, and it is found between them. Frames that cannot be read are
    not drawn, and a clip's first frame, which would be its own key frame, only where `distances` begin at 0 and the
    clip has no other. Raises InputError where that leaves none.
    """
    rng = np.random.default_rng(seed)
    usable = [[*current_frames(clip, distances)] for clip in clips]
    usable = [[each for each in frames if each or (len(frames) == 1 and not distances[0])] for frames in usable]
    lengths = np.array([len(clip) if frames else 0 for clip, frames in zip(clips, usable, strict=True)])
    if not lengths.any():
        raise InputError(f"none of {len(clips)} clips has two frames to make a pair of; name others")
    pairs = []
    for number in rng.choice(len(clips), size=count, p=lengths / lengths.sum()):
        clip, lost = clips[number], unreadable(clips[number])
        current = int(rng.integers(min(1, lengths[number] - 1), lengths[number]))
        if lost and current not in usable[number]:
            current = int(rng.choice(usable[number]))
        key = max(0, current - int(rng.integers(distances[0], distances[1] + 1)))
        if key in lost:
            key = int(rng.choice(key_frames(clip, current, distances)))
        pairs.append(FramePair(Path(f"{number}/{key}"), Path(f"{number}/{current}"), Path()))

    def read(pair: FramePair) -> PairFrames:
        clip, first, last = clips[int(pair.key.parent.name)], int(pair.key.name), int(pair.current.name)
        if motion is None:
            return PairFrames(clip[first].image, clip[last].image)
        return _followed(clip, first, last, Follower(estimator(motion)))

    return pairs, read


def _followed(clip: Clip, first: int, last: int, follower: Follower) -> PairFrames:
    lost = unreadable(clip)
    images = [None if place in lost else clip[place].image for place in range(first, last + 1)]
    key, current = images[0], images[-1]
    assert key is not None
    assert current is not None  # unreadable frames are not drawn
    steps = [for_step(follower.step(image), *current.shape[:2]) for image in images]
    return PairFrames(key, current, tuple(steps[1:]))
