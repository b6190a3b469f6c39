"""People, riders, trees, posts and signs of the drawn street, as patches: x right, y up, z ahead.

The origin of each is on the ground in its middle. It is a flat board that faces along z.
"""

from __future__ import annotations

import numpy as np

from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.street.geometry import Look, Patch
from dvsnet_jax.datasets.street.shapes import PAINTS, STEEL, TYRE, WHITE, Color, Crown, Cutout, Part, box, oval, polygon
from dvsnet_jax.datasets.street.textures import Noise

_LABEL = {name: number for number, name in enumerate(CLASSES)}
_RED, _BLUE = (0.72, 0.08, 0.07), (0.08, 0.2, 0.6)
_SKINS = ((0.82, 0.62, 0.5), (0.68, 0.48, 0.36), (0.45, 0.3, 0.22), (0.87, 0.7, 0.6))


def board(look: Look, body: int, place: tuple[float, float, float], extent: tuple[float, float, float, float]) -> Patch:
    """A flat patch that faces along z; a is x and b is y from `place`."""
    return Patch(look, body, place, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), extent)


def person(noise: Noise, rng: np.random.Generator, body: int) -> list[Patch]:
    """Somebody on foot."""
    label, size = _LABEL["person"], rng.uniform(0.85, 1.08)
    skin, coat, legs, hair = _someone(rng)
    stride = rng.uniform(0.03, 0.2)
    parts = [
        polygon(((-0.06 - stride, 0), (0.05 - stride, 0), (0.03, 0.9), (-0.17, 0.9)), legs, label),
        polygon(((stride - 0.05, 0), (stride + 0.07, 0), (0.17, 0.9), (-0.02, 0.9)), legs, label),
        polygon(((-0.18, 0.8), (0.18, 0.8), (0.24, 1.42), (0.1, 1.5), (-0.1, 1.5), (-0.24, 1.42)), coat, label),
        box(-0.3, -0.21, 0.78, 1.42, tuple(0.85 * c for c in coat), label),
        box(0.21, 0.3, 0.78, 1.42, tuple(0.85 * c for c in coat), label),
        *_head(0.0, 1.63, skin, hair, label),
    ]
    if rng.random() < 0.3:
        parts.append(box(0.22, 0.45, 0.55, 0.9, tuple(rng.uniform(0.1, 0.6, 3)), label))
    return [board(Cutout(noise, _scaled(parts, size)), body, (0.0, 0.0, 0.0), (-0.55, 0.55, 0.0, 1.95))]


def cyclist(noise: Noise, rng: np.random.Generator, body: int, *, motor: bool, sideways: bool) -> list[Patch]:
    """A rider on a bicycle or motorcycle, seen from behind or from the side."""
    rider, cycle = _LABEL["rider"], _LABEL["motorcycle" if motor else "bicycle"]
    skin, coat, legs, hair = _someone(rng)
    metal = PAINTS[rng.integers(len(PAINTS))]
    thick = 0.12 if motor else 0.045
    if sideways:
        parts = _bicycle_side(metal, cycle, 0.1 if motor else 0.035)
        if motor:
            parts.append(polygon(((-0.6, 0.4), (0.5, 0.35), (0.55, 0.85), (-0.7, 0.85)), metal, cycle))
        parts += [
            polygon(((-0.22, 0.95), (0.0, 0.9), (0.22, 0.35), (0.1, 0.3)), legs, rider),
            polygon(((-0.3, 0.9), (0.0, 0.9), (0.3, 1.42), (0.08, 1.52)), coat, rider),
            polygon(((0.12, 1.4), (0.28, 1.38), (0.55, 1.02), (0.47, 1.0)), coat, rider),
            *_head(0.25, 1.65, skin, hair, rider),
        ]
    else:
        parts = [
            box(-thick, thick, 0.0, 0.75, TYRE, cycle),
            box(-0.32, 0.32, 0.98, 1.04, metal, cycle),
            box(-thick - 0.03, thick + 0.03, 0.55, 0.95, metal, cycle),
            polygon(((-0.2, 0.3), (-0.08, 0.3), (-0.03, 1.0), (-0.2, 1.0)), legs, rider),
            polygon(((0.08, 0.42), (0.2, 0.42), (0.2, 1.0), (0.03, 1.0)), legs, rider),
            polygon(((-0.2, 0.9), (0.2, 0.9), (0.26, 1.45), (-0.26, 1.45)), coat, rider),
            *_head(0.0, 1.62, skin, hair, rider),
        ]
    return [board(Cutout(noise, parts), body, (0.0, 0.0, 0.0), (-1.1, 1.1, 0.0, 1.95))]


def parked_bicycle(noise: Noise, rng: np.random.Generator, body: int, place: tuple[float, float, float]) -> Patch:
    """A bicycle seen from its side, 2 m long; `place` is where it stands, in metres."""
    look = Cutout(noise, _bicycle_side(PAINTS[rng.integers(len(PAINTS))], _LABEL["bicycle"], 0.03))
    return board(look, body, place, (-1.0, 1.0, 0.0, 1.2))


def lamp_post(noise: Noise, rng: np.random.Generator, place: tuple[float, float, float], inward: float) -> Patch:
    """`inward` is +1 where the road is to the right."""
    height, label = rng.uniform(5, 8), _LABEL["pole"]
    tone = rng.uniform(0.25, 0.55)
    steel = (tone, tone, tone * 1.03)
    reach = sorted((0.0, inward * rng.uniform(0.9, 1.8)))
    head = sorted((inward * 0.9, inward * 1.9))
    parts = [
        polygon(((-0.1, 0), (0.1, 0), (0.06, height), (-0.06, height)), steel, label),
        box(reach[0], reach[1], height - 0.1, height, steel, label),
        box(head[0], head[1], height - 0.16, height + 0.02, WHITE, label),
    ]
    return board(Cutout(noise, parts), 0, place, (-2.0, 2.0, 0.0, height + 0.1))


def traffic_light(noise: Noise, rng: np.random.Generator, place: tuple[float, float, float]) -> Patch:
    """A light on its pole, 3.4 m high, one of its three lamps lit."""
    label, lit = _LABEL["traffic light"], rng.integers(3)
    lamps = ((0.9, 0.12, 0.08), (0.95, 0.65, 0.1), (0.15, 0.8, 0.35))
    parts = [
        box(-0.07, 0.07, 0, 3.4, (0.3, 0.31, 0.32), _LABEL["pole"]),
        box(-0.2, 0.2, 2.4, 3.4, (0.07, 0.07, 0.07), label),
    ]
    for number, color in enumerate(lamps):
        top = 3.33 - 0.31 * number
        dim = color if number == lit else tuple(0.2 * c for c in color)
        parts.append(oval(-0.12, 0.12, top - 0.25, top, dim))
    return board(Cutout(noise, parts), 0, place, (-0.3, 0.3, 0.0, 3.5))


def traffic_sign(noise: Noise, rng: np.random.Generator, place: tuple[float, float, float]) -> Patch:
    """A sign of one of several kinds on its pole, its lower edge 1.7 to 2.4 m high."""
    label, low = _LABEL["traffic sign"], rng.uniform(1.7, 2.4)
    kinds = (
        [oval(-0.36, 0.36, low, low + 0.72, _RED, label), oval(-0.26, 0.26, low + 0.1, low + 0.62, WHITE)],
        [oval(-0.36, 0.36, low, low + 0.72, _BLUE, label), box(-0.05, 0.05, low + 0.15, low + 0.57, WHITE)],
        [polygon(((-0.43, low), (0.43, low), (0.0, low + 0.75)), _RED, label),
         polygon(((-0.26, low + 0.1), (0.26, low + 0.1), (0.0, low + 0.54)), WHITE)],
        [box(-0.35, 0.35, low, low + 0.7, _BLUE, label),
         polygon(((-0.2, low + 0.15), (0.2, low + 0.15), (0.0, low + 0.55)), WHITE)],
        [box(-0.75, 0.75, low, low + 0.4, (0.8, 0.65, 0.1), label),
         box(-0.6, 0.5, low + 0.15, low + 0.24, (0.1, 0.1, 0.1))],
        [polygon(((-0.36, low + 0.36), (0.0, low), (0.36, low + 0.36), (0.0, low + 0.72)), (0.9, 0.75, 0.1), label)],
    )  # fmt: skip
    parts = [box(-0.04, 0.04, 0, low + 0.5, STEEL, _LABEL["pole"]), *kinds[rng.integers(len(kinds))]]
    return board(Cutout(noise, parts), 0, place, (-0.8, 0.8, 0.0, low + 0.8))


def bollard(noise: Noise, place: tuple[float, float, float]) -> Patch:
    """A post of 0.95 m with a white ring."""
    parts = [box(-0.07, 0.07, 0, 0.95, (0.3, 0.3, 0.3), _LABEL["pole"]), box(-0.07, 0.07, 0.75, 0.87, WHITE)]
    return board(Cutout(noise, parts), 0, place, (-0.1, 0.1, 0.0, 1.0))


def tree(noise: Noise, rng: np.random.Generator, place: tuple[float, float, float]) -> Patch:
    """A crown on a trunk, of a random size."""
    width, height, middle = rng.uniform(1.3, 2.6), rng.uniform(1.5, 3.0), rng.uniform(3.6, 5.6)
    color = np.array((0.24, 0.36, 0.15)) * rng.uniform((0.8, 0.8, 0.7), (1.5, 1.15, 1.2))
    crown = Crown(noise, radius=(width, height), middle=middle, color=tuple(color), trunk=rng.uniform(0.1, 0.22),
                  label=_LABEL["vegetation"], offset=rng.uniform(0, 60))  # fmt: skip
    return board(crown, 0, place, (-1.5 * width, 1.5 * width, 0.0, middle + 1.5 * height))


def bush(noise: Noise, rng: np.random.Generator, place: tuple[float, float, float]) -> Patch:
    """A crown without a trunk, of a random size."""
    width, height = rng.uniform(0.5, 1.6), rng.uniform(0.5, 1.1)
    color = np.array((0.22, 0.34, 0.15)) * rng.uniform(0.8, 1.3, 3)
    crown = Crown(noise, radius=(width, height), middle=height * 0.7, color=tuple(color), trunk=0.0,
                  label=_LABEL["vegetation"], offset=rng.uniform(0, 60))  # fmt: skip
    return board(crown, 0, place, (-1.5 * width, 1.5 * width, 0.0, 2.3 * height))


def _someone(rng: np.random.Generator) -> tuple[Color, Color, Color, Color]:
    """Skin, coat, trousers, hair."""
    coat, legs = rng.uniform(0.05, 0.75, 3), rng.uniform(0.05, 0.35, 3) * (0.8, 0.85, 1.1)
    hair = rng.uniform(0.05, 0.4) * np.array((1.0, 0.8, 0.6))
    return _SKINS[rng.integers(len(_SKINS))], tuple(coat), tuple(legs), tuple(hair)


def _head(a: float, b: float, skin: Color, hair: Color, label: int) -> list[Part]:
    return [oval(a - 0.1, a + 0.1, b - 0.14, b + 0.13, skin, label), oval(a - 0.11, a + 0.11, b, b + 0.15, hair, label)]


def _bicycle_side(color: Color, label: int, tyre: float) -> list[Part]:
    """Two wheels, discs as their labels are in Cityscapes, and a frame."""
    spokes = (0.34, 0.35, 0.36)
    parts = []
    for x in (-0.55, 0.55):
        parts += [oval(x - 0.34, x + 0.34, 0.0, 0.68, TYRE, label)]
        parts += [oval(x - 0.34 + tyre, x + 0.34 - tyre, tyre, 0.68 - tyre, spokes)]
    hub, pedal, seat, head, front = (-0.55, 0.34), (-0.1, 0.34), (-0.2, 0.78), (0.42, 0.78), (0.55, 0.34)
    tubes = (hub, pedal), (pedal, head), (seat, head), ((-0.2, 0.9), pedal), ((0.42, 1.02), front), (hub, seat)
    for first, second in tubes:
        (x0, y0), (x1, y1) = first, second
        dx, dy = np.array((y0 - y1, x1 - x0)) / np.hypot(x1 - x0, y1 - y0) * 0.025
        outline = ((x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy))
        parts.append(polygon(outline, color, label))
    parts += [box(-0.32, -0.1, 0.88, 0.94, TYRE, label), box(0.36, 0.5, 1.0, 1.05, TYRE, label)]
    return parts


def _scaled(parts: list[Part], size: float) -> list[Part]:
    return [part._replace(corners=tuple(size * value for value in part.corners)) for part in parts]
