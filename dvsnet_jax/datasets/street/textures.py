"""Noise and patterns of the drawn street, filtered by how much of the surface a pixel sees, so that nothing shimmers.

All take surface coordinates in metres, float32 `[n]`, and the length along each that one pixel covers.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

Values = Float[np.ndarray, "n"]

_SIZE = 256  # texels along a side of the tile
_LEVELS = 7


class Noise:
    """A periodic tile of cloudy noise, mean 0 and deviation 1, with averaged copies of half the size each."""

    def __init__(self, rng: np.random.Generator) -> None:
        tile = np.zeros((_SIZE, _SIZE), np.float32)
        for octave in range(2, 9):  # grids of 4 … 256 random values, smoothly enlarged
            grid = rng.uniform(-1, 1, (2**octave, 2**octave)).astype(np.float32)
            while len(grid) < _SIZE:
                grid = _enlarged(_enlarged(grid).T).T
            tile += grid * 0.72**octave
        tile = (tile - tile.mean()) / tile.std()
        levels = []
        for _ in range(_LEVELS):
            levels.append(tile.ravel())
            tile = tile.reshape(len(tile) // 2, 2, -1, 2).mean((1, 3), dtype=np.float32)
        self._texels = np.concatenate(levels)
        self._starts = np.cumsum([0, *(len(level) for level in levels)])[:-1].astype(np.int32)
        self._values = rng.uniform(-1, 1, 4096).astype(np.float32)

    def at(self, a: Values, b: Values, texel: float, footprint: Values) -> Values:
        """Noise at (a, b) where a texel is `texel` metres and the pixel sees `footprint` metres."""
        level = np.clip(np.log2(np.maximum(footprint, 1e-6) / np.float32(texel)), 0, _LEVELS - 1.001)
        low = level.astype(np.int32)
        share = (level - low).astype(np.float32)
        x, y = a * np.float32(1 / texel), b * np.float32(1 / texel)
        values = self._bilinear(x, y, low)
        # What is seen from close by, often the most of it, needs no second level.
        between = np.flatnonzero(share)
        coarser = self._bilinear(x[between], y[between], low[between] + 1)
        values[between] += share[between] * (coarser - values[between])
        return values

    def one_of(self, i: Int[np.ndarray, "n"], j: Int[np.ndarray, "n"]) -> Values:
        """A random value -1..1 for each pair of whole numbers, the same whenever it is asked for."""
        return self._values[(i * 977 + j * 331 + (i * j) * 7) & 4095]

    def _bilinear(self, x: Values, y: Values, level: Int[np.ndarray, "n"]) -> Values:
        scale = np.float32(0.5) ** level
        x, y = x * scale - np.float32(0.5), y * scale - np.float32(0.5)
        left, top = np.floor(x), np.floor(y)
        right_weight, low_weight = x - left, y - top
        size = _SIZE >> level
        start = self._starts[level]
        left, top = left.astype(np.int32), top.astype(np.int32)
        columns = left & (size - 1), (left + 1) & (size - 1)
        rows = start + (top & (size - 1)) * size, start + ((top + 1) & (size - 1)) * size
        upper, lower = (
            self._texels[row + columns[0]] * (1 - right_weight) + self._texels[row + columns[1]] * right_weight
            for row in rows
        )
        return upper + low_weight * (lower - upper)


def _enlarged(grid: Float[np.ndarray, "k m"]) -> Float[np.ndarray, "2*k m"]:
    """Twice as many rows, each old one followed by the mean of itself and the next (periodic), lightly smoothed."""
    between = (grid + np.roll(grid, -1, 0)) / 2
    rows = np.stack([grid, between], 1).reshape(2 * len(grid), -1)
    return (np.roll(rows, 1, 0) + 2 * rows + np.roll(rows, -1, 0)) / 4


def band(x: Values, low: float | Values, high: float | Values, footprint: Values) -> Values:
    """Share of the pixel, 0..1, that lies between `low` and `high`."""
    half = np.maximum(footprint, 1e-4) / 2
    return (np.clip(x + half, low, high) - np.clip(x - half, low, high)) / (2 * half)


def stripes(x: Values, period: float | Values, width: float | Values, footprint: Values) -> Values:
    """Share of the pixel, 0..1, that lies on stripes `width` wide that begin at every multiple of `period`."""
    half = np.maximum(footprint, 1e-4) / 2
    return (_stripes_until(x + half, period, width) - _stripes_until(x - half, period, width)) / (2 * half)


def _stripes_until(x: Values, period: float | Values, width: float | Values) -> Values:
    """How much stripe there is between 0 and x."""
    whole = np.floor(x / period)
    return whole * width + np.minimum(x - whole * period, width)
