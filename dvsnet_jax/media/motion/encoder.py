"""A video encoder as an estimator of motion: what it finds out to save bits, read back from what it wrote."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from jaxtyping import Float32, UInt8

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.motion.likeness import Grey
from dvsnet_jax.media.motion.painting import paint, scaled, settled, vectors_of
from dvsnet_jax.media.reading.pictures import Picture

_SETTINGS = {
    "bframes": 0,
    "ref": 1,  # every vector points to the frame before
    "keyint": "infinite",
    "scenecut": 40,  # x264's own; its preset ultrafast has none
    "subme": 1,  # the preset's 0 knows whole pixels only, of a reduced picture two or four of the frame's
    "crf": 15,  # fine: motion is to be sought in the pictures, not in what coarse coding leaves of them
    "threads": 1,
}


class EncoderMotion:
    """libx264, preset ultrafast; one frame in, one out. Raises InputError where PyAV comes without it."""

    def __init__(self) -> None:
        if "libx264" not in av.codecs_available:
            raise InputError(
                "motion by an encoder needs libx264, which this PyAV lacks: pip install --force-reinstall av"
            )
        self._encoder: Any = None
        self._decoder: Any = None
        self._size: tuple[int, ...] = ()
        self._count = 0

    def flow(
        self, later: Grey, earlier: Grey | None
    ) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, "rows columns"]] | None:
        """See `Estimator`. Nothing is found in a frame that the encoder starts anew with, as it does at a cut."""
        if earlier is None or later.fine.shape != self._size:
            self._start(later.fine.shape)
        vectors = vectors_of(self._there_and_back(later.fine))
        if vectors is None:
            return None
        return settled(*paint(scaled(vectors, later.scale), later.cells.shape))

    def _start(self, size: tuple[int, ...]) -> None:
        self._size, self._count = size, 0
        encoder = av.CodecContext.create("libx264", "w")
        encoder.height, encoder.width = size
        encoder.pix_fmt, encoder.time_base = "gray", Fraction(1, 25)
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": ":".join(f"{name}={value}" for name, value in _SETTINGS.items()),
        }
        decoder = av.CodecContext.create("h264", "r")
        decoder.options = {"flags2": "+export_mvs"}
        decoder.thread_type = "SLICE"
        self._encoder, self._decoder = encoder, decoder

    def _there_and_back(self, picture: UInt8[np.ndarray, "h w"]) -> Picture:
        frame = av.VideoFrame.from_ndarray(picture, format="gray")
        frame.pts, self._count = self._count, self._count + 1
        (decoded,) = [shown for packet in self._encoder.encode(frame) for shown in self._decoder.decode(packet)]
        return Picture(decoded)
