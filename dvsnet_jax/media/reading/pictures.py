"""One decoded frame: when and which way up it is shown, and its pixels when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.media.reading.colors import rgb
from dvsnet_jax.media.reading.turning import UPRIGHT, Turn


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as `media.video_reader.decode_frames` gives it."""

    stored: Any
    """PyAV's VideoFrame, its pixels where they are stored."""
    seconds: float | None = None
    """When it is shown, in seconds as the file has it; None where that is not said. Joined recordings, whose times
    begin anew, follow each other."""
    turn: Turn = UPRIGHT
    """From how it is stored to how it is shown."""
    fields: str | None = None
    """In which order the fields were taken that it is made of (`reading.fields`); None where it is not interlaced."""

    @property
    def pts(self) -> int | None:
        """When it is shown, in the unit of its stream."""
        return self.stored.pts

    @property
    def key_frame(self) -> bool:
        """Whether the decoder can begin with it."""
        return bool(self.stored.key_frame)

    @property
    def decoded(self) -> int:
        """How many were decoded before it, where vectors were asked for."""
        return int(self.stored.opaque[0])

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns, as it is shown."""
        height, width = int(self.stored.height), int(self.stored.width)
        return (width, height) if self.turn.across else (height, width)

    @property
    def pixels(self) -> int:
        """How many it has."""
        return int(self.stored.height * self.stored.width)

    def to_ndarray(self, format: str = "rgb24") -> UInt8[np.ndarray, "height width 3"]:
        """As it is shown, RGB 0..255."""
        return self.turn.image(rgb(self.stored))
