"""Which way up a picture is shown: turns by quarters and mirrors, as the file's display matrix has them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from dvsnet_jax.media.reading.side_data import display_matrix

_CLEARLY = 0.999  # of a turn's sine or cosine: within two degrees of a quarter


class Turn(NamedTuple):
    """From a picture as it is stored to the picture as it is shown: rows and columns exchanged, then mirrored."""

    across: bool = False
    """Stored columns become rows."""
    left: bool = False
    """Then the picture is mirrored left to right."""
    up: bool = False
    """And upside down."""

    def image(self, stored: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """A picture as it is shown."""
        if self == Turn():
            return stored
        shown = stored.swapaxes(0, 1) if self.across else stored
        return np.ascontiguousarray(shown[:: -1 if self.up else 1, :: -1 if self.left else 1])

    def places(self, stored: Float32[np.ndarray, "n 2"], height: int, width: int) -> Float32[np.ndarray, "n 2"]:
        """(x, y) in pixels of a stored picture of this size, as places in the picture shown."""
        x, y = stored.T
        if self.across:
            x, y, height, width = y, x, width, height
        return np.stack([width - x if self.left else x, height - y if self.up else y], -1)

    def directions(self, stored: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n 2"]:
        """(x, y) displacements, the same way."""
        x, y = stored.T
        if self.across:
            x, y = y, x
        return np.stack([-x if self.left else x, -y if self.up else y], -1)


UPRIGHT = Turn()


def turn_of(matrix: Int32[np.ndarray, "9"]) -> Turn | None:
    """What a display matrix asks for (16.16 fixed point; a stored (x, y) is shown at (a x + c y, b x + d y), the first
    numbers of its rows being a, b and c, d); None for an angle that is no quarter turn."""
    (a, b), (c, d) = matrix.reshape(3, 3)[:2, :2].astype(float)
    scale = np.sqrt(abs(a * d - b * c))
    if not scale:  # says nothing
        return UPRIGHT
    if min(abs(a), abs(d)) > _CLEARLY * scale:
        return Turn(False, bool(a < 0), bool(d < 0))
    if min(abs(b), abs(c)) > _CLEARLY * scale:
        return Turn(True, bool(c < 0), bool(b < 0))
    return None


class Turning:
    """How the frames of one video are to be turned: as the first one says, and each that has another size."""

    def __init__(self, *, rotate: bool = True) -> None:
        """Without `rotate` none is."""
        self._rotate = rotate
        self._size: tuple[int, int] | None = None
        self._turn = UPRIGHT

    def of(self, frame: Any) -> Turn:
        """From a PyAV frame as it is stored to how it is shown; upright for what is no quarter turn."""
        size = frame.height, frame.width
        if self._rotate and size != self._size:
            matrix = display_matrix(frame)
            self._turn = UPRIGHT if matrix is None else turn_of(matrix) or UPRIGHT
            self._size = size
        return self._turn
