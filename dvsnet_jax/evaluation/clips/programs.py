"""Compiled programs of frame sizes that are through: let go, or a set of pictures of many sizes fills the memory."""

from __future__ import annotations

import jax

SORTED, MIXED = 4, 32
"""Sizes whose programs are held: of frames that come size by size, and of frames in any order, where to let one go may
be to compile it again."""


class HeldPrograms:
    """Programs of a few frame sizes at once. What is compiled is held for as long as the process runs, some 50 MB a
    size of the bundled network and its measures; pictures of Mapillary Vistas have hundreds of sizes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: set[tuple[int, ...]] = set()

    def expect(self, size: tuple[int, ...]) -> None:
        """Frames of this size come next. Where too many others have been, their programs go."""
        self._sizes.add(size)
        if len(self._sizes) > self._most:
            jax.clear_caches()
            self._sizes = {size}
