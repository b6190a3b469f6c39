"""What moves in a drawn street: vehicles parked, ahead and oncoming, cyclists, people."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dvsnet_jax.datasets.street import things, vehicles
from dvsnet_jax.datasets.street.camera import wobble
from dvsnet_jax.datasets.street.geometry import Patch
from dvsnet_jax.datasets.street.plan import Plan
from dvsnet_jax.datasets.street.shapes import PAINTS
from dvsnet_jax.datasets.street.textures import Noise

Track = float | Float[np.ndarray, "t"]

SIGHT = 95.0
"""How far ahead of the camera's last place things stand, metres."""
_SMALL = (vehicles.CAR, vehicles.CAR, vehicles.ESTATE, vehicles.VAN)
_ONCOMING = (*_SMALL, *_SMALL, *_SMALL, vehicles.TRUCK, vehicles.BUS)


class Bodies:
    """Collects what moves: positions and headings in every frame. Body 0 is the world."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.positions = [np.zeros((frames, 3))]
        self.headings = [np.zeros(frames)]

    def add(self, x: Track, z: Track, heading: Track = 0.0) -> int:
        place = np.zeros((self.frames, 3))
        place[:, 0], place[:, 2] = x, z
        self.positions.append(place)
        self.headings.append(np.zeros(self.frames) + heading)
        return len(self.positions) - 1


def is_free(z: float, crossings: list[tuple[float, float]], room: float) -> bool:
    """Whether z is at least `room` metres from every crossing."""
    return all(z < low - room or z > high + room for low, high in crossings)


def add_traffic(
    rng: np.random.Generator,
    noise: Noise,
    plan: Plan,
    crossings: list[tuple[float, float]],
    cameras: Float[np.ndarray, "t 3"],
    bodies: Bodies,
    patches: list[Patch],
) -> list[tuple[int, float, float]]:
    """Vehicles: parked, ahead in the camera's lane, coming towards it; and cyclists between."""
    shadows = []
    times = np.arange(bodies.frames, dtype=float)

    def put(kind: vehicles.Vehicle, x: Track, z: Track, heading: Track) -> None:
        body = bodies.add(x, z, heading)
        tone = PAINTS[rng.integers(len(PAINTS))]
        patches.extend(vehicles.vehicle(noise, kind, body, tone))
        shadows.append((body, kind.width / 2 + 0.15, abs(kind.profile[0][0]) + 0.2))

    for side in (0, 1):
        if plan.parking[side]:
            x = plan.road[side] + (1 if side == 0 else -1) * 0.5 * plan.parking[side]
            turned = np.pi if (side == 0) == (plan.mirror > 0) else 0.0
            full = rng.uniform(0.2, 0.9)
            for z in np.arange(-12 + rng.uniform(0, 6), float(cameras[-1, 2]) + SIGHT, 6.4):
                if rng.random() < full and is_free(z, crossings, 5.5):
                    heading = turned + rng.normal(0, 0.02) + np.pi * (rng.random() < 0.1)
                    put(_SMALL[rng.integers(len(_SMALL))], x + rng.uniform(-0.1, 0.1), z, heading)

    if rng.random() < 0.7:  # somebody drives ahead
        kinds = (*_SMALL, *_SMALL, vehicles.TRUCK, vehicles.BUS)
        gap = np.maximum(rng.uniform(10, 32) + wobble(rng, times, rng.uniform(0, 9), 80), 9.5)
        put(
            kinds[rng.integers(len(kinds))],
            wobble(rng, times, 0.25, 60),
            cameras[:, 2] + gap,
            wobble(rng, times, 0.02, 40),
        )
    for x in plan.oncoming:
        speed, every = rng.uniform(0.2, 0.9), rng.uniform(16, 45)
        if rng.random() < 0.15:
            speed = 0.0  # a queue
        reach = float(cameras[-1, 2]) + SIGHT + speed * bodies.frames
        tram = rng.random() < 0.1
        for z in np.arange(rng.uniform(0, every), reach, every + 26 * tram):
            kind = vehicles.TRAM if tram else _ONCOMING[rng.integers(len(_ONCOMING))]
            put(kind, x + rng.uniform(-0.2, 0.2), z - speed * times, np.pi)

    for _ in range(rng.integers(0, 4)):  # along the right edge of the lane, or across the street
        motor = rng.random() < 0.35
        if rng.random() < 0.6:
            edge = plan.mirror * rng.uniform(1.25, 1.7)
            speed = rng.uniform(0.05, 0.5) * rng.choice([-1, 1], p=[0.2, 0.8])
            z = rng.uniform(6, 45) + speed * times
            body = bodies.add(edge + wobble(rng, times, 0.15, 30), z)
        else:
            speed = rng.uniform(0.08, 0.3) * rng.choice([-1, 1])
            z = rng.uniform(8, float(cameras[-1, 2]) + 40)
            begin = rng.uniform(*plan.road) - speed * rng.uniform(0, bodies.frames)
            body = bodies.add(begin + speed * times, z, np.pi * (speed < 0))
            patches.extend(things.cyclist(noise, rng, body, motor=motor, sideways=True))
            continue
        patches.extend(things.cyclist(noise, rng, body, motor=motor, sideways=False))
    return shadows


def add_walkers(
    rng: np.random.Generator,
    noise: Noise,
    plan: Plan,
    cameras: Float[np.ndarray, "t 3"],
    bodies: Bodies,
    patches: list[Patch],
) -> None:
    """People on the pavements, some standing, and now and then one who crosses the road."""
    times = np.arange(bodies.frames, dtype=float)
    end = float(cameras[-1, 2]) + 60
    crowd = rng.uniform(0.02, 0.25)  # people per metre
    for low, high in plan.walk:
        for z in rng.uniform(0, end, rng.poisson(crowd * end / 2)):
            speed = rng.choice([0.0, 1.0, 1.0, -1.0]) * rng.uniform(0.04, 0.11)
            x = rng.uniform(low + 0.3, high - 0.3) + wobble(rng, times, 0.1, 40)
            patches.extend(things.person(noise, rng, bodies.add(x, z + speed * times)))
    for _ in range(rng.integers(0, 4)):
        speed = rng.uniform(0.05, 0.1) * rng.choice([-1, 1])
        begin = rng.uniform(*plan.road) - speed * rng.uniform(0, bodies.frames)
        body = bodies.add(begin + speed * times, rng.uniform(7, end))
        patches.extend(things.person(noise, rng, body))
