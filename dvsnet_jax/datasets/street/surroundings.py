"""Looks of what the drawn street runs through: the ground, the rows of houses, walls and hedges, the sky."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.street.textures import Noise, band, stripes

Values = Float[np.ndarray, "n"]
Painted = tuple[Float[np.ndarray, "n 3"], UInt8[np.ndarray, "n"]]

ROAD, SIDEWALK, BUILDING, WALL, FENCE = (
    CLASSES.index(name) for name in ("road", "sidewalk", "building", "wall", "fence")
)
VEGETATION, TERRAIN, SKY = (CLASSES.index(name) for name in ("vegetation", "terrain", "sky"))
CELL = 0.5  # metres along the street that share one entry of a table


class GroundPlan(NamedTuple):
    """What lies where. Tables along the street have one entry per CELL metres from `start` on."""

    edges: Float[np.ndarray, "bands+1"]
    """Where the bands along the street begin and end, x in metres, from the left."""
    labels: UInt8[np.ndarray, "bands"]
    colors: Float[np.ndarray, "bands 3"]
    lines: list[tuple[float, float, float, float]]
    """Lane markings: x, width, period and length of the dashes; all metres."""
    crossing: Bool[np.ndarray, "cells"]
    """Where another road crosses."""
    zebra: Bool[np.ndarray, "cells"]
    road: tuple[float, float]
    """Kerb to kerb, x in metres."""
    shadow: tuple[float, float]
    """Houses on one side darken the ground up to this x, to its left (-1) or its right (1)."""
    start: float
    wear: float
    """How worn the paint is, 0..1."""
    slab: float
    """Side of a slab of the pavement, metres."""


class Ground:
    """Road with markings, pavement, grass; (a, b) is (x, z) of the world."""

    def __init__(self, noise: Noise, plan: GroundPlan, heights: Float[np.ndarray, "cells"]) -> None:
        """`heights` are those of the houses that throw the shadow, one per cell."""
        self.noise, self.plan, self.heights = noise, plan, heights

    def covers(self, a: Values, b: Values) -> None:
        return None

    def paint(self, a: Values, b: Values, seen_a: Values, seen_b: Values) -> Painted:
        plan, noise = self.plan, self.noise
        cell = np.clip(((b - plan.start) / CELL).astype(np.int32), 0, len(plan.crossing) - 1)
        kind = np.clip(np.searchsorted(plan.edges, a, side="right") - 1, 0, len(plan.labels) - 1)
        label, color = plan.labels[kind], plan.colors[kind]
        crossing = plan.crossing[cell]
        label = np.where(crossing, np.uint8(ROAD), label)
        is_road = label == ROAD
        asphalt = plan.colors[plan.labels == ROAD][0]
        color = np.where((crossing & (plan.labels[kind] != ROAD))[:, None], asphalt, color)
        seen = np.sqrt(seen_a * seen_b)
        fine, coarse = noise.at(a, b, 0.025, seen), noise.at(b, a, 0.31, seen)
        # Repaired patches of the road, seams between slabs, blades of grass.
        patch = noise.one_of(np.floor(a / 2.6).astype(int), np.floor(b / 7.3).astype(int))
        road = 0.10 * fine + 0.07 * coarse + np.where(patch > 0.72, -0.16, 0.03 * patch)
        slab = plan.slab
        seams = np.maximum(stripes(a, slab, 0.035, seen_a), stripes(b, slab, 0.035, seen_b))
        tone = noise.one_of(np.floor(a / slab).astype(int), np.floor(b / slab).astype(int))
        tone = tone * np.clip(1 - np.maximum(seen_a, seen_b) / slab, 0, 1)
        paved = 0.05 * fine + 0.06 * coarse + 0.05 * tone - 0.3 * seams
        grass = 0.28 * fine + 0.22 * coarse
        light = 1 + np.where(is_road, road, np.where(label == TERRAIN, grass, paved))
        color = color * light[:, None]
        paint = np.zeros_like(a)
        for x, width, period, length in plan.lines:
            line = band(a, x - width / 2, x + width / 2, seen_a)
            if period:
                line = line * stripes(b, period, length, seen_b)
            paint = np.maximum(paint, line)
        paint = np.where(crossing, 0, paint)
        left, right = plan.road
        bars = stripes(a, 1.0, 0.5, seen_a) * band(a, left + 0.4, right - 0.4, seen_a)
        paint = np.where(plan.zebra[cell], bars, paint) * np.clip(1 - plan.wear * (0.5 + 0.5 * fine), 0.1, 1)
        paint = np.where(is_road, paint, 0)
        color = color + (np.float32(0.86) - color) * paint[:, None]
        edge, side = plan.shadow
        reach = self.heights[cell] * 0.16
        lit = np.clip((side * (edge - a) - reach) / np.maximum(0.15, seen_a) + 0.5, 0, 1)
        return color * (0.52 + 0.48 * lit)[:, None], label


class Blocks(NamedTuple):
    """The houses, walls and hedges of one side, one behind the other along the street."""

    cells: Int[np.ndarray, "cells"]
    """Which block stands at each CELL metres from `start` on."""
    start: float
    labels: UInt8[np.ndarray, "blocks"]
    heights: Float[np.ndarray, "blocks"]
    """Metres; 0 where there is a gap."""
    colors: Float[np.ndarray, "blocks 3"]
    window: Float[np.ndarray, "blocks 4"]
    """Of a house: distance of windows along and up, their width and height, metres."""
    style: UInt8[np.ndarray, "blocks"]
    """0 plaster, 1 brick, 2 glass."""


class Facade:
    """A row of blocks; a is z of the world (or, with a single block, along it), b the height above the ground."""

    def __init__(self, noise: Noise, blocks: Blocks, *, only: int | None = None, shade: float = 1.0) -> None:
        self.noise, self.blocks, self.only, self.shade = noise, blocks, only, shade

    def _block(self, a: Values) -> Int[np.ndarray, "n"]:
        if self.only is not None:
            return np.full(len(a), self.only)
        place = ((a - self.blocks.start) / CELL).astype(np.int32)
        return self.blocks.cells[np.clip(place, 0, len(self.blocks.cells) - 1)]

    def covers(self, a: Values, b: Values) -> Bool[np.ndarray, "n"]:
        block = self._block(a)
        height = self.blocks.heights[block]
        leafy = self.blocks.labels[block] == VEGETATION
        if leafy.any():
            ragged = self.noise.at(a[leafy], b[leafy], 0.05, np.zeros_like(a[leafy]))
            height[leafy] *= 1 + 0.1 * ragged
        return b < height

    def paint(self, a: Values, b: Values, seen_a: Values, seen_b: Values) -> Painted:
        block = self._block(a)
        label, color = self.blocks.labels[block], self.blocks.colors[block]
        seen = np.sqrt(seen_a * seen_b)
        fine, coarse = self.noise.at(a, b, 0.03, seen), self.noise.at(b, a, 0.21, seen)
        light = 1 + 0.06 * fine + 0.07 * coarse
        leaves = label == VEGETATION
        light = np.where(leaves, 0.8 + 0.35 * fine + 0.3 * coarse, light)
        bars = stripes(a, 0.16, 0.05, seen_a)
        rails = np.maximum(band(b, 0.15, 0.22, seen_b), stripes(b, 0.95, 0.07, seen_b))
        light = np.where(label == FENCE, light * (0.45 + 0.55 * np.maximum(bars, rails)), light)
        row = np.floor(b / 0.085)
        joint = np.maximum(stripes(b, 0.085, 0.014, seen_b), stripes(a + 0.12 * (row % 2), 0.24, 0.014, seen_a))
        bricks = (self.blocks.style[block] == 1) & ((label == BUILDING) | (label == WALL))
        light = light * (1 - 0.28 * np.where(bricks, joint, 0))
        color = color * light[:, None]
        house = np.flatnonzero(label == BUILDING)
        color[house] = self._windows(color[house], a[house], b[house], seen_a[house], seen_b[house], block[house])
        return color * np.float32(self.shade), label

    def _windows(
        self,
        color: Float[np.ndarray, "n 3"],
        a: Values,
        b: Values,
        seen_a: Values,
        seen_b: Values,
        block: Int[np.ndarray, "n"],
    ) -> Float[np.ndarray, "n 3"]:
        across, up, width, height = self.blocks.window[block].T
        top = self.blocks.heights[block]
        ground_floor = b < 3.4
        # On the ground floor shop windows, wider and lower; above them rows up to the eaves.
        across, width = np.where(ground_floor, across * 2, across), np.where(ground_floor, across * 1.6, width)
        up, height = np.where(ground_floor, 3.4, up), np.where(ground_floor, 2.3, height)
        y = np.where(ground_floor, b - 0.5, b - 4.3)
        column, row = np.floor(a / across).astype(int), np.floor(y / up).astype(int)
        frame = stripes(a + 0.12, across, width + 0.24, seen_a) * stripes(y + 0.12, up, height + 0.24, seen_b)
        pane = stripes(a, across, width, seen_a) * stripes(y, up, height, seen_b)
        bar = 1 - 0.8 * band(np.mod(a, across), width / 2 - 0.04, width / 2 + 0.04, seen_a)
        free = (b < top - 0.9) & (b > 0.45)
        frame, pane = frame * free, pane * free * np.where(ground_floor, 1, bar)
        one = self.noise.one_of(column + 31 * block, row)
        sharp = np.clip(1.3 - np.maximum(seen_a / across, seen_b / up), 0, 1)
        glass = np.array((0.20, 0.24, 0.29), np.float32) * (1 + 0.55 * one * sharp)[:, None]
        glass = glass + (0.10 * np.clip((y / up) % 1 / (height / up), 0, 1))[:, None]
        sill = np.clip(color * 1.25 + 0.06, 0, 1)
        color = color + (sill - color) * (0.8 * frame)[:, None]
        color = color + (glass - color) * pane[:, None]
        # A sign over the shops, a dark plinth, and the eaves.
        name = self.noise.one_of(block, 7 + column // 3)
        fascia = band(b, 2.95, 3.4, seen_b) * (name > -0.2)
        tint = np.stack([0.45 + 0.4 * name, 0.35 - 0.25 * name, 0.4 + 0.35 * np.sin(9 * name)], -1).astype(np.float32)
        color = color + (tint - color) * fascia[:, None]
        eaves = band(b, top - 0.35, top, seen_b) + 0.6 * band(b, 0.0, 0.4, seen_b)
        return color * (1 - 0.4 * eaves)[:, None]


class Sky:
    """At infinity: clouds, and at the horizon far houses or hills. (a, b) is the direction (x/z, y/z)."""

    def __init__(
        self,
        noise: Noise,
        *,
        zenith: Float[np.ndarray, "3"],
        horizon: Float[np.ndarray, "3"],
        clouds: float,
        hills: bool,
    ) -> None:
        """`clouds` is how much of the sky they take, 0..1."""
        self.noise, self.zenith, self.horizon, self.clouds, self.hills = noise, zenith, horizon, clouds, hills

    def covers(self, a: Values, b: Values) -> None:
        return None

    def paint(self, a: Values, b: Values, seen_a: Values, seen_b: Values) -> Painted:
        high = np.clip(b * 2.2, 0, 1)[:, None]
        color = self.horizon + (self.zenith - self.horizon) * high
        seen = np.sqrt(seen_a * seen_b)
        if self.clouds > 0:
            puffs = self.noise.at(a, b * 2.5, 0.012, seen) + 0.4 * self.noise.at(b * 2.0, a, 0.004, seen)
            white = np.clip(0.6 * puffs + 2.2 * self.clouds - 1.1, 0, 1) * min(1.0, 2 * self.clouds)
            color = color + (np.float32(0.95) - 0.12 * np.clip(puffs, 0, 1)[:, None] - color) * white[:, None]
        place = a if self.hills else np.floor(a * 45) / 45
        zero = np.zeros_like(a)
        ridge = 0.035 + 0.016 * self.noise.at(place, zero, 0.02 if self.hills else 0.003, zero)
        far = b < ridge
        shade = 1 + 0.15 * self.noise.at(a * 3, b * 6, 0.004, seen)
        tone = np.array((0.42, 0.50, 0.40) if self.hills else (0.52, 0.50, 0.50), np.float32)
        color = np.where(far[:, None], tone * shade[:, None], color)
        label = np.where(far, np.uint8(VEGETATION if self.hills else BUILDING), np.uint8(SKY))
        return color.astype(np.float32), label
