"""Motion by OpenCV's dense inverse search (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from dvsnet_jax.frame_motion import CELL
from dvsnet_jax.media.motion.likeness import Grey
from dvsnet_jax.media.opencv import opencv


class DisMotion:
    """DIS, preset ultrafast, each search begun with the motion of the frame before. Raises InputError where OpenCV is
    not installed."""

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
        dense = self._dis.calc(later.fine, earlier.fine, self._last)  # pixels of `fine`; written over what is given
        self._last = dense
        rows, columns = later.cells.shape
        flow = self._cv2.resize(dense, (columns, rows), interpolation=self._cv2.INTER_AREA)
        return flow * np.float32(later.scale / CELL), np.ones((rows, columns), np.float32)
