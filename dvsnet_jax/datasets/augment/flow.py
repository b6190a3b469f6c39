"""Random rotation, zoom, shift, flip and colour of flow pairs, with the flow changed exactly as the pictures are.

Both pictures undergo one affine map, the second a small one of its own on top, as FlowNet's training has it
(Dosovitskiy et al., ICCV 2015, section 5.1; Ilg et al., FlowNet 2.0, CVPR 2017).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from dvsnet_jax.datasets.augment.labelled import FILL, ColorChange, ColorRange
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.errors import InputError

Affine = Float[np.ndarray, "3 3"]

_TRIES = 20  # for a crop that lies within the first picture


@dataclass(frozen=True, kw_only=True)
class FlowAugmentation:
    """What `augment_flow` may do; spans are for both pictures, jitter is what the second gets on top."""

    crop: tuple[int, int] = (320, 448)
    """Height and width of what comes out."""
    zoom: tuple[float, float] = (0.9, 1.8)
    """Least and greatest; drawn evenly on a logarithmic scale."""
    squeeze: float = 0.1
    """Width over height is multiplied by exp(±this)."""
    rotation: float = 17.0
    """Degrees, either way."""
    flip: float = 0.5
    """Chance of left and right changing places."""
    jitter_zoom: float = 0.02
    """exp(±this)."""
    jitter_rotation: float = 1.0
    """Degrees, either way."""
    jitter_shift: float = 0.01
    """Share of the crop's width, either way."""
    color: ColorRange = field(default_factory=ColorRange)
    jitter_color: float = 0.15
    """The second picture's own change of colour, as a share of `color`."""

    def __post_init__(self) -> None:
        if min(self.crop) < 2 or not 0 < self.zoom[0] <= self.zoom[1]:
            raise InputError(f"{self}: crop is two sizes of at least 2, zoom is 0 < least ≤ greatest")

    def jittered(self, times: float) -> FlowAugmentation:
        """The second picture moved on its own by so many times as much; its colours stay as they are."""
        spans = {name: times * getattr(self, name) for name in ("jitter_zoom", "jitter_rotation", "jitter_shift")}
        return dataclasses.replace(self, **spans)


def augment_flow(pair: FlowPair, rng: np.random.Generator, limits: FlowAugmentation) -> FlowPair:
    """The pair turned, zoomed, cropped and in other colours: `crop` high and wide, whatever its own size.

    The crop lies within the first picture if that can be had in a few tries; what lies outside of a picture is
    `FILL`, and outside of the first one the flow is not valid. Where neighbouring vectors differ by more than a
    pixel the flow is the nearest pixel's, elsewhere it is interpolated.
    """
    source = pair.valid.shape
    for _ in range(_TRIES):
        to_first = _draw_map(rng, limits, source)
        if _is_within(to_first, limits.crop, source):
            break
    to_second = to_first @ _draw_jitter(rng, limits)
    color, own = ColorChange.draw(rng, limits.color), ColorChange.draw(rng, limits.color.scaled(limits.jitter_color))

    height, width = limits.crop
    grid = np.stack(
        [*np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float)), np.ones((height, width))]
    )
    x, y = np.tensordot(to_first[:2], grid, 1)
    flow, valid = _flow_at(pair, x, y)
    # Where the point is in the second source, and from there where it is in the second crop.
    there = np.stack([x + flow[..., 0], y + flow[..., 1], grid[2]])
    moved = np.tensordot(np.linalg.inv(to_second)[:2], there, 1) - grid[:2]
    flow = np.where(valid[..., None], np.moveaxis(moved, 0, -1), 0).astype(np.float32)
    first = color.apply(_image_at(pair.first, x, y))
    # A second noise: two exposures never share theirs.
    second = own.apply(
        color._replace(seed=color.seed + 1).apply(_image_at(pair.second, *np.tensordot(to_second[:2], grid, 1)))
    )
    return FlowPair(first, second, flow, valid)


def _draw_map(rng: np.random.Generator, limits: FlowAugmentation, source: tuple[int, int]) -> Affine:
    """From the crop's pixels (x, y, 1) to the source's."""
    zoom = np.exp(rng.uniform(*np.log(limits.zoom)))
    squeeze = np.exp(rng.uniform(-limits.squeeze, limits.squeeze) / 2)
    mirror = -1.0 if rng.random() < limits.flip else 1.0
    linear = _rotation(rng.uniform(-limits.rotation, limits.rotation)) @ np.diag(
        (mirror / (zoom * squeeze), squeeze / zoom)
    )
    # The crop's middle lies anywhere where an unturned crop fits, or in the middle.
    middle = []
    for wide, narrow, scale in zip(source[::-1], limits.crop[::-1], (zoom * squeeze, zoom / squeeze), strict=True):
        room = max(0.0, (wide - narrow / scale) / 2)
        middle.append((wide - 1) / 2 + rng.uniform(-room, room))
    return _about(linear, _middle(limits.crop), np.array(middle))


def _draw_jitter(rng: np.random.Generator, limits: FlowAugmentation) -> Affine:
    """From the second crop's pixels to where they would be without the jitter."""
    linear = _rotation(rng.uniform(-limits.jitter_rotation, limits.jitter_rotation))
    linear = linear * np.exp(rng.uniform(-limits.jitter_zoom, limits.jitter_zoom))
    shift = rng.uniform(-1, 1, 2) * limits.jitter_shift * limits.crop[1]
    return _about(linear, _middle(limits.crop), _middle(limits.crop) + shift)


def _rotation(degrees: float) -> Float[np.ndarray, "2 2"]:
    sin, cos = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return np.array([(cos, -sin), (sin, cos)])


def _middle(size: tuple[int, int]) -> Float[np.ndarray, "2"]:
    """(x, y) of the middle of a picture of (height, width)."""
    return (np.array(size[::-1]) - 1) / 2


def _about(linear: Float[np.ndarray, "2 2"], origin: Float[np.ndarray, "2"], target: Float[np.ndarray, "2"]) -> Affine:
    """p → linear (p - origin) + target."""
    affine = np.eye(3)
    affine[:2, :2] = linear
    affine[:2, 2] = target - linear @ origin
    return affine


def _is_within(affine: Affine, crop: tuple[int, int], source: tuple[int, int]) -> bool:
    height, width = crop[0] - 1, crop[1] - 1
    x, y = affine[:2] @ np.array([(0, width, width, 0), (0, 0, height, height), (1, 1, 1, 1)])
    return bool(x.min() >= 0 and y.min() >= 0 and x.max() <= source[1] - 1 and y.max() <= source[0] - 1)


def _corners(
    x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"], size: tuple[int, int]
) -> tuple[Int[np.ndarray, "4 h w"], Float[np.ndarray, "4 h w"], Bool[np.ndarray, "h w"]]:
    """Indices of the four pixels around each point, their bilinear weights, and whether the point is inside."""
    height, width = size
    slack = 1e-6  # a crop that fits exactly has its border on the picture's
    inside = (x >= -slack) & (y >= -slack) & (x <= width - 1 + slack) & (y <= height - 1 + slack)
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    right, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    first = top * width + left
    weights = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down]
    return np.stack([first, first + 1, first + width, first + width + 1]), np.stack(weights), inside


def _image_at(
    image: UInt8[np.ndarray, "h w 3"], x: Float[np.ndarray, "oh ow"], y: Float[np.ndarray, "oh ow"]
) -> UInt8[np.ndarray, "oh ow 3"]:
    indices, weights, inside = _corners(x, y, image.shape[:2])
    pixels = image.reshape(-1, 3)
    values = np.zeros((*x.shape, 3), np.float32)
    for index, weight in zip(indices, weights, strict=True):
        values += weight[..., None] * pixels[index]
    return np.where(inside[..., None], values + np.float32(0.5), FILL).astype(np.uint8)


def _flow_at(
    pair: FlowPair, x: Float[np.ndarray, "oh ow"], y: Float[np.ndarray, "oh ow"]
) -> tuple[Float[np.ndarray, "oh ow 2"], Bool[np.ndarray, "oh ow"]]:
    indices, weights, inside = _corners(x, y, pair.valid.shape)
    around, known = pair.flow.reshape(-1, 2)[indices], pair.valid.ravel()[indices]
    smooth = ((around.max(0) - around.min(0)) < 1).all(-1) & known.all(0)
    mixed = np.einsum("kyx,kyxc->yxc", weights, around)
    nearest = np.argmax(weights, axis=0)
    picked = np.take_along_axis(around, nearest[None, ..., None], axis=0)[0]
    valid = np.take_along_axis(known, nearest[None], axis=0)[0]
    return np.where(smooth[..., None], mixed, picked), valid & inside
