"""One street of the drawn kind, put together: ground, houses, things that stand, things that move, sky."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dvsnet_jax.datasets.street import things
from dvsnet_jax.datasets.street.geometry import Look, Patch
from dvsnet_jax.datasets.street.plan import Plan, cross_section, row_of_blocks
from dvsnet_jax.datasets.street.surroundings import BUILDING, CELL, FENCE, Blocks, Facade, Ground, GroundPlan, Sky
from dvsnet_jax.datasets.street.textures import Noise
from dvsnet_jax.datasets.street.traffic import SIGHT, Bodies, add_traffic, add_walkers, is_free

_BEHIND, _AHEAD = 25.0, 160.0  # how far the street goes on before the first place of the camera and after its last


class Street(NamedTuple):
    """A street and all that happens in it."""

    sky: Look
    patches: list[Patch]
    positions: Float[np.ndarray, "t bodies 3"]
    """Body 0 is the world and stays at 0."""
    headings: Float[np.ndarray, "t bodies"]
    """Radians, right is +."""
    shadows: list[tuple[int, float, float]]
    """What darkens the ground below it: body, half its width, half its length."""


def build_street(rng: np.random.Generator, noise: Noise, cameras: Float[np.ndarray, "t 3"]) -> Street:
    """A random street along the camera's way."""
    start, end = -_BEHIND, float(cameras[-1, 2]) + _AHEAD
    plan, edges, labels, colors, lines = cross_section(rng)
    crossings = [(z, z + rng.uniform(7, 12)) for z in np.arange(start + rng.uniform(20, 90), end, rng.uniform(45, 120))]
    cells = int((end - start) / CELL) + 1
    along = start + CELL * (np.arange(cells) + 0.5)
    crossing = np.zeros(cells, bool)
    zebra = np.zeros(cells, bool)
    striped = rng.random() < 0.6
    for low, high in crossings:
        crossing |= (along > low) & (along < high)
        if striped:
            zebra |= (along > low - 4.5) & (along < low - 1.5)

    patches: list[Patch] = []
    rows = []
    for side, x in ((-1, plan.houses[0]), (1, plan.houses[1])):
        near = row_of_blocks(rng, along, crossings, greenery=0.3)
        far = row_of_blocks(rng, along, [], greenery=0.55, tallest=30.0)
        rows.append(near)
        for blocks, offset in ((near, 0.0), (far, rng.uniform(13, 22))):
            look = Facade(noise, blocks, shade=0.85 if side > 0 else 1.0)
            extent = (start, end, 0.0, 1.3 * float(blocks.heights.max()))
            patches.append(Patch(look, 0, (x + side * offset, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), extent))
        patches += _gable_ends(noise, near, side, x)

    sun = int(rng.integers(2))
    shadow_edge = plan.houses[sun] + (1 if sun == 0 else -1) * 0.2
    shadow = (shadow_edge, 1.0 if sun else -1.0) if rng.random() < 0.6 else (10 * shadow_edge, 1.0 if sun else -1.0)
    ground = GroundPlan(edges, labels, colors, lines, crossing, zebra, plan.road, shadow, start,
                        wear=rng.uniform(0.05, 0.8), slab=rng.uniform(0.4, 1.2))  # fmt: skip
    heights = rows[sun].heights[rows[sun].cells] * rng.uniform(0.3, 3.0)
    extent = (float(edges[0]), float(edges[-1]), start, end)
    patches.append(Patch(Ground(noise, ground, heights), 0, (0, 0, 0), (1, 0, 0), (0, 0, 1), extent))

    bodies = Bodies(len(cameras))
    patches += _standing(rng, noise, plan, crossings, start, float(cameras[-1, 2]) + SIGHT)
    shadows = add_traffic(rng, noise, plan, crossings, cameras, bodies, patches)
    add_walkers(rng, noise, plan, cameras, bodies, patches)

    # From deep blue to nearly white; three independent colours would often make it violet.
    blue = np.array((0.24, 0.42, 0.70)) + rng.uniform(0, 1) * np.array((0.42, 0.30, 0.10)) + rng.normal(0, 0.015, 3)
    horizon = np.clip(blue + rng.uniform(0.1, 0.25) + rng.normal(0, 0.02, 3), 0, 0.95)
    sky = Sky(noise, zenith=blue.astype(np.float32), horizon=horizon.astype(np.float32),
              clouds=float(rng.choice([0.0, 0.3, 0.6, 1.0])), hills=bool(rng.random() < 0.5))  # fmt: skip
    return Street(sky, patches, np.stack(bodies.positions, 1), np.stack(bodies.headings, 1), shadows)


def _gable_ends(noise: Noise, blocks: Blocks, side: int, x: float) -> list[Patch]:
    """The walls that face the camera, where a house stands behind something lower."""
    patches = []
    starts = np.flatnonzero(np.diff(blocks.cells)) + 1
    for cell in starts:
        before, block = blocks.cells[cell - 1], blocks.cells[cell]
        if blocks.labels[block] == BUILDING and blocks.heights[block] > blocks.heights[before] + 0.5:
            look = Facade(noise, blocks, only=int(block), shade=0.72)
            left = x if side > 0 else x - 12.0
            place = (left, 0.0, blocks.start + CELL * float(cell))
            patches.append(things.board(look, 0, place, (0.0, 12.0, 0.0, float(blocks.heights[block]))))
    return patches


def _standing(
    rng: np.random.Generator,
    noise: Noise,
    plan: Plan,
    crossings: list[tuple[float, float]],
    start: float,
    end: float,
) -> list[Patch]:
    """Trees, posts, signs, bushes, bicycles, fences: along both kerbs, and in the yards."""
    patches = []
    for side in (0, 1):
        outward = -1.0 if side == 0 else 1.0
        kerb, (low, high) = plan.road[side] + 0.5 * outward, plan.walk[side]
        for every, chance, kind in (
            (rng.uniform(6, 16), rng.choice([0.0, 0.8]), "tree"),
            (rng.uniform(18, 35), 0.9, "lamp"),
            (rng.uniform(9, 25), 0.7, "sign"),
            (rng.uniform(1.6, 3.0), rng.choice([0.0, 0.0, 0.9]), "bollard"),
            (rng.uniform(5, 12), 0.35, "bush"),
            (rng.uniform(8, 25), 0.4, "bicycle"),
        ):
            for z in np.arange(start + rng.uniform(0, every), end, every):
                z += rng.uniform(-0.2, 0.2) * every
                chosen, lot = rng.random() < chance, rng.uniform(low, high)
                if not chosen or not is_free(z, crossings, 1.0):
                    continue
                if kind == "tree":
                    patches.append(things.tree(noise, rng, (kerb + 0.5 * outward, 0.0, z)))
                elif kind == "lamp":
                    patches.append(things.lamp_post(noise, rng, (kerb, 0.0, z), -outward))
                elif kind == "sign":
                    patches.append(things.traffic_sign(noise, rng, (kerb + 0.2 * outward, 0.0, z)))
                elif kind == "bollard":
                    patches.append(things.bollard(noise, (kerb, 0.0, z)))
                elif kind == "bush":
                    patches.append(things.bush(noise, rng, (plan.houses[side] - 0.4 * outward, 0.0, z)))
                else:
                    patches.append(things.parked_bicycle(noise, rng, 0, (lot, 0.0, z)))
        for near, far in crossings:
            if rng.random() < 0.7:
                patches.append(things.traffic_light(noise, rng, (kerb, 0.0, near - 1.0)))
            if rng.random() < 0.3:
                patches.append(things.traffic_light(noise, rng, (kerb, 0.0, far + 0.5)))
        if rng.random() < 0.2:  # a fence between the road and the pavement
            z = start
            for near, far in [*crossings, (end, end)]:
                if near - 5 > z:
                    tone = rng.uniform(0.3, 0.7, 3).astype(np.float32)
                    row = Blocks(np.zeros(1, int), z, np.array([FENCE], np.uint8), np.array([1.0], np.float32),
                                 tone[None], np.ones((1, 4), np.float32), np.zeros(1, np.uint8))  # fmt: skip
                    look = Facade(noise, row, only=0)
                    extent = (z, near - 5, 0.0, 1.0)
                    patches.append(Patch(look, 0, (kerb - 0.2 * outward, 0.0, 0.0), (0, 0, 1), (0, 1, 0), extent))
                z = far + 1
    return patches
