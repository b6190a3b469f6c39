"""How wide a drawn street is, what its ground is made of across, and which houses stand along it.

Metres; x to the right, the camera's lane around 0, on the right of its road (half of the streets are mirrored).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from dvsnet_jax.datasets.street.surroundings import (
    BUILDING,
    CELL,
    FENCE,
    ROAD,
    SIDEWALK,
    TERRAIN,
    VEGETATION,
    WALL,
    Blocks,
)

_WIDE = 75.0  # how far the ground goes on behind the houses


class Plan(NamedTuple):
    """Widths, chosen first, that all else keeps to. x grows to the right of the camera; `mirror` turns it round."""

    road: tuple[float, float]
    parking: tuple[float, float]
    """Width of the strip for parked cars, left and right, 0 for none."""
    oncoming: list[float]
    """Middles of the lanes that come towards the camera."""
    walk: tuple[tuple[float, float], tuple[float, float]]
    """Pavement, left and right."""
    houses: tuple[float, float]
    mirror: float


class CrossSection(NamedTuple):
    """A plan, and the bands and lines of its ground as `GroundPlan` wants them."""

    plan: Plan
    edges: Float[np.ndarray, "bands+1"]
    labels: UInt8[np.ndarray, "bands"]
    colors: Float[np.ndarray, "bands 3"]
    lines: list[tuple[float, float, float, float]]

    def mirrored(self) -> CrossSection:
        """The same street where people drive on the left."""

        def turned(pair: tuple[float, float]) -> tuple[float, float]:
            return -pair[1], -pair[0]

        plan = self.plan
        walk = (turned(plan.walk[1]), turned(plan.walk[0]))
        other = Plan(turned(plan.road), (plan.parking[1], plan.parking[0]), [-x for x in plan.oncoming], walk,
                     turned(plan.houses), -plan.mirror)  # fmt: skip
        lines = [(-x, *rest) for x, *rest in self.lines]
        return CrossSection(other, -self.edges[::-1], self.labels[::-1], self.colors[::-1], lines)  # type: ignore[arg-type]


def cross_section(rng: np.random.Generator) -> CrossSection:
    """A random plan, and the ground's bands and lines that follow from it."""
    mirror = rng.choice([-1.0, 1.0])
    lane = rng.uniform(1.6, 1.85)
    right_lanes, left_lanes = rng.integers(1, 3), rng.integers(0, 3)
    median = rng.uniform(1.5, 3.0) if left_lanes and rng.random() < 0.2 else 0.0
    parking = (_perhaps(rng, 0.6, 2.1, 2.5), _perhaps(rng, 0.6, 2.1, 2.5))
    right = lane * (2 * right_lanes - 1) + parking[1]
    left = -lane - median - 2 * lane * left_lanes - parking[0]
    oncoming = [-(2 * lane + median + 2 * lane * number) for number in range(left_lanes)]
    asphalt = rng.uniform(0.24, 0.46) * rng.uniform(0.95, 1.05, 3)
    paving = rng.uniform(0.42, 0.7) * rng.uniform((0.97, 0.95, 0.85), (1.1, 1.02, 1.0))
    grass = rng.uniform((0.22, 0.3, 0.1), (0.42, 0.44, 0.24))
    kerb = np.full(3, rng.uniform(0.5, 0.75))

    sides = []
    for _ in range(2):  # from the kerb outwards: width, label, colour
        bands = [(0.18, SIDEWALK, kerb), (_perhaps(rng, 0.35, 0.8, 2.5), TERRAIN, grass)]
        bands += [(rng.uniform(1.8, 4.5), SIDEWALK, paving), (_perhaps(rng, 0.3, 1.5, 5.0), TERRAIN, grass)]
        sides.append(bands)
    # The pavement lies behind the kerb and the strip of grass.
    starts = [bands[0][0] + bands[1][0] for bands in sides]
    walks = (
        (left - starts[0] - sides[0][2][0], left - starts[0]),
        (right + starts[1], right + starts[1] + sides[1][2][0]),
    )
    houses = (left - sum(band[0] for band in sides[0]), right + sum(band[0] for band in sides[1]))
    middle = [(-lane - median - left, ROAD, asphalt), (median, TERRAIN, grass), (right + lane, ROAD, asphalt)]
    yard = (_WIDE, TERRAIN, grass)
    bands = [band for band in (yard, *sides[0][::-1], *middle, *sides[1], yard) if band[0] > 0]
    widths, labels, colors = zip(*bands, strict=True)
    edges = houses[0] - _WIDE + np.cumsum([0.0, *widths])
    lines = [] if rng.random() < 0.2 else [(-lane, 0.13, *rng.choice([(9.0, 3.0), (6.0, 3.0), (0.0, 0.0)]))]
    for number in range(1, right_lanes):
        lines.append((lane * (2 * number - 1), 0.12, 9.0, 3.0))
    if rng.random() < 0.5:
        lines += [(right - parking[1] - 0.2, 0.12, 0.0, 0.0), (left + parking[0] + 0.2, 0.12, 0.0, 0.0)]
    bands_of = CrossSection(
        Plan((left, right), parking, oncoming, walks, houses, 1.0),
        edges.astype(np.float32),
        np.array(labels, np.uint8),
        np.array(colors, np.float32),
        lines,
    )
    return bands_of if mirror > 0 else bands_of.mirrored()


def _perhaps(rng: np.random.Generator, chance: float, least: float, most: float) -> float:
    """0, or with that chance a length between the two."""
    return float((rng.random() < chance) * rng.uniform(least, most))


def row_of_blocks(
    rng: np.random.Generator,
    along: Float[np.ndarray, "cells"],
    gaps: list[tuple[float, float]],
    *,
    greenery: float,
    tallest: float = 20.0,
) -> Blocks:
    """Blocks of random length and kind; in a gap there is none."""
    cells = np.zeros(len(along), int)
    made: list[tuple[int, float, Any, tuple[float, ...], int]] = [(BUILDING, 0.0, np.ones(3), (2.5, 3, 1.2, 1.6), 0)]
    z = along[0]
    base = rng.uniform(6, 0.75 * tallest)
    while z < along[-1] + CELL:
        length = rng.uniform(7, 24)
        cells[(along >= z) & (along < z + length)] = len(made)
        z += length
        across, up = rng.uniform(1.7, 3.6), rng.uniform(2.8, 3.6)
        window = (across, up, across * rng.uniform(0.35, 0.75), up * rng.uniform(0.4, 0.65))
        style = int(rng.integers(2))
        kind = BUILDING if rng.random() > greenery else int(rng.choice([WALL, FENCE, VEGETATION, VEGETATION]))
        heights = {
            BUILDING: min(tallest, base * rng.uniform(0.7, 1.4)),
            WALL: rng.uniform(1.5, 3.2),
            FENCE: rng.uniform(1.0, 2.0),
            VEGETATION: rng.choice([rng.uniform(1.2, 3), rng.uniform(5, 11)]),
        }
        tone = rng.uniform(0.35, 0.85) * rng.uniform((0.95, 0.85, 0.7), (1.1, 1.02, 1.0))
        if style == 1:
            tone = rng.uniform((0.38, 0.2, 0.14), (0.62, 0.4, 0.32))
        if kind == VEGETATION:
            tone = rng.uniform((0.16, 0.25, 0.09), (0.34, 0.42, 0.2))
        made.append((kind, heights[kind], tone, window, style))
    for low, high in gaps:
        cells[(along > low) & (along < high)] = 0
    labels, tops, colors, windows, styles = zip(*made, strict=True)
    return Blocks(cells, float(along[0] - CELL / 2), np.array(labels, np.uint8), np.array(tops, np.float32),
                  np.array(colors, np.float32), np.array(windows, np.float32), np.array(styles, np.uint8))  # fmt: skip
