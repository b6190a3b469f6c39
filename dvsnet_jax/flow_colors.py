"""Flow as a picture, in the colours of the Middlebury benchmark: hue is direction, saturation is length."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike

from dvsnet_jax.errors import InputError

# Steps from red to yellow, yellow to green, and on over cyan, blue and magenta back to red; the eye tells apart more
# shades of some than of others.
_STEPS = (15, 6, 4, 11, 13, 6)
_CORNERS = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255))
_UNKNOWN_ABOVE = 1e9  # what a .flo file means by "not known here"


def _color_wheel() -> Float[np.ndarray, "55 3"]:
    """`makecolorwheel` of Middlebury's `colorcode.cpp`, as RGB 0..1."""
    wheel = []
    for start, end, steps in zip(_CORNERS, (*_CORNERS[1:], _CORNERS[0]), _STEPS, strict=True):
        for step in range(steps):
            rise = 255 * step // steps  # in whole numbers, as the original counts
            wheel.append([a + rise * ((b > a) - (b < a)) for a, b in zip(start, end, strict=True)])
    return np.array(wheel, np.float32) / 255


_WHEEL = _color_wheel()


def flow_to_rgb(flow: ArrayLike, max_length: float | None = None) -> UInt8[np.ndarray, "*batch h w 3"]:
    """Pictures uint8 RGB `[..., h, w, 3]` of flow `[..., h, w, 2]`, displacement (x, y) in pixels, x right, y down.

    White is no motion; right is red, down yellow, left cyan, up violet, see `wheel_legend`. The colour is full at
    `max_length` pixels and darkened by a quarter beyond it; by default that is each picture's own longest vector. Give
    it for a video, else brightness flickers. NaN, infinite and unknown (above 1e9) pixels are black.

    Colours are those of `colorcode.cpp` (Baker et al., A Database and Evaluation Methodology for Optical Flow,
    ICCV 2007). *Differs from the original:* lengths, not vectors, are divided by the longest one, where rounding could
    darken the longest vector itself; and y = -0 is 0, where the original paints right in the last red of the wheel.

    Raises `InputError` for another shape or type, or a `max_length` that is not a positive number.
    """
    array = np.asarray(flow)
    if array.ndim < 3 or array.shape[-1] != 2 or array.dtype.kind in "bcOSUmM":
        raise InputError(f"flow is {array.dtype} {list(array.shape)}, expected real numbers [..., height, width, 2]")
    if max_length is not None and not (math.isfinite(max_length) and max_length > 0):
        raise InputError(f"max_length is {max_length}, expected a positive number of pixels, or None")
    with np.errstate(over="ignore"):
        vectors = array.astype(np.float32) + np.float32(0)  # -0 + 0 is 0
    known = (np.abs(vectors) <= _UNKNOWN_ABOVE).all(-1)
    vectors = np.where(known[..., None], vectors, 0)

    length = np.hypot(vectors[..., 0], vectors[..., 1])
    if max_length is None:
        longest = length.max(axis=(-2, -1), keepdims=True, initial=0)
        length = length / np.where(longest > 0, longest, 1)
    else:
        length = length / np.float32(max_length)

    turn = (np.arctan2(-vectors[..., 1], -vectors[..., 0]) / np.float32(math.pi) + 1) / 2  # 0..1
    place = turn * (len(_WHEEL) - 1)
    low = place.astype(np.intp)
    fraction = (place - low)[..., None]
    color = (1 - fraction) * _WHEEL[low] + fraction * _WHEEL[(low + 1) % len(_WHEEL)]
    length = length[..., None]
    color = np.where(length <= 1, 1 - length * (1 - color), color * 0.75)
    return np.where(known[..., None], 255 * color, 0).astype(np.uint8)


def wheel_legend(size: int = 128) -> UInt8[np.ndarray, "size size 3"]:
    """The key to `flow_to_rgb`, uint8 RGB `[size, size, 3]`: a disc whose every point is drawn as the motion from the
    centre to it, the rim at full length; white around it.

    Raises `InputError` for a size below 1.
    """
    if size < 1:
        raise InputError(f"size is {size}, expected 1 pixel or more")
    place = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1  # pixel centres, -1..1
    motion = np.stack(np.meshgrid(place, place), axis=-1)
    inside = np.hypot(motion[..., 0], motion[..., 1]) <= 1
    return np.where(inside[..., None], flow_to_rgb(motion, max_length=1), np.uint8(255))
