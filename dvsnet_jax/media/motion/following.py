"""Frame after frame in, motion after motion out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from dvsnet_jax.frame_motion import SAME_SCENE
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.motion.likeness import Grey, grey, likeness


class Estimator(Protocol):
    """Finds motion between neighbouring frames."""

    def flow(
        self, later: Grey, earlier: Grey | None
    ) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, "rows columns"]] | None:
        """`(flow, cover)` from `later` to `earlier`, in cells, and for each cell 0..1, whether something was found
        there; None where nothing was. `earlier` is what was `later` in the call before, or None: a new beginning."""


class Follower:
    """Follows one video through an estimator.

    follower = Follower(DisMotion())
    for frame in frames:
        motion = follower.step(frame.image)  # None: not known
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self._last: Grey | None = None

    def step(self, image: UInt8[np.ndarray, "height width 3"] | None) -> Motion | None:
        """The motion to the frame of the last step; `image` is None for one that cannot be read.

        None for a first frame, one after an unreadable one, one of another size, and wherever the pictures do not bear
        out what was found: at a cut, say.
        """
        earlier, self._last = self._last, None if image is None else grey(image)
        if self._last is None:
            return None
        if earlier is not None and earlier.shape != self._last.shape:
            earlier = None
        found = self._estimator.flow(self._last, earlier)
        motion = None if found is None or earlier is None else checked(*found, self._last, earlier)
        if motion is None and earlier is not None:
            self._estimator.flow(self._last, None)  # nothing of what was found wrongly is to lead it on
        return motion


def checked(
    flow: Float32[np.ndarray, "rows columns 2"],
    cover: Float32[np.ndarray, "rows columns"],
    later: Grey,
    earlier: Grey,
) -> Motion | None:
    """A flow that the pictures bear out, with how far they do in each cell; None for one that they contradict."""
    whole, cells = likeness(later, earlier, flow)
    return Motion(flow, cells * np.minimum(cover, 1)) if whole >= SAME_SCENE else None
