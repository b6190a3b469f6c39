"""Labels as one video of indexed colour, without loss: players show colours, decoders give ids.

Each frame is a palette PNG in QuickTime's container, so any frame is there without those before it. (FFV1 holds ids as
greys, which players show as black; of lossless H.264 readers give others, unless it is marked as full range; APNG is
decoded to colours, and the ids are gone.)
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.video_writer import WrittenVideo, close_container


class LabelVideo(WrittenVideo):
    """Train ids `[height, width]` of one size into a `.mov`; it appears when it is closed.

    Where writing fails (disk full) nothing is left, `InputError` names the file, and more frames are refused.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        palette: UInt8[np.ndarray, "256 3"],
        frame_rate: float | Fraction,
    ) -> None:
        super().__init__(path, frame_rate)
        self._palette = np.ascontiguousarray(np.concatenate([np.full((256, 1), 255, np.uint8), palette], axis=1))
        self._size = (0, 0)

    def write(self, labels: UInt8[np.ndarray, "height width"], time: float | None = None) -> None:
        """Appends a frame, shown at a `time` in seconds as `VideoWriter.write` has it. Raises ValueError for one of
        another size than the first."""
        self._check_begun(*labels.shape)
        if labels.shape != self._size:
            raise ValueError(f"{self.path}: labels of {labels.shape} came into a video of {self._size}")
        picture: Any = (np.ascontiguousarray(labels), self._palette)  # which PyAV takes, and its annotations do not
        frame = av.VideoFrame.from_ndarray(picture, format="pal8")
        frame.pts, frame.time_base = self._timeline.place(time), self._timeline.tick
        self._mux(frame)

    def _open(self, height: int, width: int) -> None:
        with ExitStack() as stack:
            path = stack.enter_context(atomic_path(self.path))
            file = stack.enter_context(path.open("wb"))
            self._container = av.open(file, "w", format="mov")
            stack.push(partial(close_container, self._container))
            self._stream = self._container.add_stream("png", rate=self._timeline.rate)
            self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "pal8"
            self._stream.time_base = self._stream.codec_context.time_base = self._timeline.tick
            self._size = (height, width)
            self._stack = stack.pop_all()
