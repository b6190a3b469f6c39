"""An image file's numbers as they are stored, where Pillow gives them stretched over 0..255 or turned round."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

_PHOTOMETRIC = 262


class Coding(NamedTuple):
    """How a grey image's numbers became Pillow's."""

    most: int = 255
    """The largest number that its file can hold; Pillow makes 255 (or 65535) of it."""
    inverted: bool = False
    """Whether 0 is white in it, of which Pillow makes 255 (of 16 bits it leaves 0)."""
    halved: bool = False
    """Whether its colours have 16 bits, of which Pillow gives the upper eight."""


def coding_of(image: Any) -> Coding:
    """Of a Pillow image that is open and not yet loaded."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return Coding()
    name, arguments = tiles[0][0], tiles[0][3]
    words = arguments if isinstance(arguments, tuple) else (arguments,)
    if name in ("ppm", "ppm_plain") and isinstance(words[-1], int):
        return Coding(words[-1])
    raw = next((word for word in words if isinstance(word, str)), "")
    bits = next((int(bits) for bits in ("1", "2", "4") if raw.startswith((f"L;{bits}", f"{bits};")) or raw == bits), 8)
    if "16" in raw:
        white = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == 0
        return Coding(inverted=white, halved=image.mode in ("RGB", "RGBA", "LA"))
    return Coding(2**bits - 1, "I" in raw.partition(";")[2])


def stored_values(loaded: np.ndarray, coding: Coding) -> np.ndarray:
    """The numbers of a grey image (booleans, 8 bits or int32) as its file has them."""
    top = 1 if loaded.dtype == bool else 255 if loaded.dtype == np.uint8 else 65535
    values = loaded.astype(np.int32)
    if coding.inverted:
        values = top - values
    if coding.most != 255 or top != 255:
        most = coding.most if coding.most != 255 or top == 1 else top
        values = (values * most + top // 2) // top
    return values.astype(np.int32 if top == 65535 else np.uint8)
