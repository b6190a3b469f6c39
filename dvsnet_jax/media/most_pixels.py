"""How large a picture may be: a few bytes can name a size that no memory holds."""

from __future__ import annotations

MOST_PIXELS = 1 << 26
"""8192×8192, twice what an 8K camera gives; as RGB 192 MiB."""


def too_large(height: int, width: int) -> str | None:
    """What is wrong with a picture of this size, if anything; asked before memory is taken for it."""
    if height * width <= MOST_PIXELS:
        return None
    return f"has {width}×{height} pixels, and {MOST_PIXELS / 1e6:.0f} million are the most that is read; scale it first"
