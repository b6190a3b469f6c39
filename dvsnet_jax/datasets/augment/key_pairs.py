"""A key frame and a later frame of a clip, cropped, scaled and coloured alike: what the joint fine-tune learns from."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation, augment_labelled
from dvsnet_jax.datasets.clips import Place


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
    """The frame at `place` and one before it, as far as `distances` say and the clip reaches; both changed alike."""
    distance = min(int(rng.integers(distances[0], distances[1] + 1)), place.position)
    seed = int(rng.integers(2**62))
    limits = dataclasses.replace(limits, color=dataclasses.replace(limits.color, noise=0.0))
    current, key = (
        augment_labelled(place.clip[index], np.random.default_rng(seed), limits)
        for index in (place.position, place.position - distance)
    )
    return KeyPair(key.image, current.image, current.labels)
