"""The drawn street as data sources for `datasets.batches`: nothing is stored, each sample is drawn when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.errors import InputError


class StreetPair(NamedTuple):
    """Two frames of a drive and all that is known about them."""

    current: UInt8[np.ndarray, "h w 3"]
    """RGB, 0..255."""
    key: UInt8[np.ndarray, "h w 3"]
    flow: Float[np.ndarray, "h w 2"]
    """Displacement (x, y) in pixels, current → key, float32."""
    visible: Bool[np.ndarray, "h w"]
    """Whether the key frame shows the same point."""
    labels: UInt8[np.ndarray, "h w"]
    """Train ids of the current frame."""
    key_labels: UInt8[np.ndarray, "h w"]
    distance: int
    """How many frames the key frame is before the current one."""


class StreetPairs(Sequence[StreetPair]):
    """`count` pairs, each from a street of its own; the same seed and number give the same pair."""

    def __init__(
        self, count: int, height: int, width: int, *, seed: int, distances: tuple[int, int] = (0, 9), cuts: float = 0.0
    ) -> None:
        """`distances` is the least and greatest between the frames, all alike likely. `cuts` is the share of pairs with
        a cut in between, whose flow is 0 and nowhere visible.

        Raises `InputError` for distances that are none, and sizes as `StreetScene` does.
        """
        if not 0 <= distances[0] <= distances[1] or not 0 <= cuts <= 1:
            raise InputError(f"distances {distances}, cuts {cuts}: expected 0 ≤ least ≤ greatest, a share 0 to 1")
        self._count, self.size, self.seed, self.distances, self.cuts = count, (height, width), seed, distances, cuts

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> StreetPair:  # type: ignore[override]  # no slices
        if not 0 <= index < self._count:
            raise IndexError(index)
        rng = np.random.default_rng((self.seed, index))
        distance = int(rng.integers(self.distances[0], self.distances[1] + 1))
        street, other = (int(number) for number in rng.integers(2**62, size=2))
        scene = StreetScene(street, *self.size, frames=distance + 2)
        current, labels = scene.draw(distance + 1)
        if rng.random() < self.cuts:
            key, key_labels = StreetScene(other, *self.size, frames=1).draw(0)
            nothing = np.zeros((*self.size, 2), np.float32), np.zeros(self.size, bool)
            return StreetPair(current, key, *nothing, labels, key_labels, distance)
        key, key_labels = scene.draw(1)
        return StreetPair(current, key, *scene.flow(distance + 1, 1), labels, key_labels, distance)


class StreetFlowPairs(Sequence[FlowPair]):
    """The pairs as flow pairs, current frame first. Hidden points have true flow too: all is valid but across a cut."""

    def __init__(self, pairs: StreetPairs, *, only_visible: bool = False) -> None:
        """`only_visible`: flow counts only where the key frame shows the point."""
        self.pairs, self.only_visible = pairs, only_visible

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> FlowPair:  # type: ignore[override]  # no slices
        pair = self.pairs[index]
        valid = pair.visible if self.only_visible else np.full_like(pair.visible, pair.visible.any())
        return FlowPair(pair.current, pair.key, pair.flow, valid)


class StreetFrames(Sequence[LabelledImage]):
    """`count` labelled frames, each of a street of its own."""

    def __init__(self, count: int, height: int, width: int, *, seed: int) -> None:
        self._count, self.size, self.seed = count, (height, width), seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        if not 0 <= index < self._count:
            raise IndexError(index)
        street = int(np.random.default_rng((self.seed, index)).integers(2**62))
        return LabelledImage(*StreetScene(street, *self.size, frames=1).draw(0))
