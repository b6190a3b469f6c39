"""Vehicles of the drawn street: prisms, a side view pulled across the width.

The origin of a vehicle is on the ground in its middle; x right, y up, z to its front. Metres.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.street.geometry import Patch
from dvsnet_jax.datasets.street.shapes import STEEL, TYRE, WHITE, Color, Cutout, Part, box, oval, polygon
from dvsnet_jax.datasets.street.textures import Noise

_GLASS, _REFLECTION, _DARK, _RED = (0.16, 0.20, 0.24), (0.22, 0.27, 0.31), (0.10, 0.10, 0.11), (0.72, 0.08, 0.07)


class Vehicle(NamedTuple):
    """Sizes of a vehicle, metres, and its side view."""

    name: str
    """A Cityscapes class."""
    width: float
    profile: tuple[tuple[float, float], ...]
    """Corners (z, y) over the rear, the roof and the front, from the rear's lower edge on; the front looks ahead."""
    glass: tuple[int, ...]
    """Which edges of the profile are windows."""
    wheel: float
    """Radius."""
    axles: tuple[float, ...]


CAR = Vehicle(
    "car",
    1.8,
    ((-2.1, 0.28), (-2.15, 0.95), (-1.65, 1.46), (0.1, 1.47), (0.95, 0.98), (2.1, 0.8), (2.12, 0.28)),
    (1, 3),
    0.32,
    (-1.3, 1.3),
)
ESTATE = Vehicle(
    "car",
    1.85,
    ((-2.25, 0.3), (-2.3, 1.0), (-2.05, 1.55), (0.4, 1.56), (1.2, 1.05), (2.2, 0.88), (2.22, 0.3)),
    (1, 3),
    0.34,
    (-1.4, 1.4),
)
VAN = Vehicle(
    "car",
    1.95,
    ((-2.5, 0.32), (-2.52, 1.1), (-2.45, 1.98), (1.3, 2.0), (2.05, 1.15), (2.5, 0.95), (2.52, 0.32)),
    (1, 3),
    0.35,
    (-1.5, 1.6),
)
TRUCK = Vehicle(
    "truck",
    2.45,
    ((-4.2, 0.6), (-4.2, 3.4), (2.1, 3.4), (2.3, 2.7), (3.9, 2.65), (4.1, 1.5), (4.1, 0.45)),
    (4,),
    0.5,
    (-2.6, 2.9),
)
BUS = Vehicle(
    "bus", 2.5, ((-5.6, 0.4), (-5.6, 1.6), (-5.5, 2.95), (5.4, 3.0), (5.6, 1.3), (5.65, 0.4)), (1, 3), 0.5, (-3.5, 3.3)
)
TRAM = Vehicle(
    "train",
    2.5,
    ((-11.5, 0.35), (-11.6, 1.5), (-11.2, 3.3), (11.2, 3.3), (11.6, 1.5), (11.5, 0.35)),
    (1, 3),
    0.3,
    (-7.0, 0.0, 7.0),
)


def vehicle(noise: Noise, kind: Vehicle, body: int, paint: Color) -> list[Patch]:
    """A closed prism: a patch for each edge of the profile and one for each side."""
    half, label = kind.width / 2, CLASSES.index(kind.name)
    patches = []
    edges = list(pairwise(kind.profile))
    for number, ((z0, y0), (z1, y1)) in enumerate(edges):
        length = float(np.hypot(z1 - z0, y1 - y0))
        along = (0.0, (y1 - y0) / length, (z1 - z0) / length)
        parts = [box(-half, half, 0, length, paint, label)]
        if number in kind.glass:
            parts.append(box(-half + 0.12, half - 0.12, 0.07, length - 0.06, _GLASS))
            parts.append(box(-half + 0.3, half - 0.35, length * 0.55, length - 0.1, _REFLECTION))
        if number == 0:
            parts += _rear(kind, half, length, label)
        if number == len(edges) - 1:
            parts += _front(kind, half, length, label)
        # Wheels hang from the lower edges of the first and the last, seen from both sides.
        is_end = number in (0, len(edges) - 1)
        extent = (-half, half, -_skirt(kind) if number == 0 else 0.0, length + (y1 if is_end and number else 0.0))
        look = Cutout(noise, parts, shade=1.12 - 0.3 * abs(along[1]))
        patches.append(Patch(look, body, (0.0, y0, z0), (1.0, 0.0, 0.0), along, extent, not is_end))
    low_z, high_z = min(z for z, _ in kind.profile), max(z for z, _ in kind.profile)
    top = max(y for _, y in kind.profile)
    side = Cutout(noise, _side(kind, paint, label), shade=0.86)
    for x in (-half, half):
        patches.append(Patch(side, body, (x, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (low_z, high_z, 0.0, top)))
    return patches


def _skirt(kind: Vehicle) -> float:
    return kind.profile[0][1]


def _rear(kind: Vehicle, half: float, length: float, label: int) -> list[Part]:
    low = _skirt(kind)
    wheels = [box(x, x + 0.22, -low, 0.05, TYRE, label) for x in (-half + 0.05, half - 0.27)]
    lamps = [
        box(x, x + 0.24, length * 0.55, length * 0.55 + min(0.3, length * 0.3), _RED)
        for x in (-half + 0.04, half - 0.28)
    ]
    rest = [box(-0.26, 0.26, length * 0.3, length * 0.3 + 0.12, WHITE), box(-half, half, 0, 0.14, _DARK)]
    if length > 2:  # the doors of a box
        rest += [
            box(-0.02, 0.02, 0.2, length - 0.1, STEEL),
            box(-half + 0.1, half - 0.1, length - 0.2, length - 0.12, STEEL),
        ]
    return wheels + lamps + rest


def _front(kind: Vehicle, half: float, length: float, label: int) -> list[Part]:
    low = kind.profile[-1][1]
    wheels = [box(x, x + 0.22, length - 0.05, length + low, TYRE, label) for x in (-half + 0.05, half - 0.27)]
    lamps = [oval(x, x + 0.34, 0.06, 0.24, (0.92, 0.92, 0.86)) for x in (-half + 0.05, half - 0.39)]
    grille = [
        box(-0.5, 0.5, 0.1, 0.26, _DARK),
        box(-0.26, 0.26, length * 0.62, length * 0.62 + 0.12, WHITE),
    ]
    return wheels + lamps + grille


def _side(kind: Vehicle, paint: Color, label: int) -> list[Part]:
    """The profile as a fan of triangles from its lower middle (it is star-shaped seen from there), then the rest."""
    profile = kind.profile
    low = _skirt(kind)
    start = (0.0, low)
    parts = [polygon((start, first, second), paint, label) for first, second in pairwise(profile)]
    top = max(y for _, y in profile)
    sill = max(1.0, top * 0.58) if kind.name == "car" else top * 0.45
    ceiling = top - (0.09 if kind.name == "car" else 0.35)
    if kind.name in ("bus", "train"):
        ends = profile[0][0] + 0.5, profile[-1][0] - 0.5
        parts.append(box(*ends, sill, ceiling, _GLASS))
        parts += [box(z, z + 0.09, sill, ceiling, paint) for z in np.arange(ends[0] + 1.5, ends[1], 1.6)]
        parts.append(box(*ends, low + 0.3, low + 0.45, WHITE))
    elif kind.name == "truck":
        parts.append(polygon(((2.6, 1.6), (2.6, 2.5), (3.7, 2.5), (3.9, 1.6)), _GLASS))
        parts.append(box(2.15, 2.25, 0.6, 2.7, _DARK))
        parts += [box(-4.2, 2.2, low, low + 0.2, _DARK)]
    else:
        rear, front = profile[2][0], profile[3][0]
        slope = (profile[4][0] - front) / (profile[3][1] - profile[4][1])
        corners = (
            (rear - 0.15, sill),
            (rear + 0.1, ceiling),
            (front - 0.1, ceiling),
            (front + slope * (top - sill) - 0.2, sill),
        )
        parts.append(polygon(corners, _GLASS))
        parts += [box(z, z + 0.07, sill, ceiling, paint) for z in (rear + 0.75, rear + 1.6)]
    for z in kind.axles:
        radius = kind.wheel
        parts.append(oval(z - radius, z + radius, 0.0, 2 * radius, TYRE, label))
        parts.append(oval(z - 0.55 * radius, z + 0.55 * radius, 0.45 * radius, 1.55 * radius, STEEL))
    return parts
