"""Flow pairs made of pictures: pieces of some fly over others, as in FlyingChairs, so that the true flow is known.

Dosovitskiy et al., "FlowNet: Learning Optical Flow with Convolutional Networks", ICCV 2015, section 4.1: a background
and a few objects, each under an affine motion of its own on top of the background's. Here the objects are pieces of
pictures with smooth random outlines, so any folder of pictures will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dvsnet_jax.datasets.clips import current_frames
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.opencv import opencv

Affine = Float[np.ndarray, "3 3"]

MOST_OBJECTS = 12
_RAYS = 64  # corners of an outline


class FlyingPairs(Sequence[FlowPair]):
    """`count` pairs of (height, width), valid everywhere; the same seed and number give the same pair.

    `pictures` are drawn from for backgrounds and objects; their labels are not looked at. Shifts are as often small as
    large: their scale is drawn evenly on a logarithmic scale from 0.2 to 8 % of the width, once for a pair.
    """

    def __init__(
        self, count: int, height: int, width: int, *, seed: int, pictures: Sequence[Sequence[LabelledImage]]
    ) -> None:
        """Raises InputError for sizes below 32, a negative count, and where there is no picture."""
        if count < 0 or min(height, width) < 32:
            raise InputError(f"{count} pairs of {height}×{width}: expected 0 or more, of at least 32×32")
        self._places = [(clip, index) for clip in pictures for index in current_frames(clip, (0, 0))]
        if not self._places:
            raise InputError("no picture to make flow pairs of; name clips or folders that have some")
        self._count, self.size, self.seed = count, (height, width), seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> FlowPair:  # type: ignore[override]  # no slices
        if not 0 <= index < self._count:
            raise IndexError(index)
        cv2, rng = opencv("making flow pairs of pictures"), np.random.default_rng((self.seed, index))
        height, width = self.size
        shift = width * np.exp(rng.uniform(np.log(0.002), np.log(0.08)))
        middle = np.array([width - 1, height - 1]) / 2

        motion = _motion(rng, middle, shift, zoom=0.05, turn=3.0)
        # The background reaches past the frame as far as the picture does; beyond, it is mirrored.
        picture = self._picture(rng)
        fit = max(height / picture.shape[0], width / picture.shape[1]) * rng.uniform(1.0, 1.4)
        origin = (np.array(picture.shape[1::-1]) - 1) / 2
        placed = _affine(fit, rng.uniform(-8, 8), origin, middle)
        first, second = (_paint(cv2, picture, to, self.size) for to in (placed, motion @ placed))
        flow = _flow(motion, self.size)

        for _ in range(int(rng.integers(2, MOST_OBJECTS + 1))):
            picture = self._picture(rng)
            radius = float(np.exp(rng.uniform(np.log(0.06), np.log(0.3))) * min(height, width))
            centre = rng.uniform(0, 1, 2) * (width, height)
            own = _motion(rng, centre, shift, zoom=0.1, turn=8.0)
            scale = rng.uniform(0.6, 1.4) * max(2.2 * radius / min(picture.shape[:2]), 0.4)
            within = radius / scale
            room = np.maximum(np.array(picture.shape[1::-1]) - 2 * within, 0)
            placed = _affine(scale, rng.uniform(-25, 25), within + room * rng.uniform(0, 1, 2), centre)
            outline = _outline(rng, centre, radius)
            covers = []
            for image, to in ((first, np.eye(3)), (second, motion @ own)):
                cover = _cover(cv2, outline @ to[:2, :2].T + to[:2, 2], self.size)
                image += cover[..., None] * (_paint(cv2, picture, to @ placed, self.size) - image)
                covers.append(cover)
            flow = np.where((covers[0] > 0.5)[..., None], _flow(motion @ own, self.size), flow)
        first, second = (np.clip(image + 0.5, 0, 255).astype(np.uint8) for image in (first, second))
        return FlowPair(first, second, flow.astype(np.float32), np.ones(self.size, bool))

    def _picture(self, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
        clip, index = self._places[int(rng.integers(len(self._places)))]
        return clip[index].image


def _motion(rng: np.random.Generator, about: Float[np.ndarray, "2"], shift: float, zoom: float, turn: float) -> Affine:
    """First frame → second frame: zoom and turn about a point (deviations; degrees), and a shift."""
    return _affine(
        float(np.exp(rng.normal(0, zoom))), float(rng.normal(0, turn)), about, about + rng.normal(0, shift, 2)
    )


def _affine(scale: float, degrees: float, origin: Float[np.ndarray, "2"], target: Float[np.ndarray, "2"]) -> Affine:
    """(x, y, 1) → scaled and turned about `origin`, which comes to lie on `target`."""
    sin, cos = scale * np.sin(np.deg2rad(degrees)), scale * np.cos(np.deg2rad(degrees))
    linear = np.array([(cos, -sin), (sin, cos)])
    affine = np.eye(3)
    affine[:2, :2], affine[:2, 2] = linear, target - linear @ origin
    return affine


def _paint(cv2: Any, picture: np.ndarray, to: Affine, size: tuple[int, int]) -> Float[np.ndarray, "h w 3"]:
    """The picture where `to` puts it; areas are averaged where it shrinks to less than two thirds."""
    shrink = 1 / np.sqrt(abs(np.linalg.det(to[:2, :2])))
    if shrink > 1.5:
        size_before = np.array(picture.shape[1::-1])
        small = cv2.resize(
            picture, [max(1, round(side / shrink)) for side in size_before], interpolation=cv2.INTER_AREA
        )
        by = size_before / np.array(small.shape[1::-1])
        grown = np.diag([*by, 1.0])
        grown[:2, 2] = (by - 1) / 2  # from the middle of a small pixel to the middle of those it is the mean of
        picture, to = small, to @ grown
    flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
    return cv2.warpAffine(picture, to[:2], size[::-1], **flags).astype(np.float32)


def _outline(rng: np.random.Generator, centre: Float[np.ndarray, "2"], radius: float) -> Float[np.ndarray, "k 2"]:
    """A closed curve about `centre` that is never farther from it than `radius`: waves of a few lengths around it."""
    angle = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)
    waves = sum(
        rng.normal(0, 0.35 / number) * np.cos(number * angle + rng.uniform(0, 2 * np.pi)) for number in range(1, 7)
    )
    length = radius * np.clip(0.65 + waves, 0.15, 1.0)
    stretch = np.exp(rng.uniform(-0.7, 0.0, 2))
    return centre + stretch * length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)


def _cover(cv2: Any, outline: Float[np.ndarray, "k 2"], size: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """How much of each pixel lies inside, 0 to 1."""
    mask = np.zeros(size, np.uint8)
    fixed = np.round(outline * 16).astype(np.int32)  # in sixteenths of a pixel
    cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255


def _flow(motion: Affine, size: tuple[int, int]) -> Float[np.ndarray, "h w 2"]:
    x, y = np.meshgrid(np.arange(size[1], dtype=float), np.arange(size[0], dtype=float))
    return np.stack([x, y, np.ones(size)], -1) @ motion[:2].T - np.stack([x, y], -1)
