"""Motion from frame to frame, carried: chained into the flow from the current frame to each region's key frame.

*Differs from the original*, whose flow network compares every frame with the key frame (paper, section 3.1). Motion
from one frame to the next is small, so it is found cheaply and well, outside the program too (a video file's own
vectors, an encoder, dense inverse search).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.frame_motion import CELL, CarriedFlow, FrameMotion, motion_shape
from dvsnet_jax.ops.regions import RegionGrid, continued
from dvsnet_jax.ops.warp import warp


def still(regions: int, grid: RegionGrid) -> CarriedFlow:
    """What is carried right after every region was segmented."""
    cells = (regions, grid.region_height // CELL, grid.region_width // CELL)
    return CarriedFlow(jnp.zeros((*cells, 2)), jnp.ones(cells), jnp.zeros(regions))


def carry(
    carried: CarriedFlow,
    motion: FrameMotion | Float[Array, "streams rows columns 2"],
    grid: RegionGrid,
    size: tuple[int, int],
    own: Callable[[Array], Array] = lambda cells: cells,
) -> CarriedFlow:
    """One frame further along `motion`, which is that of frames of `size` (height, width); the grid's frames may be
    those frames resized. The array alone is trusted everywhere. `own` picks the regions that `carried` is of, where it
    has not all. Raises ValueError as `split_motion`."""
    motion = fit_motion(motion, size, (grid.height, grid.width))
    cells = jnp.concatenate([motion.flow, motion.trust[..., None]], axis=-1)  # [streams, h/8, w/8, 3]
    cells = own(split_motion(cells, grid))  # [regions, rh/8, rw/8, 3]
    return carry_cells(carried, cells[..., :2], cells[..., 2])


carry_alone = jax.jit(carry, static_argnames=("grid", "size", "own"))
"""`carry` as a program of its own, for what chains motion outside of the frame step."""


def carry_cells(
    carried: CarriedFlow, step: Float[Array, "regions h w 2"], trust: Float[Array, "regions h w"]
) -> CarriedFlow:
    """The same with motion that is each region's own already, on its grid."""
    before = chain(step, jnp.concatenate([carried.flow, carried.trust[..., None]], axis=-1))
    return CarriedFlow(step + before[..., :2], trust * before[..., 2], carried.age + 1)


def fit_motion(
    motion: FrameMotion | Float[Array, "streams rows columns 2"], size: tuple[int, int], to: tuple[int, int]
) -> FrameMotion:
    """Motion of frames of `size` for the same frames resized to the height and width `to`. Raises ValueError where it
    is of other frames."""
    motion = motion if isinstance(motion, FrameMotion) else FrameMotion(motion, jnp.ones(motion.shape[:-1]))
    _check_grid(motion.flow, size)
    if size == to:
        return motion
    cells = resize_motion(jnp.concatenate([motion.flow, motion.trust[..., None]], axis=-1), size, to)
    return FrameMotion(cells[..., :2], cells[..., 2])


def split_motion(motion: Float[Array, "streams rows columns c"], grid: RegionGrid) -> Float[Array, "regions h w c"]:
    """What is known of each cell of a frame, cell by cell of its regions (`RegionGrid.corners`), streams in order.

    Past the frame's edge the last cell is repeated, as its pixels are. A region whose corner lies between two cells
    (overlaps that are no multiple of 4) gets their mean, weighted by distance.
    Raises ValueError where `motion` is not of the grid's frames.
    """
    _check_grid(motion, (grid.height, grid.width))
    motion = continued(motion, -(-grid.padded_height // CELL) + 1, -(-grid.padded_width // CELL) + 1)
    rows, columns = grid.region_height // CELL, grid.region_width // CELL
    cut = []
    for top, left in grid.corners:
        (row, down), (column, across) = divmod(top, CELL), divmod(left, CELL)
        cells = motion[:, row : row + rows + 1, column : column + columns + 1]
        cells = _between(cells[:, :-1], cells[:, 1:], down / CELL)
        cut.append(_between(cells[:, :, :-1], cells[:, :, 1:], across / CELL))
    return jnp.stack(cut, axis=1).reshape(-1, rows, columns, motion.shape[-1])


def resize_motion(
    motion: Float[Array, "n rows columns c"], size: tuple[int, int], to: tuple[int, int]
) -> Float[Array, "n rows2 columns2 c"]:
    """Motion of frames of `size` for the same frames resized to the height and width `to`: channels 0 and 1 are
    vectors (x, y), which grow with the picture. Linear, cells' centres in their place."""
    if size == to:
        return motion
    rows, columns = motion_shape(*to)
    stretch = jnp.asarray([to[1] / size[1], to[0] / size[0]] + [1.0] * (motion.shape[-1] - 2), motion.dtype)
    resized = jax.image.resize(motion, (motion.shape[0], rows, columns, motion.shape[-1]), "linear", antialias=True)
    return resized * stretch


def chain(
    motion: Float[Array, "regions h w 2"], carried: Float[Array, "regions h w c"]
) -> Float[Array, "regions h w c"]:
    """`carried` of the frame before, brought along `motion` (current → frame before, in cells) to the current frame.

    For the flow frame before → key, add the motion itself: `motion + chain(motion, flow)` is the flow current → key.
    """
    return warp(carried, motion)


def _check_grid(motion: Any, size: tuple[int, int]) -> None:
    expected = motion_shape(*size)
    if motion.ndim != 4 or motion.shape[1:3] != expected:
        raise ValueError(
            f"motion is {list(motion.shape)}, but frames of {size[0]}×{size[1]} have "
            f"[streams, {expected[0]}, {expected[1]}, …]: one vector for each {CELL}×{CELL} pixels"
        )


def _between(first: Array, second: Array, place: float) -> Array:
    return first if place == 0 else first * (1 - place) + second * place
