"""How the camera of the drawn street drives, and what light and lens make of a frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from dvsnet_jax.datasets.street.geometry import View


def wobble(
    rng: np.random.Generator, times: Float[np.ndarray, "t"], size: float, period: float
) -> Float[np.ndarray, "t"]:
    """A smooth random curve around 0, about `size` high, that turns about every `period` frames."""
    curve = np.zeros(len(times))
    for share in (0.55, 0.3, 0.15):
        turns = 2 * np.pi / (period * rng.uniform(0.6, 1.8))
        curve += share * np.sin(turns * times + rng.uniform(0, 2 * np.pi))
    return size * curve


def drive(rng: np.random.Generator, frames: int, height: int, width: int) -> list[View]:
    """Where the camera is in each frame: ahead at a changing speed, with turns, pitch, roll and drift.

    It starts at z = 0 in the middle of its lane, x = 0. Speeds are 0 to about 1.2 m per frame, at 17 Hz 75 km/h.
    """
    times = np.arange(frames, dtype=float)
    speed = rng.uniform(0.1, 0.95) * (1 + wobble(rng, times, 0.35, 60))
    if rng.random() < 0.25:  # brakes to a stop, or starts from one
        ramp = np.clip((times - rng.uniform(0, frames)) / rng.uniform(15, 50), 0, 1)
        speed *= ramp if rng.random() < 0.5 else 1 - ramp
    z = np.concatenate([[0], np.cumsum(np.maximum(speed, 0))[:-1]])
    x = wobble(rng, times, rng.uniform(0, 0.5), 70)
    y = rng.uniform(1.2, 2.1) + wobble(rng, times, 0.015, 9)
    yaw = wobble(rng, times, np.deg2rad(rng.uniform(0.2, 3.0)), 45)
    if rng.random() < 0.35:  # looks into a turn
        share = np.clip((times - rng.uniform(-10, frames)) / rng.uniform(15, 45), 0, 1)
        yaw += np.deg2rad(rng.uniform(-20, 20)) * share * share * (3 - 2 * share)
    pitch = wobble(rng, times, np.deg2rad(rng.uniform(0.05, 0.6)), 11) + wobble(rng, times, np.deg2rad(0.3), 50)
    roll = wobble(rng, times, np.deg2rad(rng.uniform(0, 0.6)), 25)
    focal = width * rng.uniform(0.75, 1.25)
    middle = (width - 1) / 2 + width * rng.uniform(-0.02, 0.02), height * rng.uniform(0.36, 0.5)
    intrinsics = np.array([(focal, 0, middle[0]), (0, -focal, middle[1]), (0, 0, 1)])
    turns = zip(yaw, pitch, roll, strict=True)
    rotations = [_rotation(*turn) for turn in turns]
    places = np.stack([x, y, z], -1)
    return [View(intrinsics, rotation, place) for rotation, place in zip(rotations, places, strict=True)]


def _rotation(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """World to camera: turned right by `yaw`, up by `pitch`, clockwise by `roll`, radians."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, pitch, roll))
    turn = np.array([(cy, 0, -sy), (0, 1, 0), (sy, 0, cy)])
    lift = np.array([(1, 0, 0), (0, cp, -sp), (0, sp, cp)])
    tilt = np.array([(cr, -sr, 0), (sr, cr, 0), (0, 0, 1)])
    return tilt @ lift @ turn


class Light(NamedTuple):
    """What happens to colours on their way into the file; one for each shot."""

    haze: Float[np.ndarray, "3"]
    sight: float
    """Metres in which haze takes all but 1/e."""
    tint: Float[np.ndarray, "3"]
    exposure: Float[np.ndarray, "t"]
    """Brightness of each frame."""
    gamma: float
    blur: float
    """Share of a pixel's light that its four neighbours get, each direction, 0..⅓."""
    noise: float
    """Deviation of the sensor's noise, 0..255."""
    vignette: float

    def expose(
        self,
        color: Float[np.ndarray, "h w 3"],
        nearness: Float[np.ndarray, "h w"],
        frame: int,
        rng: np.random.Generator,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """A frame as the camera stores it, from colours 0..1 and 1 / depth in metres."""
        clear = np.exp(-1 / np.maximum(nearness * self.sight, 0.02)).astype(np.float32)
        clear[nearness == 0] = 1  # the sky has its haze already
        color = self.haze + (color - self.haze) * clear[..., None]
        height, width = nearness.shape
        x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        dim = 1 - np.float32(self.vignette) * (x * x + y * y)
        color *= (np.float32(self.exposure[frame]) * dim)[..., None] * self.tint
        np.clip(color, 0, 1, out=color)
        color **= np.float32(self.gamma)
        if self.blur:
            for first, second in ((color[:-1], color[1:]), (color[:, :-1], color[:, 1:])):
                # What flows between two neighbours is a share of their difference; nothing flows out of the picture.
                step = np.float32(self.blur) * (second - first)
                first += step
                second -= step
        color *= 255
        color += rng.standard_normal(color.shape, np.float32) * np.float32(self.noise)
        color += 0.5
        return np.clip(color, 0, 255).astype(np.uint8)


def weather(rng: np.random.Generator, frames: int) -> Light:
    """Light from bright noon to dusk, clear to hazy, with the drift and steps of automatic exposure."""
    times = np.arange(frames, dtype=float)
    exposure = rng.uniform(0.85, 1.4) * np.exp(wobble(rng, times, rng.uniform(0.02, 0.12), 40))
    if rng.random() < 0.2:
        exposure = exposure * np.where(times > rng.uniform(0, frames), rng.uniform(0.8, 1.2), 1.0)
    if rng.random() < 0.12:  # dusk
        exposure = exposure * 0.55
    gray = rng.uniform(0.55, 0.85)
    return Light(
        haze=(gray * rng.uniform((0.95, 0.97, 1.0), (1.02, 1.03, 1.1))).astype(np.float32),
        sight=rng.uniform(80, 450),
        tint=rng.uniform((0.92, 0.96, 0.88), (1.08, 1.04, 1.12)).astype(np.float32),
        exposure=exposure,
        gamma=rng.uniform(0.7, 1.15),
        blur=rng.uniform(0.05, 0.22),
        noise=rng.uniform(0.5, 4.0),
        vignette=rng.uniform(0, 0.2),
    )
