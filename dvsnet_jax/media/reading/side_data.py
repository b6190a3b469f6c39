"""What comes with a decoded frame beside its pixels."""

from __future__ import annotations

import gc
import math
from typing import Any

import numpy as np
from jaxtyping import Int32

_EVERY = 128
_asked = 0


def side_data(frame: Any, kind: str) -> Any:
    """PyAV's side data of that kind, None where the frame has none. Ask only for what is wanted of this frame.

    A frame of PyAV that was asked and its side data hold each other (18.1; `findings/side_data_keeps_frames.sh`), so
    its pixels stay until Python's collector goes through everything, which a process of many modules hardly ever does:
    a video would fill the memory. So it is called here, once in so many frames.

    None too where PyAV cannot list what comes with the frame (`findings/exif_hides_side_data.sh`).
    """
    global _asked
    _asked += 1
    if _asked % _EVERY == 0:
        gc.collect()
    try:
        return frame.side_data.get(kind)
    except ValueError:
        return None


def display_matrix(frame: Any) -> Int32[np.ndarray, "9"] | None:
    """How a PyAV frame is to be shown (`reading.turning`), as its file or its coded picture says; None where neither
    does. Of a frame with EXIF, whose side data PyAV does not give, the turn alone, without a mirror."""
    if (found := side_data(frame, "DISPLAYMATRIX")) is not None:
        return np.frombuffer(bytes(found), np.int32)
    if not frame.rotation:
        return None
    angle = math.radians(-frame.rotation)
    a, b = round(math.cos(angle) * 65536), round(math.sin(angle) * 65536)
    return np.array([a, b, 0, -b, a, 0, 0, 0, 1 << 30], np.int32)
