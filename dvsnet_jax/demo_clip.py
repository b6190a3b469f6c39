"""A short drive down a street, drawn with numpy: something to segment where there is no video at hand.

Metres throughout: x to the right of the road's middle, y above it, z along it. The camera looks along z.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

_CAMERA, _HORIZON = 1.35, 0.45  # height of the camera, height of the horizon as a share of the picture (from the top)
_SPEED, _FAR = 0.4, 110.0  # along z in a frame, and how far one sees
_LANE, _ROAD, _WALL = 1.8, 4.2, 7.5  # from the middle to the camera, the kerb and the houses
_BLOCK = 11.0  # length of a house along the street
_PAINTS = np.array([(172, 32, 36), (38, 66, 150), (208, 208, 212), (40, 42, 46), (196, 146, 36)], float)


class _Street(NamedTuple):
    sky: Float[np.ndarray, "rgb=3"]
    walls: Float[np.ndarray, "2 houses 3"]
    """Colours of the houses, left and right."""
    heights: Float[np.ndarray, "2 houses"]
    things: list[tuple[str, float, float, float, Float[np.ndarray, "rgb=3"]]]
    """What stands or drives: kind, x, z at frame 0, speed along z, colour."""


def draw_clip(frames: int, height: int = 256, width: int = 512, seed: int = 0) -> UInt8[np.ndarray, "t h w 3"]:
    """A drive between houses and trees, with other cars and people; RGB, 0..255.

    It moves smoothly, except that for the last quarter the film cuts to another street, so that a segmentation which
    leans on earlier frames has something to notice. The same arguments give the same frames.
    """
    if frames < 1 or min(height, width) < 64:
        raise ValueError(f"{frames} frames of {height}×{width}: at least 1 frame of 64×64 is needed")
    streets = [_street(np.random.default_rng((seed, number))) for number in (0, 1)]
    cut = frames - frames // 4
    return np.stack([_draw(streets[time >= cut], time, height, width) for time in range(frames)])


def _street(rng: np.random.Generator) -> _Street:
    houses = int(3 * _FAR / _BLOCK)
    tint = rng.uniform((0.95, 0.8, 0.62), (1.05, 0.95, 0.9), (2, houses, 3))
    things = []
    for side in (-1, 1):
        for z in np.arange(rng.uniform(6, 12), 2 * _FAR, 13.0):
            things.append(("tree", side * 6.6, z, 0.0, rng.uniform(0.85, 1.15) * np.array((70, 112, 48))))
        for z in np.arange(rng.uniform(7, 11), _FAR, 9.0):
            things.append(("person", side * rng.uniform(4.8, 5.9), z, -0.05 * side, rng.uniform(40, 200, 3)))
        for z in np.arange(rng.uniform(9, 12), 2 * _FAR, 24.0 - 3 * side):
            things.append(("car", side * 2.0, z, 0.34 * side, rng.choice(_PAINTS)))
    sky = rng.uniform((130, 170, 205), (205, 212, 235))
    return _Street(sky, rng.uniform(110, 200, (2, houses, 1)) * tint, rng.uniform(7, 15, (2, houses)), things)


def _draw(street: _Street, time: int, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    # Twice as fine in both directions, averaged at the end: smooth edges.
    focal = 1.15 * width
    right = (np.arange(0.5, 2 * width, dtype=np.float32) - width) / focal
    up = (2 * _HORIZON * height - np.arange(0.5, 2 * height, dtype=np.float32))[:, None] / focal
    start = _SPEED * time
    picture = _background(street, right, up, start)
    for kind, x, z, speed, color in sorted(street.things, key=lambda thing: -(thing[2] + thing[3] * time)):
        z += speed * time - start
        if 2.0 < z < _FAR:
            across, above = right * z + _LANE - x, up * z + _CAMERA
            columns, rows = np.abs(across) < 2, (above[:, 0] > -0.3) & (above[:, 0] < 6)
            part = picture[np.ix_(rows, columns)]
            for mask, paint in _shapes(kind, across[columns], above[rows], color):
                part[mask] = _hazy(paint, z, street.sky)
            picture[np.ix_(rows, columns)] = part
    fine = picture.reshape(height, 2, width, 2, 3).mean((1, 3))
    grain = np.random.default_rng(time).normal(0, 1.5, (height, width, 1))  # as of a sensor
    return np.clip(fine + grain, 0, 255).astype(np.uint8)


def _background(street: _Street, right: np.ndarray, up: np.ndarray, start: float) -> Float[np.ndarray, "h w 3"]:
    """Sky, houses and ground: each pixel's ray goes to the plane that it meets first."""
    picture = np.repeat((street.sky + 60 * np.clip(0.35 - up, 0, 0.35))[:, None], len(right), 1)
    wall = (_WALL - np.sign(right) * _LANE) / np.abs(right)
    with np.errstate(divide="ignore"):
        ground = np.where(up < 0, _CAMERA / -up, np.inf)
    # Houses: a window every 2.2 m along the street and every 3 m up.
    z, y, side = start + np.minimum(wall, _FAR), up * np.minimum(wall, _FAR) + _CAMERA, (right > 0).astype(int)
    house = (z // _BLOCK).astype(int) % street.heights.shape[1]
    window = (z % 2.2 > 0.6) & (z % 2.2 < 1.7) & (y % 3.0 > 0.9) & (y % 3.0 < 2.4) & (z % _BLOCK > 0.6)
    color = np.where(window[..., None], (70, 84, 104), street.walls[side, house])
    color = color * np.where(z % _BLOCK < 0.15, 0.6, 1.0)[:, None]
    hit = (wall < ground) & (wall < _FAR) & (y < street.heights[side, house])
    picture[hit] = _hazy(color, wall[:, None], street.sky)[hit]
    # Ground: asphalt in patches, a dashed line in the middle, light kerbs, slabs on the pavement.
    hit = (ground <= wall) & (ground < _FAR)
    z, x = start + np.minimum(ground, _FAR), right * np.minimum(ground, _FAR) + _LANE
    patch = np.sin(np.floor(x * 2.5) * 12.9 + np.floor(z * 1.2) * 78.2) * 4.0
    slab = np.where((z % 1.0 < 0.06) | (np.abs(x) % 0.8 < 0.05), 128.0, 158.0)
    gray = np.where(np.abs(x) < _ROAD, 88 + patch, np.where(np.abs(x) < _ROAD + 0.2, 186.0, slab))
    gray = np.where((np.abs(x) < 0.09) & (z % 6.0 < 3.0), 232.0, gray)
    tone = np.where(np.abs(x)[..., None] < _ROAD, (1.0, 1.0, 1.03), (1.02, 0.98, 0.94))
    picture[hit] = _hazy(gray[..., None] * tone, ground[..., None], street.sky)[hit]
    return picture


def _shapes(kind: str, x: np.ndarray, y: np.ndarray, color: np.ndarray) -> list[tuple[Bool[np.ndarray, "h w"], object]]:
    """A thing's parts, from back to front: where they are, given x and y around its foot, and their colours."""

    def box(left: float, right: float, low: float, high: float) -> Bool[np.ndarray, "h w"]:
        return (x > left) & (x < right) & (y > low) & (y < high)

    if kind == "tree":
        crown = (x**2 + (y - 3.9) ** 2 + 0.25 * np.sin(9 * x) * np.sin(8 * y)) / 1.7**2
        lit = crown + 0.3 * x - 0.3 * y < -0.6
        return [(box(-0.13, 0.13, 0, 3), (78, 60, 44)), (crown < 1, color), (lit, 1.2 * color)]
    if kind == "person":
        legs = box(-0.2, -0.03, 0, 0.85) | box(0.03, 0.2, 0, 0.85)
        head = x**2 + (y - 1.62) ** 2 < 0.0225
        return [(legs, (44, 46, 60)), (box(-0.25, 0.25, 0.8, 1.45), color), (head, (206, 164, 138))]
    shadow, tyres = x**2 / 1.1 + (y - 0.08) ** 2 / 0.02 < 1, box(-0.85, -0.6, 0, 0.4) | box(0.6, 0.85, 0, 0.4)
    cabin = (np.abs(x) < 0.8 - 0.3 * (y - 0.9)) & (y > 0.85) & (y < 1.5)
    glass = (np.abs(x) < 0.68 - 0.3 * (y - 0.9)) & (y > 0.97) & (y < 1.4)
    lamps = box(-0.86, -0.58, 0.62, 0.8) | box(0.58, 0.86, 0.62, 0.8)
    return [(shadow, (40, 40, 44)), (tyres, (20, 20, 22)), (box(-0.9, 0.9, 0.25, 0.95), color), (cabin, 0.85 * color),
            (glass, (60, 76, 92)), (lamps, (236, 90, 60)), (box(-0.3, 0.3, 0.4, 0.55), (225, 225, 220))]  # fmt: skip


def _hazy(color: object, distance: object, sky: np.ndarray) -> np.ndarray:
    """A colour as it looks from a distance: it fades into the sky."""
    clear = np.exp(-np.asarray(distance) / 90.0)
    return np.asarray(color) * clear + sky * (1 - clear)
