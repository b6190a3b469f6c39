"""What comes with a decoded frame beside its pixels."""

from __future__ import annotations

import gc
from typing import Any

_EVERY = 128
_asked = 0


def side_data(frame: Any, kind: str) -> Any:
    """PyAV's side data of that kind, None where the frame has none. Ask only for what is wanted of this frame.

    A frame of PyAV that was asked and its side data hold each other (18.1; `findings/side_data_keeps_frames.sh`), so
    its pixels stay until Python's collector goes through everything, which a process of many modules hardly ever does:
    a video would fill the memory. So it is called here, once in so many frames.
    """
    global _asked
    found = frame.side_data.get(kind)
    _asked += 1
    if _asked % _EVERY == 0:
        gc.collect()
    return found
