"""A decoder's motion vectors, and how they become a field: painted on the grid, gaps filled, outliers removed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from dvsnet_jax.frame_motion import CELL
from dvsnet_jax.media.reading.pictures import Picture
from dvsnet_jax.media.reading.side_data import side_data

_COVERED = 0.1
_EXCHANGES = ((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8), (4, 7), (3, 6),
              (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2))  # fmt: skip
"""Pairs to put in order, one after another, so that the median of nine comes to lie in the middle (Paeth, 1990)."""


class Vectors(NamedTuple):
    """The blocks of a frame that its decoder predicted from another one."""

    centre: Float32[np.ndarray, "blocks 2"]
    """(x, y) in pixels; may lie outside a picture whose sides 16 does not divide."""
    size: Float32[np.ndarray, "blocks 2"]
    """Width and height in pixels: 16 or 8, in H.264 down to 4."""
    to: Float32[np.ndarray, "blocks 2"]
    """(x, y) in pixels, from the block to where its content was taken from."""
    future: Bool[np.ndarray, "blocks"]
    """Taken from list 1, which as a rule begins with the next frame shown. Which frame exactly no record says."""


def vectors_of(picture: Picture) -> Vectors | None:
    """What came with a decoded frame, turned as it is shown; None for an intra frame, for one that was coded in fields,
    and from a decoder that gives no vectors."""
    found = None if picture.fields else side_data(picture.stored, "MOTION_VECTORS")
    if found is None:
        return None
    table = found.to_ndarray()
    scale = np.maximum(table["motion_scale"], 1)[:, None]
    turn = picture.turn
    centre = np.stack([table["dst_x"], table["dst_y"]], -1).astype(np.float32)
    size = np.stack([table["w"], table["h"]], -1).astype(np.float32)
    to = (np.stack([table["motion_x"], table["motion_y"]], -1) / scale).astype(np.float32)
    return Vectors(
        turn.places(centre, picture.stored.height, picture.stored.width),
        size[:, ::-1] if turn.across else size,
        turn.directions(to),
        table["source"] > 0,
    )


def scaled(vectors: Vectors, scale: float) -> Vectors:
    """Those of a picture with sides `scale` times as long."""
    return Vectors(vectors.centre * scale, vectors.size * scale, vectors.to * scale, vectors.future)


def paint(
    vectors: Vectors, grid: tuple[int, int], weight: Float32[np.ndarray, "blocks"] | None = None
) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, "rows columns"]]:
    """`(flow, cover)`: the weighted mean vector of the blocks on each cell, in cells, and how much of it they cover.

    A block larger than a cell counts in each cell it lies on, a smaller one by its area. Uncovered cells have zeros.
    """
    rows, columns = grid
    parts = np.maximum(vectors.size / CELL, 1).astype(np.intp)
    count = parts[:, 0] * parts[:, 1]
    block = np.repeat(np.arange(len(count)), count)
    part = np.arange(len(block)) - np.repeat(np.cumsum(count) - count, count)
    side = (vectors.size / parts)[block]
    place = np.stack([part % parts[block, 0], part // parts[block, 0]], -1) + 0.5
    x, y = np.floor((vectors.centre[block] - vectors.size[block] / 2 + place * side) / CELL).astype(np.intp).T
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    block, side, cell = block[inside], side[inside], (y * columns + x)[inside]
    area = side[:, 0] * side[:, 1] / CELL**2
    share = area if weight is None else area * weight[block]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(cell, values, rows * columns).reshape(rows, columns).astype(np.float32)

    flow = np.stack([total(share * vectors.to[block, axis]) for axis in (0, 1)], -1)
    return flow / (np.maximum(total(share), 1e-9)[..., None] * CELL), total(area)


def settled(
    flow: Float32[np.ndarray, "rows columns 2"], cover: Float32[np.ndarray, "rows columns"]
) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, "rows columns"]] | None:
    """The same with gaps filled from the nearest cell that has something, and the median of 3×3 taken twice: an encoder
    takes what costs few bits, so single blocks lie. None where no cell has anything."""
    missing = cover < _COVERED
    if missing.all():
        return None
    if missing.any():
        nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
        flow = flow[tuple(nearest)]
    return _median(_median(flow)), np.where(missing, np.float32(0), cover)


def _median(flow: Float32[np.ndarray, "rows columns 2"]) -> Float32[np.ndarray, "rows columns 2"]:
    """Of 3×3 cells, each component for itself; a tenth of the time of SciPy's."""
    rows, columns = flow.shape[:2]
    wide = np.pad(flow, ((1, 1), (1, 1), (0, 0)), mode="edge")
    nine = [wide[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    for a, b in _EXCHANGES:
        nine[a], nine[b] = np.minimum(nine[a], nine[b]), np.maximum(nine[a], nine[b])
    return nine[4]
