"""A key frame and a later frame of a clip, cropped, scaled and coloured alike: what the joint fine-tune learns from.
With them, where motion is carried, the motion between the two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation, augment_labelled
from dvsnet_jax.datasets.clips import Place, key_frames, unreadable
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.frame_motion import motion_shape
from dvsnet_jax.media.motion.attached import estimator
from dvsnet_jax.media.motion.field import Motion, compose
from dvsnet_jax.media.motion.following import Follower


class KeyPair(NamedTuple):
    """Two frames of a clip, and the labels of the current one."""

    key: UInt8[np.ndarray, "h w 3"]
    """RGB, 0..255."""
    current: UInt8[np.ndarray, "h w 3"]
    labels: UInt8[np.ndarray, "h w"]
    """Train ids of the current frame; 255 void."""


class CarriedPair(NamedTuple):
    """The same, and the motion from frame to frame between them, chained: `CarriedFlow` of one region."""

    key: UInt8[np.ndarray, "h w 3"]
    current: UInt8[np.ndarray, "h w 3"]
    labels: UInt8[np.ndarray, "h w"]
    flow: Float32[np.ndarray, "h//8 w//8 2"]
    trust: Float32[np.ndarray, "h//8 w//8"]
    age: Float32[np.ndarray, ""]


def draw_key_pair(
    place: Place, rng: np.random.Generator, limits: LabelledAugmentation, *, distances: tuple[int, int] = (0, 9)
) -> KeyPair:
    """The frame at `place` and one before it, as far as `distances` say and the clip reaches; both changed alike.

    A key frame that cannot be read is not drawn.
    """
    key_position, change = _drawn(place, rng, limits, distances)
    current, key = (change(place.clip[index]) for index in (place.position, key_position))
    return KeyPair(key.image, current.image, current.labels)


def draw_carried_pair(
    place: Place,
    rng: np.random.Generator,
    limits: LabelledAugmentation,
    *,
    distances: tuple[int, int] = (0, 9),
    motion: Literal["dis", "encoder"] = "dis",
) -> CarriedPair:
    """`draw_key_pair` with the motion that `motion` finds between the changed frames, key to current. Where it is not
    known, as at a cut, there is nothing to carry: the current frame stands for the key frame too."""
    key_position, change = _drawn(place, rng, limits, distances)
    lost, follower = unreadable(place.clip), Follower(estimator(motion))
    samples = [
        None if index in lost else change(place.clip[index]) for index in range(key_position, place.position + 1)
    ]
    key, current = samples[0], samples[-1]
    assert key is not None
    assert current is not None  # unreadable frames are not drawn
    cells = motion_shape(*current.image.shape[:2])
    still = Motion(np.zeros((*cells, 2), np.float32), np.ones(cells, np.float32))
    steps = [follower.step(sample and sample.image) for sample in samples]
    carried: Motion | None = still
    for step in steps[1:]:
        carried = compose(step, carried)
    if carried is None:
        key, carried, key_position = current, still, place.position
    age = np.asarray(place.position - key_position, np.float32)
    return CarriedPair(key.image, current.image, current.labels, carried.flow, carried.trust, age)


def _drawn(
    place: Place, rng: np.random.Generator, limits: LabelledAugmentation, distances: tuple[int, int]
) -> tuple[int, Callable[[LabelledImage], LabelledImage]]:
    """The key frame's place, and what changes all frames alike."""
    key_position = max(0, place.position - int(rng.integers(distances[0], distances[1] + 1)))
    if key_position in unreadable(place.clip):
        key_position = int(rng.choice(key_frames(place.clip, place.position, distances)))
    seed = int(rng.integers(2**62))
    limits = dataclasses.replace(limits, color=dataclasses.replace(limits.color, noise=0.0))
    return key_position, lambda sample: augment_labelled(sample, np.random.default_rng(seed), limits)
