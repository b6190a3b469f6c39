"""Flat patches that stand or move in space, and which of them each pixel sees.

World: metres, x right, y up, z ahead. Pixels: (u, v), u right, v down, centres at whole numbers. A patch is all
`origin + a·across + b·along` with (a, b) in its extent and inside its outline. In every frame a 3×3 matrix takes
(a, b, 1) to (u·s, v·s, s), s the depth; so between two frames a patch moves by one homography, and the flow of the
drawn street is exact to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Values = Float[np.ndarray, "n"]

_NEAR = 0.15  # metres; what is closer is not drawn
SKY = 0
"""Number of the patch that every pixel sees if nothing else is in the way: it is at infinity."""


class Look(Protocol):
    """Outline, colours and labels of a patch, as functions of the place on it."""

    def covers(self, a: Values, b: Values) -> Bool[np.ndarray, "n"] | None:
        """Whether the patch is there, or None where it fills its extent."""

    def paint(
        self, a: Values, b: Values, seen_a: Values, seen_b: Values
    ) -> tuple[Float[np.ndarray, "n 3"], UInt8[np.ndarray, "n"]]:
        """Colour 0..1 and train id, where a pixel sees `seen_a` × `seen_b` metres."""


class Patch(NamedTuple):
    """A flat piece of the scene, in the coordinates of the body that it belongs to."""

    look: Look
    body: int
    """Which body carries it; body 0 is the world."""
    origin: tuple[float, float, float]
    across: tuple[float, float, float]
    along: tuple[float, float, float]
    extent: tuple[float, float, float, float]
    """Least and greatest a, least and greatest b, metres."""
    one_sided: bool = False
    """Seen only from where a runs to the right and b up: of a closed box the far sides need no drawing."""


class View(NamedTuple):
    """The camera in one frame: `pixel · depth = intrinsics @ rotation @ (world - position)`."""

    intrinsics: Float[np.ndarray, "3 3"]
    rotation: Float[np.ndarray, "3 3"]
    position: Float[np.ndarray, "3"]


class Placed(NamedTuple):
    """The patches as one frame sees them; `chosen` are those that may be seen, the nearest first."""

    forward: Float[np.ndarray, "patches 3 3"]
    """(a, b, 1) → (u·s, v·s, s)."""
    back: Float[np.ndarray, "patches 3 3"]
    boxes: Float[np.ndarray, "patches 4"]
    """Least and greatest u, least and greatest v of what is in front of the camera."""
    chosen: Int[np.ndarray, "chosen"]


class Hits(NamedTuple):
    """What each of some points of a frame sees."""

    patch: Int[np.ndarray, "*points"]
    nearness: Float[np.ndarray, "*points"]
    """1 / depth, 0 for the sky."""
    a: Float[np.ndarray, "*points"]
    b: Float[np.ndarray, "*points"]


class Patches:
    """All patches of a scene as arrays; number 0 is the sky, whose (a, b) is direction (x/z, y/z)."""

    def __init__(self, sky: Look, patches: Sequence[Patch]) -> None:
        place = (0.0, 0.0, 0.0)
        backdrop = Patch(sky, 0, place, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-np.inf, np.inf, -np.inf, np.inf))
        together = (backdrop, *patches)
        self.looks = [patch.look for patch in together]
        self._body = np.array([patch.body for patch in together])
        self._frame = np.array([(p.across, p.along, p.origin) for p in together]).transpose(0, 2, 1)
        self._extent = np.array([patch.extent for patch in together])
        self._one_sided = np.array([patch.one_sided for patch in together])

    def place(
        self,
        view: View,
        positions: Float[np.ndarray, "bodies 3"],
        headings: Float[np.ndarray, "bodies"],
        size: tuple[int, int],
    ) -> Placed:
        """The patches before the camera of one frame of `size` (height, width); headings are radians, right is +."""
        sin, cos, zero, one = np.sin(headings), np.cos(headings), np.zeros(len(headings)), np.ones(len(headings))
        turn = np.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).reshape(-1, 3, 3)
        frame = turn[self._body] @ self._frame
        frame[:, :, 2] += positions[self._body] - view.position
        # The sky is where no step of the camera makes a difference.
        frame[SKY] = np.eye(3)
        forward = (view.intrinsics @ view.rotation) @ frame
        # across × along · (origin - camera): 0 seen edge-on, below 0 seen from the back.
        volume = np.linalg.det(frame)
        usable = (np.abs(volume) > 1e-9) & ~(self._one_sided & (volume < 0))
        usable[SKY] = True
        boxes, depth = _bounds(forward, self._extent, usable)
        height, width = size
        usable &= (boxes[:, 0] <= width - 1) & (boxes[:, 1] >= 0) & (boxes[:, 2] <= height - 1) & (boxes[:, 3] >= 0)
        # Narrower than this in both directions it would be a dot that comes and goes.
        usable &= np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]) > 0.7
        usable[SKY] = False
        back = np.zeros_like(forward)
        known = usable.copy()
        known[SKY] = True
        back[known] = np.linalg.inv(forward[known])
        chosen = np.flatnonzero(usable)
        return Placed(forward, back, boxes, chosen[np.argsort(depth[chosen], kind="stable")])

    def see_frame(self, placed: Placed, size: tuple[int, int]) -> Hits:
        """What every pixel of a frame of (height, width) sees: arrays `[h, w]`."""
        height, width = size
        u, v = np.arange(width, dtype=float)[None], np.arange(height, dtype=float)[:, None]
        hits = self._sky(placed, u, v)
        for number in placed.chosen:
            left, right, top, bottom = placed.boxes[number]
            rows = slice(max(0, int(np.ceil(top))), max(0, int(np.floor(min(bottom, height))) + 1))
            columns = slice(max(0, int(np.ceil(left))), max(0, int(np.floor(min(right, width))) + 1))
            part = Hits(*(array[rows, columns] for array in hits))
            if part.patch.size:
                self._see(part, number, placed.back[number], u[:, columns], v[rows])
        return hits

    def see_points(self, placed: Placed, u: Values, v: Values) -> Hits:
        """What the points (u, v) of a frame see, between pixels too: arrays `[n]`."""
        hits = self._sky(placed, u, v)
        # In order of u, each patch looks through a slice of the points and not through all of them.
        order = np.argsort(u)
        sorted_u = u[order]
        for number in placed.chosen:
            left, right, top, bottom = placed.boxes[number]
            inside = order[np.searchsorted(sorted_u, left) : np.searchsorted(sorted_u, right, side="right")]
            inside = inside[(v[inside] >= top) & (v[inside] <= bottom)]
            if inside.size:
                part = Hits(*(array[inside] for array in hits))
                self._see(part, number, placed.back[number], u[inside], v[inside])
                for array, values in zip(hits, part, strict=True):
                    array[inside] = values
        return hits

    def _sky(self, placed: Placed, u: np.ndarray, v: np.ndarray) -> Hits:
        back = placed.back[SKY]
        a, b, c = (row[0] * u + (row[1] * v + row[2]) for row in back)
        return Hits(np.zeros(c.shape, np.int32), np.zeros(c.shape), a / c, b / c)

    def _see(self, hits: Hits, number: int, back: Float[np.ndarray, "3 3"], u: np.ndarray, v: np.ndarray) -> None:
        """Writes patch `number` into `hits`, wherever it is nearer than what is there."""
        nearness = back[2, 0] * u + (back[2, 1] * v + back[2, 2])
        nearer = (nearness > hits.nearness) & (nearness < 1 / _NEAR)
        if not nearer.any():
            return
        # Where it is not nearer the nearness may be 0 or of the other sign.
        depth = 1 / nearness[nearer]
        a, b = ((row[0] * u + (row[1] * v + row[2]))[nearer] * depth for row in back[:2])
        low_a, high_a, low_b, high_b = self._extent[number]
        there = (a >= low_a) & (a <= high_a) & (b >= low_b) & (b <= high_b)
        a, b = a[there], b[there]
        nearer[nearer] = there
        outline = self.looks[number].covers(a.astype(np.float32), b.astype(np.float32))
        if outline is not None:
            nearer[nearer] = outline
            a, b = a[outline], b[outline]
        hits.patch[nearer] = number
        hits.nearness[nearer] = nearness[nearer]
        hits.a[nearer] = a
        hits.b[nearer] = b


def _bounds(
    forward: Float[np.ndarray, "n 3 3"], extent: Float[np.ndarray, "n 4"], usable: Bool[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, "n"]]:
    """Boxes (least u, greatest u, least v, greatest v) around the patches, and their least depths."""
    boxes = np.tile((np.inf, 0.0, np.inf, 0.0), (len(forward), 1))  # of what is not there: off the frame
    depth = np.full(len(forward), np.inf)
    for number in np.flatnonzero(usable):
        low_a, high_a, low_b, high_b = extent[number]
        if number == SKY:
            continue
        corners = np.array([(low_a, high_a, high_a, low_a), (low_b, low_b, high_b, high_b), (1, 1, 1, 1)])
        u, v, s = forward[number] @ corners
        if s.max() <= _NEAR:
            continue
        if s.min() < _NEAR:
            u, v, s = _clipped(u, v, s)
        u, v = u / s, v / s
        boxes[number] = u.min(), u.max(), v.min(), v.max()
        depth[number] = s.min()
    return boxes, depth


def _clipped(u: np.ndarray, v: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The corners in front of the camera, and where the edges between the others cross into it: `[3, corners]`."""
    points = np.stack([u, v, s])
    following = np.roll(points, -1, 1)
    crossing = (s >= _NEAR) != (following[2] >= _NEAR)
    share = (_NEAR - s[crossing]) / (following[2] - s)[crossing]
    between = points[:, crossing] + share * (following - points)[:, crossing]
    return np.concatenate([points[:, s >= _NEAR], between], 1)
