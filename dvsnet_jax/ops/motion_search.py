"""Motion from one picture to another by a search in plain `lax`: for accelerators, whose host is the bottleneck.

Coarse to fine, as hierarchical block matching in video encoders: at every level of a pyramid the earlier picture is
moved along what is known, and shifts around that are compared block by block.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from dvsnet_jax.frame_motion import SAME_SCENE
from dvsnet_jax.ops.warp import warp

_LEVELS = ((5, 2), (4, 2), (3, 2), (2, 2))
"""Of the pyramid, coarse first: pixels of the frame along a pixel's side, as a power of 2, and shifts to each side:
64 pixels of the frame at the coarsest, 120 all together."""
_BLOCK = 5  # pixels of a level along the side of what is compared
_REFINED = 2  # times, at the finest
_LEAST = 8  # pixels of a level's shorter side: smaller ones have nothing to tell
_NOISE = 1.0  # grey levels, squared, as `media.motion.likeness` has it


def search_motion(
    current: Shaped[Array, "n h w 3"], previous: Shaped[Array, "n h w 3"]
) -> tuple[Float[Array, "n h//4 w//4 2"], Float[Array, "n h//4 w//4"]]:
    """`(flow, trust)` of half-size images, RGB 0..255, current → previous, as `FrameMotion` has them: vectors (x, y) in
    cells of 4×4 of their pixels; trust 0..1, how like the pictures are there along it. NaN flow all over an image where
    they are not, as at a cut."""
    grid = (current.shape[1] // 4, current.shape[2] // 4)
    now, before = (_pyramid(images) for images in (current, previous))
    flow = jnp.zeros((current.shape[0], 1, 1, 2))
    for power, reach in _LEVELS:
        here, there = now[power], before[power]
        size = here.shape[1:3]
        if min(size) < _LEAST:
            continue
        flow = jax.image.resize(flow, (*flow.shape[:1], *size, 2), "linear")  # in cells at every level
        scale = 8 / 2**power  # pixels of this level along a cell
        flow = _smooth(flow + _best_shift(here, warp(there, flow * scale), reach) / scale)
        for _ in range(_REFINED if power == _LEVELS[-1][0] else 0):
            flow = _smooth(flow + _parts_of_pixels(here, warp(there, flow * scale)) / scale)
    flow = jax.image.resize(flow, (flow.shape[0], *grid, 2), "linear", antialias=True)
    whole, trust = _likeness(now[3], warp(before[3], flow))
    return jnp.where((whole >= SAME_SCENE)[:, None, None, None], flow, jnp.nan), trust


def _pyramid(images: Shaped[Array, "n h w 3"]) -> dict[int, Float[Array, "n h2 w2 1"]]:
    """The green channel, by the power of 2 that a pixel is of the frame's: 1 (the images') to 5."""
    level = images[..., 1:2].astype(jnp.float32)
    found = {1: level}
    for power in range(2, 6):
        level = jnp.pad(level, ((0, 0), (0, level.shape[1] % 2), (0, level.shape[2] % 2), (0, 0)), mode="edge")
        n, h, w, _ = level.shape
        level = found[power] = level.reshape(n, h // 2, 2, w // 2, 2, 1).mean((2, 4))
    return found


def _best_shift(here: Float[Array, "n h w 1"], there: Float[Array, "n h w 1"], reach: int) -> Float[Array, "n h w 2"]:
    """By how many whole pixels (x, y) `there` is best looked at elsewhere; of equals, none."""
    size = 2 * reach + 1
    padded = jnp.pad(there, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    h, w = here.shape[1:3]
    shifted = [jnp.square(here - padded[:, j : j + h, i : i + w]) for j in range(size) for i in range(size)]
    costs = _mean_around(jnp.concatenate(shifted, axis=-1), _BLOCK)  # [n, h, w, size²]
    still = jnp.arange(size * size) == reach * (size + 1)
    best = jnp.argmin(jnp.where(still, costs - _NOISE, costs), axis=-1)
    return jnp.stack([best % size - reach, best // size - reach], axis=-1).astype(jnp.float32)


def _parts_of_pixels(here: Float[Array, "n h w 1"], there: Float[Array, "n h w 1"]) -> Float[Array, "n h w 2"]:
    """The rest of the shift, at most a pixel: a step of Lucas and Kanade (1981). Of equal pictures it is 0."""
    wide = jnp.pad(there, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    x = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2
    y = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
    rest = here - there
    products = jnp.concatenate([x * x, x * y, y * y, x * rest, y * rest], axis=-1)
    xx, xy, yy, along, down = jnp.moveaxis(_mean_around(products, _BLOCK), -1, 0)
    xx, yy = xx + _NOISE, yy + _NOISE
    step = jnp.stack([yy * along - xy * down, xx * down - xy * along], axis=-1) / (xx * yy - xy * xy)[..., None]
    return jnp.clip(step, -1, 1)


def _mean_around(values: Float[Array, "n h w c"], side: int) -> Float[Array, "n h w c"]:
    """Over squares of so many pixels, less at the borders."""
    for axis in (1, 2):
        window = [1, 1, 1, 1]
        window[axis] = side
        total = lax.reduce_window(values, 0.0, lax.add, window, (1, 1, 1, 1), "SAME")
        place = np.arange(values.shape[axis])
        counts = np.minimum(place, side // 2) + np.minimum(place[::-1], side // 2) + 1
        values = total / np.expand_dims(counts, [a for a in range(4) if a != axis]).astype(np.float32)
    return values


def _smooth(flow: Float[Array, "n h w 2"]) -> Float[Array, "n h w 2"]:
    """The median of 3×3, each component for itself: single blocks lie."""
    h, w = flow.shape[1:3]
    wide = jnp.pad(flow, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return jnp.median(jnp.stack([wide[:, j : j + h, i : i + w] for j in range(3) for i in range(3)]), axis=0)


def _likeness(here: Float[Array, "n h w 1"], there: Float[Array, "n h w 1"]) -> tuple[Array, Array]:
    """`media.motion.likeness.likeness`, of each image and of its cells."""
    first, second = (values - _mean_around(values, 3) for values in (here, there))
    products = jnp.concatenate([first * second, first * first, second * second], axis=-1)
    return _correlation(products.mean((1, 2)), _NOISE / 100), _correlation(_mean_around(products, 5), _NOISE)


def _correlation(products: Array, noise: float) -> Array:
    common, first, second = jnp.moveaxis(products, -1, 0)
    return jnp.clip((common + noise) / jnp.sqrt((first + noise) * (second + noise)), 0, 1)
