"""Looks of the drawn street's things: cut-outs of simple shapes, and the crowns of trees and bushes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dvsnet_jax.datasets.street.textures import Noise

Values = Float[np.ndarray, "n"]
Color = tuple[float, ...]
Painted = tuple[Float[np.ndarray, "n 3"], UInt8[np.ndarray, "n"]]


PAINTS = (
    (0.08, 0.08, 0.09), (0.75, 0.76, 0.78), (0.86, 0.86, 0.85), (0.45, 0.47, 0.5), (0.5, 0.06, 0.07), (0.1, 0.17, 0.42),
    (0.2, 0.22, 0.25), (0.62, 0.55, 0.42), (0.12, 0.3, 0.2), (0.78, 0.55, 0.1),
)  # fmt: skip
"""Colours of vehicles and cycles."""
STEEL, TYRE, WHITE = (0.45, 0.46, 0.47), (0.06, 0.06, 0.065), (0.88, 0.88, 0.86)


class Part(NamedTuple):
    """One shape of a cut-out, metres in the coordinates of its patch."""

    kind: Literal["box", "oval", "polygon"]
    corners: tuple[float, ...]
    """Box and oval: least a, greatest a, least b, greatest b. Polygon: a0, b0, a1, b1, …, convex."""
    color: Color
    """RGB 0..1."""
    label: int | None = None
    """Train id; None: it is painted on what is below and adds nothing to the outline."""
    roughness: float = 0.08
    """How much the surface's noise changes its brightness, a share."""

    def covers(self, a: Values, b: Values) -> Bool[np.ndarray, "n"]:
        if self.kind == "polygon":
            places = list(zip(self.corners[::2], self.corners[1::2], strict=True))
            left_of = right_of = np.ones(len(a), bool)
            for (x0, y0), (x1, y1) in zip(places, [*places[1:], places[0]], strict=True):
                turn = (x1 - x0) * (b - y0) - (y1 - y0) * (a - x0)
                left_of, right_of = left_of & (turn >= 0), right_of & (turn <= 0)
            return left_of | right_of
        left, right, low, high = self.corners
        if self.kind == "box":
            return (a >= left) & (a <= right) & (b >= low) & (b <= high)
        x, y = (2 * a - left - right) / (right - left), (2 * b - low - high) / (high - low)
        return x * x + y * y <= 1


def box(left: float, right: float, low: float, high: float, color: Color, label: int | None = None) -> Part:
    """A rectangle; metres in the plane of its cutout, colours 0..1."""
    return Part("box", (left, right, low, high), color, label)


def oval(left: float, right: float, low: float, high: float, color: Color, label: int | None = None) -> Part:
    """The ellipse that fills a rectangle; metres in the plane of its cutout, colours 0..1."""
    return Part("oval", (left, right, low, high), color, label)


def polygon(corners: Sequence[tuple[float, float]], color: Color, label: int | None = None) -> Part:
    """A convex polygon; corners (x, height) in metres in the plane of its cutout, colours 0..1."""
    return Part("polygon", tuple(value for corner in corners for value in corner), color, label)


class Cutout:
    """Parts from back to front; it is there where a part with a label is."""

    def __init__(self, noise: Noise, parts: Sequence[Part], *, shade: float = 1.0, grain: float = 0.02) -> None:
        self.noise, self.parts, self.shade, self.grain = noise, tuple(parts), shade, grain
        self._offset = 17.3 * len(self.parts) + 5.1 * sum(self.parts[0].color)

    def covers(self, a: Values, b: Values) -> Bool[np.ndarray, "n"] | None:
        return np.logical_or.reduce([part.covers(a, b) for part in self.parts if part.label is not None])

    def paint(self, a: Values, b: Values, seen_a: Values, seen_b: Values) -> Painted:
        color, label = np.zeros((len(a), 3), np.float32), np.zeros(len(a), np.uint8)
        rough = np.zeros(len(a), np.float32)
        for part in self.parts:
            where = part.covers(a, b)
            color[where] = part.color
            rough[where] = part.roughness
            if part.label is not None:
                label[where] = part.label
        clouds = self.noise.at(a + self._offset, b, self.grain, np.sqrt(seen_a * seen_b))
        return color * ((1 + rough * clouds) * self.shade)[:, None], label


class Crown:
    """Leaves in a round outline that noise frays: the crown of a tree, or a bush."""

    def __init__(
        self,
        noise: Noise,
        *,
        radius: tuple[float, float],
        middle: float,
        color: Color,
        trunk: float,
        label: int,
        offset: float,
    ) -> None:
        self.noise, self.radius, self.middle = noise, radius, middle
        self.color, self.trunk, self.label, self.offset = np.array(color, np.float32), trunk, label, offset

    def covers(self, a: Values, b: Values) -> Bool[np.ndarray, "n"] | None:
        # The outline is looked up at full detail from anywhere, so that it does not change with the distance.
        fray = self.noise.at(a + self.offset, b, 0.035, np.zeros_like(a))
        x, y = a / self.radius[0], (b - self.middle) / self.radius[1]
        return (x * x + y * y + 0.3 * fray < 1) | self._on_trunk(a, b)

    def paint(self, a: Values, b: Values, seen_a: Values, seen_b: Values) -> Painted:
        seen = np.sqrt(seen_a * seen_b)
        fine = self.noise.at(a + self.offset, b, 0.02, seen)
        lumps = self.noise.at(a, b + self.offset, 0.09, seen)
        height = np.clip((b - self.middle) / self.radius[1], -1, 1)
        light = np.clip(0.85 + 0.22 * height + 0.3 * lumps + 0.28 * fine, 0.1, 2)
        color = self.color * light[:, None]
        x, y = a / self.radius[0], (b - self.middle) / self.radius[1]
        wood = self._on_trunk(a, b) & (x * x + y * y > 0.55)
        color[wood] = np.array((0.26, 0.21, 0.17), np.float32) * (1 + 0.3 * fine[wood])[:, None]
        return color, np.full(len(a), self.label, np.uint8)

    def _on_trunk(self, a: Values, b: Values) -> Bool[np.ndarray, "n"]:
        return (np.abs(a) < self.trunk * (1.25 - 0.1 * b)) & (b < self.middle)
