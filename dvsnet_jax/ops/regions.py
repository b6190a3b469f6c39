"""Cutting frames into overlapping regions of one size, and putting their labels together again (paper, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Float16, Int, Integer, Shaped

from dvsnet_jax.ops.resize import resize_legacy

MULTIPLE = 16
"""Region sizes are multiples of this: half a region is then a multiple of the flow network's ⅛ grid."""


def _fit(length: int, count: int, overlap: int, multiple: int) -> int:
    """The smallest region length, a multiple, for `count` regions with `2 · overlap` in common to cover `length`."""
    shared = 2 * overlap * (count - 1)
    return -(-(length + shared) // (count * multiple)) * multiple


def _crowded(length: int, count: int, overlap: int, multiple: int) -> bool:
    """Whether a region would reach past its neighbour."""
    return count > 1 and 2 * overlap >= _fit(length, count, overlap, multiple)


def _empty(length: int, count: int, overlap: int, multiple: int) -> int:
    """How many of `count` regions would begin past the end, and so hold nothing but padding."""
    step = _fit(length, count, overlap, multiple) - 2 * overlap
    return sum(index * step >= length for index in range(1, count))


def _takes(length: int, count: int, overlap: int, multiple: int) -> bool:
    return not (_crowded(length, count, overlap, multiple) or _empty(length, count, overlap, multiple))


@dataclass(frozen=True)
class RegionGrid:
    """How frames of one size are cut: rows × columns regions, numbered row by row, all of one size.

    Two neighbours share a strip of `2 · overlap` pixels: each reaches `overlap` over their border. Frames that the grid
    does not fit are edge-padded at the bottom and right (`padded_height`, `padded_width`), and labels are cropped.
    At 1024×2048, 2×2 and overlap 64 the regions are 576×1088 and nothing is padded, as in the original.
    """

    height: int
    width: int
    rows: int
    columns: int
    overlap: int
    region_height: int
    region_width: int

    @classmethod
    def fit(
        cls, height: int, width: int, regions: tuple[int, int], overlap: int, *, multiple: int = MULTIPLE
    ) -> RegionGrid:
        """The grid with the least padding.

        Raises ValueError for frames under 64×64, for an overlap so large that a region would reach past its neighbour,
        and for so many rows or columns that some regions would hold nothing but padding.
        """
        if min(height, width) < 64:
            raise ValueError(f"frames of {height}×{width}: the smallest that can be segmented are 64×64")
        pairs = list(zip((height, width), regions, strict=True))
        grid = f"{height}×{width} frames in {regions[0]}×{regions[1]} regions"
        most = [max(n for n in range(1, count + 1) if _takes(length, n, overlap, multiple)) for length, count in pairs]
        fewer = f"{most[0]}×{most[1]}, the largest grid below it that works at overlap {overlap}"
        if any(_crowded(length, count, overlap, multiple) for length, count in pairs):
            less = [
                n for n in range(0, overlap, 8) if all(_takes(length, count, n, multiple) for length, count in pairs)
            ]
            smaller = f"an overlap of at most {max(less)}, or " if less else ""
            raise ValueError(
                f"overlap {overlap} is too large for {grid}, which would swallow each other; use {smaller}{fewer}"
            )
        empty_rows, empty_columns = (_empty(length, count, overlap, multiple) for length, count in pairs)
        if empty_rows or empty_columns:
            full = (regions[0] - empty_rows) * (regions[1] - empty_columns)
            raise ValueError(
                f"{grid} are too many at overlap {overlap}: {regions[0] * regions[1] - full} of "
                f"{regions[0] * regions[1]} would hold nothing but padding; use {fewer}"
            )
        sizes = [_fit(length, count, overlap, multiple) for length, count in pairs]
        return cls(height, width, *regions, overlap, *sizes)

    @property
    def num_regions(self) -> int:
        return self.rows * self.columns

    @property
    def padded_height(self) -> int:
        return self.rows * self.region_height - 2 * self.overlap * (self.rows - 1)

    @property
    def padded_width(self) -> int:
        return self.columns * self.region_width - 2 * self.overlap * (self.columns - 1)

    def within_frame(self) -> Bool[np.ndarray, "regions h w"]:
        """The pixels of the regions that are not padding."""
        rows, columns = np.arange(self.region_height), np.arange(self.region_width)
        inside = [(top + rows < self.height)[:, None] & (left + columns < self.width) for top, left in self.corners]
        return np.stack(inside)

    @property
    def borders(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Rows, and columns, where a region ends and the next begins, half way through what they share of the frame:
        from 0 to the frame's own end. They are not evenly spaced where frames are padded."""
        steps = self.region_height - 2 * self.overlap, self.region_width - 2 * self.overlap
        rows, columns = (
            (0, *((at + min(at + 2 * self.overlap, length)) // 2 for at in range(step, count * step, step)), length)
            for step, count, length in zip(steps, (self.rows, self.columns), (self.height, self.width), strict=True)
        )
        return rows, columns

    @property
    def corners(self) -> list[tuple[int, int]]:
        """(top, left) of every region, in its order: row by row."""
        step_y, step_x = self.region_height - 2 * self.overlap, self.region_width - 2 * self.overlap
        return [(row * step_y, column * step_x) for row in range(self.rows) for column in range(self.columns)]


def split(frames: Array, grid: RegionGrid, *, every: int = 1) -> Array:
    """Frames `[streams, height, width, c]` → regions `[streams · regions, region_height, region_width, c]`, or each
    `every`-th of their pixels; a stream's regions stay together. Any dtype."""
    frames = padded(frames, grid)
    h, w = grid.region_height, grid.region_width
    cut = [frames[:, top : top + h : every, left : left + w : every] for top, left in grid.corners]
    return jnp.stack(cut, axis=1).reshape(-1, *cut[0].shape[1:])


def region_borders(
    height: int, width: int, regions: tuple[int, int], overlap: int | None
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """`RegionGrid.borders` of frames of this size; None where the overlap is not known."""
    return None if overlap is None else RegionGrid.fit(height, width, regions, overlap).borders


def padded(frames: Array, grid: RegionGrid) -> Array:
    """Frames continued by their edge to what the grid's regions cover; as they are if they were so before."""
    return continued(frames, grid.padded_height, grid.padded_width)


def continued(frames: Shaped[Array, "n h w c"], height: int, width: int) -> Shaped[Array, "n height width c"]:
    """Frames, or cells of them, continued by their lower and right edge to a size no smaller than theirs."""
    below, right = height - frames.shape[1], width - frames.shape[2]
    return jnp.pad(frames, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge") if below or right else frames


def cut_out(frames: Array, grid: RegionGrid, numbers: Int[Array, "n"]) -> Array:
    """Some of the regions that `split` gives, by their numbers; past the end the last. `frames` are `padded`."""
    numbers = jnp.minimum(numbers, frames.shape[0] * grid.num_regions - 1)
    streams, corners = numbers // grid.num_regions, jnp.asarray(grid.corners)[numbers % grid.num_regions]
    size = (1, grid.region_height, grid.region_width, frames.shape[-1])
    cut = [
        lax.dynamic_slice(frames, (streams[index], corners[index, 0], corners[index, 1], 0), size)
        for index in range(len(numbers))
    ]
    return jnp.concatenate(cut)


def merge(
    labels: Integer[Array, "regions h w"], scores: Float[Array, "regions h w"], grid: RegionGrid
) -> Integer[Array, "streams height width"]:
    """Labels of regions, each with the score of the winning class → labels of frames.

    Where regions overlap the larger score wins, raw and uncalibrated; at a tie the earlier region (the original's
    `overlap2` and `overlap4`). A score that is NaN wins against nothing: what it belongs to is void, as
    `upsample_argmax` says already.
    """
    shape = (-1, grid.rows, grid.columns, grid.region_height, grid.region_width)
    labels, scores = labels.reshape(shape), scores.reshape(shape)
    regions = [[(labels[:, row, column], scores[:, row, column]) for column in range(grid.columns)]
               for row in range(grid.rows)]  # fmt: skip
    # What lies outside of the overlaps is only copied. Columns first, so that of equals the earlier region is left.
    rows = [_joined(row, 2, grid) for row in regions]
    merged, _ = _joined(rows, 1, grid)
    return merged[:, : grid.height, : grid.width]


def merge_scores(
    scores: Float[Array, "regions h w classes"], maxima: Float[Array, "regions rh rw"], grid: RegionGrid
) -> Float16[Array, "streams height width classes"]:
    """The scores of regions, interpolated to their pixels, as those of frames: of the region that wins by `merge`."""
    size = (grid.region_height, grid.region_width)
    of_regions = resize_legacy(scores, size).reshape(-1, grid.num_regions, *size, scores.shape[-1])
    numbers = jnp.broadcast_to(jnp.arange(grid.num_regions)[:, None, None], (grid.num_regions, *size))
    winner = merge(jnp.tile(numbers, (len(maxima) // grid.num_regions, 1, 1)), maxima, grid)[..., None]
    merged = jnp.zeros((*winner.shape[:3], scores.shape[-1]), jnp.float16)
    for number, (top, left) in enumerate(grid.corners):
        rows, columns = slice(top, min(top + size[0], grid.height)), slice(left, min(left + size[1], grid.width))
        own = of_regions[:, number, : rows.stop - top, : columns.stop - left].astype(jnp.float16)
        mine = winner[:, rows, columns] == number
        merged = merged.at[:, rows, columns].set(jnp.where(mine, own, merged[:, rows, columns]))
    return merged


def _joined(parts: list[tuple[Array, Array]], axis: int, grid: RegionGrid) -> tuple[Array, Array]:
    """Labels and scores of neighbours along an axis, each of which shares `2 · overlap` pixels with the one before."""
    shared = 2 * grid.overlap

    def cut(part: tuple[Array, Array], start: int, stop: int) -> tuple[Array, ...]:
        return tuple(lax.slice_in_dim(values, start, stop, axis=axis) for values in part)

    whole = parts[0]
    for part in parts[1:]:
        length = whole[0].shape[axis]
        kept, rest = cut(whole, 0, length - shared), cut(part, shared, part[0].shape[axis])
        (labels, best), (other, scores) = cut(whole, length - shared, length), cut(part, 0, shared)
        wins = (scores > best) | jnp.isnan(best)
        between = jnp.where(wins, other, labels), jnp.where(wins, scores, best)
        labels, best = (jnp.concatenate(pieces, axis) for pieces in zip(kept, between, rest, strict=True))
        whole = labels, best
    return whole
