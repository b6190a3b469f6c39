"""A drawn street: driving clips with exact labels, exact optical flow and occlusion, from a seed and nothing else.

    clip = draw_street(seed=7, frames=30, height=256, width=512)          # frames and labels
    scene = StreetScene(7, 256, 512, frames=30)
    flow, visible = scene.flow(current=12, key=4)                         # as DVSNet warps: current → key

The camera drives (speed, yaw, pitch, roll, drift) between rows of houses, walls and hedges; cars, trucks, buses,
trams, cyclists and people move on their own; textures are tied to the surfaces; light, haze, sensor noise and hard
cuts vary. All is made of flat patches (`street_geometry`), so flow and labels are exact and not estimated.

All 19 classes of Cityscapes occur. Everything random comes from `numpy.random.Generator`: a seed gives the same clip
everywhere (up to the last bit of a machine's sine and exponential).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dvsnet_jax.datasets.street.camera import drive, weather
from dvsnet_jax.datasets.street.geometry import Hits, Patches, Placed
from dvsnet_jax.datasets.street.layout import build_street
from dvsnet_jax.datasets.street.surroundings import Ground
from dvsnet_jax.datasets.street.textures import Noise
from dvsnet_jax.errors import InputError

_KEPT = 4  # frames whose geometry is remembered: flow asks for two, and often for neighbours


class StreetClip(NamedTuple):
    """A drive with a label for every pixel."""

    frames: UInt8[np.ndarray, "t h w 3"]
    """RGB, 0..255."""
    labels: UInt8[np.ndarray, "t h w"]
    """Cityscapes train ids 0..18; nothing is void."""


class StreetFlow(NamedTuple):
    """Where each pixel of one frame is in another."""

    flow: Float[np.ndarray, "h w 2"]
    """Displacement (x, y) in pixels, float32; 0 where the other frame belongs to another shot."""
    visible: Bool[np.ndarray, "h w"]
    """Whether the other frame shows the same point: inside its pixel centres' rectangle and not hidden."""


class StreetScene:
    """A drive of `frames` frames; any frame can be drawn, and any two be related, at any time."""

    def __init__(
        self, seed: int, height: int, width: int, *, frames: int = 30, cut_rate: float = 0.0, still: bool = False
    ) -> None:
        """`cut_rate` is the chance of a hard cut to another street at each frame, 0..1. `still`: the camera stands.

        The same seed gives the same drive at any size; more frames give another one. Raises `InputError` for less
        than 1 frame of 32×32, and for a rate outside 0..1.
        """
        if frames < 1 or min(height, width) < 32:
            raise InputError(f"{frames} frames of {height}×{width}: at least 1 frame of 32×32 is needed")
        if not 0 <= cut_rate <= 1:
            raise InputError(f"cut_rate is {cut_rate}, but it is the chance of a cut at each frame: 0 to 1")
        self.seed, self.size, self.frames = seed, (height, width), frames
        cuts = np.random.default_rng((seed, 0)).random(frames) < cut_rate
        cuts[0] = True
        self.starts = np.flatnonzero(cuts)
        """The first frame of every shot."""
        self._still = still
        self._shots: dict[int, _Shot] = {}
        self._seen: OrderedDict[int, tuple[Placed, Hits]] = OrderedDict()

    def shot(self, frame: int) -> int:
        """Which shot a frame belongs to, counted from 0."""
        if not 0 <= frame < self.frames:
            raise InputError(f"frame {frame} is asked for, but the scene has frames 0 to {self.frames - 1}")
        return int(np.searchsorted(self.starts, frame, side="right")) - 1

    def draw(self, frame: int, *, clean: bool = False) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        """A frame, RGB 0..255, and its labels, train ids.

        `clean` leaves out all that changes with the view and not with the surface: light, haze, cast shadows of what
        moves, blur and sensor noise.
        """
        shot, time = self._shot(frame)
        placed, hits = self._see(frame)
        color, labels = _painted(shot.patches, placed, hits)
        if clean:
            return np.clip(color * 255 + 0.5, 0, 255).astype(np.uint8), labels
        _cast_shadows(shot, time, placed, hits, color)
        rng = np.random.default_rng((self.seed, 1, frame))
        return shot.light.expose(color, hits.nearness, time, rng), labels

    def flow(self, current: int, key: int) -> StreetFlow:
        """Flow of each pixel of frame `current` to where the same point of the same thing is in frame `key`.

        With `current` after `key` it is what DVSNet warps by; the other way round it is forward flow.
        """
        height, width = self.size
        if self.shot(current) != self.shot(key):
            return StreetFlow(np.zeros((height, width, 2), np.float32), np.zeros((height, width), bool))
        patches = self._shot(current)[0].patches
        (placed, hits), placed_key = self._see(current), self._place(key)
        number = hits.patch
        # A patch of this frame may be outside of the key frame, but its matrix is there all the same.
        homography = (placed_key.forward @ placed.back).reshape(-1, 9)
        u, v = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
        h = [column[number] for column in homography.T.copy()]
        depth = h[6] * u + h[7] * v + h[8]
        # Relative to this frame's nearness: what comes to lie behind the camera gets no place.
        ahead = depth > 1e-6
        depth = np.where(ahead, depth, 1)
        x, y = (h[0] * u + h[1] * v + h[2]) / depth, (h[3] * u + h[4] * v + h[5]) / depth
        flow = np.stack([x - u, y - v], -1)
        flow[~ahead] = 0
        slack = 1e-9 * width  # a point on the rim stays on it
        inside = ahead & (x >= -slack) & (y >= -slack) & (x <= width - 1 + slack) & (y <= height - 1 + slack)
        visible = np.zeros((height, width), bool)
        visible[inside] = patches.see_points(placed_key, x[inside], y[inside]).patch == number[inside]
        return StreetFlow(flow.astype(np.float32), visible)

    def _shot(self, frame: int) -> tuple[_Shot, int]:
        """The shot of a frame, and the frame's number in it."""
        index = self.shot(frame)
        start = int(self.starts[index])
        if index not in self._shots:
            ends = [*self.starts[1:], self.frames]
            self._shots[index] = _Shot((self.seed, 2, index), int(ends[index]) - start, self.size, self._still)
        return self._shots[index], frame - start

    def _place(self, frame: int) -> Placed:
        if frame in self._seen:
            return self._seen[frame][0]
        shot, time = self._shot(frame)
        return shot.place(time, self.size)

    def _see(self, frame: int) -> tuple[Placed, Hits]:
        if frame not in self._seen:
            placed = self._place(frame)
            self._seen[frame] = placed, self._shot(frame)[0].patches.see_frame(placed, self.size)
            if len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        self._seen.move_to_end(frame)
        return self._seen[frame]


def draw_street(
    seed: int, frames: int = 30, height: int = 256, width: int = 512, *, cut_rate: float = 0.0
) -> StreetClip:
    """A whole clip: frames uint8 RGB `[t, h, w, 3]` and labels uint8 train ids `[t, h, w]`. See `StreetScene`."""
    scene = StreetScene(seed, height, width, frames=frames, cut_rate=cut_rate)
    drawn = [scene.draw(frame) for frame in range(frames)]
    return StreetClip(*(np.stack(arrays) for arrays in zip(*drawn, strict=True)))


class _Shot:
    """One street between two cuts."""

    def __init__(self, seed: tuple[int, ...], frames: int, size: tuple[int, int], still: bool) -> None:
        rng = np.random.default_rng(seed)
        noise = Noise(rng)
        self.views = drive(rng, frames, *size)
        if still:
            self.views = [self.views[0]] * frames
        self.street = build_street(rng, noise, np.stack([view.position for view in self.views]))
        self.light = weather(rng, frames)
        self.patches = Patches(self.street.sky, self.street.patches)
        self.ground = next(n for n, look in enumerate(self.patches.looks) if isinstance(look, Ground))

    def place(self, time: int, size: tuple[int, int]) -> Placed:
        street = self.street
        return self.patches.place(self.views[time], street.positions[time], street.headings[time], size)


def _painted(
    patches: Patches, placed: Placed, hits: Hits
) -> tuple[Float[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    height, width = hits.patch.shape
    color, labels = np.zeros((height * width, 3), np.float32), np.zeros(height * width, np.uint8)
    number, a, b = hits.patch.ravel(), hits.a.ravel(), hits.b.ravel()
    order = np.argsort(number, kind="stable")
    firsts = np.flatnonzero(np.diff(number[order], prepend=-1))
    for pixels in np.split(order, firsts[1:]):
        back = placed.back[number[pixels[0]]]
        at_a, at_b = a[pixels], b[pixels]
        # Derivatives of a and b by u and v. The sky's nearness is its own, not the stored 0.
        depth = 1 / (back[2, 0] * (pixels % width) + back[2, 1] * (pixels // width) + back[2, 2])
        seen = []
        for row, place in ((back[0], at_a), (back[1], at_b)):
            steps = [np.abs((row[axis] - place * back[2, axis]) * depth) for axis in (0, 1)]
            seen.append(np.maximum(*steps).astype(np.float32))
        look = patches.looks[number[pixels[0]]]
        color[pixels], labels[pixels] = look.paint(at_a.astype(np.float32), at_b.astype(np.float32), *seen)
    return color.reshape(height, width, 3), labels.reshape(height, width)


def _cast_shadows(shot: _Shot, time: int, placed: Placed, hits: Hits, color: Float[np.ndarray, "h w 3"]) -> None:
    """Darkens the ground under the vehicles."""
    street, camera = shot.street, shot.views[time].position
    pixels = np.flatnonzero(hits.patch == shot.ground)
    x, z = hits.a.ravel()[pixels], hits.b.ravel()[pixels]
    shade = np.ones(len(pixels), np.float32)
    for body, half_width, half_length in street.shadows:
        place = street.positions[time, body]
        if not -half_length < place[2] - camera[2] < 70:
            continue
        reach = 1.5 * half_length
        near = np.flatnonzero((np.abs(z - place[2]) < reach) & (np.abs(x - place[0]) < reach))
        sin, cos = np.sin(street.headings[time, body]), np.cos(street.headings[time, body])
        dx, dz = x[near] - place[0], z[near] - place[2]
        across, along = (cos * dx - sin * dz) / half_width, (sin * dx + cos * dz) / half_length
        shade[near] *= 1 - 0.65 * np.exp(-(across**4) - along**8)
    color.reshape(-1, 3)[pixels] *= shade[:, None]
