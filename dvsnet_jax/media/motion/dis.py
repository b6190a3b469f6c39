"""Motion by OpenCV's dense inverse search (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32

from dvsnet_jax.media.motion.likeness import Grey
from dvsnet_jax.media.opencv import opencv


class DisMotion:
    """DIS, preset ultrafast, each search begun with the motion of the frame before.

    By itself the preset stops at pictures of a quarter of the sides, and enlarges what it found there. Here it is given
    those pictures, which saves the enlarging. Raises InputError where OpenCV cannot be loaded.
    """

    def __init__(self) -> None:
        self._cv2 = opencv("motion by DIS")
        self._dis = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._last: Float32[np.ndarray, "h w 2"] | None = None

    def flow(
        self, later: Grey, earlier: Grey | None
    ) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, "rows columns"]] | None:
        """See `Estimator`. Something is found everywhere."""
        if earlier is None:
            self._last = None
            return None
        self._dis.setFinestScale(round(math.log2(4 * len(later.coarse) / len(later.fine))))
        found = self._dis.calc(later.coarse, earlier.coarse, self._last)  # in its pixels; written over what is given
        self._last = found
        rows, columns = later.cells.shape
        if found.shape[:2] != (rows, columns):
            found = self._cv2.resize(found, (columns, rows), interpolation=self._cv2.INTER_AREA)
        return found * np.float32(rows / len(later.coarse)), np.ones((rows, columns), np.float32)
