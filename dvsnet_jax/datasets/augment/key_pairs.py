"""A key frame and a later frame of a clip, cropped, scaled and coloured alike: what the joint fine-tune learns from."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation, augment_labelled
from dvsnet_jax.datasets.clips import Place, key_frames, unreadable


class KeyPair(NamedTuple):
    """Two frames of a clip, and the labels of the current one."""

    key: UInt8[np.ndarray, "h w 3"]
    """RGB, 0..255."""
    current: UInt8[np.ndarray, "h w 3"]
    labels: UInt8[np.ndarray, "h w"]
    """Train ids of the current frame; 255 void."""


def draw_key_pair(
    place: Place, rng: np.random.Generator, limits: LabelledAugmentation, *, distances: tuple[int, int] = (0, 9)
) -> KeyPair:
    """The frame at `place` and one before it, as far as `distances` say and the clip reaches; both changed alike.

    A key frame that cannot be read is not drawn.
    """
    key_position = max(0, place.position - int(rng.integers(distances[0], distances[1] + 1)))
    if key_position in unreadable(place.clip):
        key_position = int(rng.choice(key_frames(place.clip, place.position, distances)))
    seed = int(rng.integers(2**62))
    limits = dataclasses.replace(limits, color=dataclasses.replace(limits.color, noise=0.0))
    current, key = (
        augment_labelled(place.clip[index], np.random.default_rng(seed), limits)
        for index in (place.position, key_position)
    )
    return KeyPair(key.image, current.image, current.labels)
