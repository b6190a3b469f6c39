"""Random scale, crop, flip, colour and sharpness of labelled pictures, all from the generator given.

Pictures are uint8 RGB `[h, w, 3]` before and after, labels uint8 with 255 void. Flow pairs are in `augment.flow`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from dvsnet_jax.datasets.samples import VOID, LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import resize_image

FILL = (124, 117, 104)
"""What lies outside a picture, RGB: about the mean that the networks subtract."""
_GRAY = np.array((0.299, 0.587, 0.114), np.float32)


@dataclass(frozen=True, kw_only=True)
class ColorRange:
    """How far colours may change; 0 everywhere leaves them as they are."""

    brightness: float = 0.25
    """Light is multiplied by exp(±this)."""
    contrast: float = 0.25
    """Distance from the picture's mean is multiplied by exp(±this)."""
    saturation: float = 0.3
    """Distance from gray is multiplied by exp(±this)."""
    hue: float = 0.06
    """Colours turn around gray by up to this share of a full turn."""
    gamma: float = 0.2
    """The power is exp(±this)."""
    noise: float = 2.0
    """Greatest deviation of the noise added, 0..255."""

    def scaled(self, share: float) -> ColorRange:
        """The same kinds of change, all `share` times as large."""
        return ColorRange(**{name: share * value for name, value in vars(self).items()})


class ColorChange(NamedTuple):
    """One change of colour, drawn from a range; it can be applied to several pictures alike."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    gamma: float
    noise: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, limits: ColorRange) -> ColorChange:
        """Draws all of it, in one order, whether it is used or not."""
        spans = (limits.brightness, limits.contrast, limits.saturation, limits.hue, limits.gamma)
        b, c, s, h, g = (rng.uniform(-span, span) for span in spans)
        factors = (float(np.exp(b)), float(np.exp(c)), float(np.exp(s)), float(h), float(np.exp(g)))
        return cls(*factors, float(rng.uniform(0, limits.noise)), int(rng.integers(2**31)))

    def apply(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The picture in other colours; the noise is of this change's seed."""
        color = image.astype(np.float32) / 255
        # Gray stays and what is away from it turns and grows: one matrix, which is faster than its steps.
        gray = np.outer(_GRAY, np.ones(3, np.float32))
        matrix = gray + self.saturation * (np.eye(3, dtype=np.float32) - gray) @ _turn(self.hue).T
        mean = color.mean((0, 1)) @ _GRAY
        gain = np.float32(self.contrast * self.brightness)
        color = color @ (gain * matrix) + (np.float32(self.brightness) * mean - gain * mean)
        values = np.clip(color, 0, 1) ** np.float32(self.gamma) * np.float32(255)
        if self.noise:
            noise = np.random.default_rng(self.seed).standard_normal(image.shape, np.float32)
            values += np.float32(self.noise) * noise
        return np.clip(values + 0.5, 0, 255).astype(np.uint8)


class SharpnessChange(NamedTuple):
    """A picture made softer, as a small one is that was enlarged, or sharper, as cameras and encoders do."""

    smaller: tuple[float, float]
    """Softer: down and across the picture is made so many times smaller, then as large as before; 1 is as it was."""
    amount: float
    """Sharper: its difference from the same at half size is added so many times; 0 is as it was."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SharpnessChange:
        """Softer by up to 2.5, down and across apart, or sharper by up to 1.5, as often one as the other."""
        soft, smaller, amount = rng.random() < 0.5, rng.uniform(1, 2.5, 2), rng.uniform(0.2, 1.5)
        return cls((float(smaller[0]), float(smaller[1])), 0.0) if soft else cls((1.0, 1.0), float(amount))

    def apply(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The picture, softer or sharper."""
        if self.amount:
            away = image.astype(np.float32) - _smaller_and_back(image, (2.0, 2.0))
            return np.clip(image + np.float32(self.amount) * away + 0.5, 0, 255).astype(np.uint8)
        return _smaller_and_back(image, self.smaller)


@dataclass(frozen=True, kw_only=True)
class LabelledAugmentation:
    """What `augment_labelled` may do."""

    crop: tuple[int, int] = (321, 321)
    """Height and width of what comes out."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Least and greatest; drawn evenly on a logarithmic scale."""
    stretch: float = 0.1
    """Width over height is multiplied by exp(±this)."""
    flip: float = 0.5
    """Chance of left and right changing places."""
    color: ColorRange = field(default_factory=ColorRange)
    sharpness: float = 0.0
    """Chance of a picture becoming softer or sharper (`SharpnessChange`)."""
    tries: int = 1
    """So many crops are drawn, and the one with the greatest variety of classes is taken: the sum over classes of the
    square root of their share of its pixels. Thin and rare things are seen more often, void corners less."""

    def __post_init__(self) -> None:
        if min(self.crop) < 1 or not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"{self}: crop is two sizes of at least 1, scale is 0 < least ≤ greatest")
        if not 0 <= self.sharpness <= 1 or self.tries < 1:
            raise InputError(f"{self}: sharpness is a chance from 0 to 1, tries at least 1")


def augment_labelled(sample: LabelledImage, rng: np.random.Generator, limits: LabelledAugmentation) -> LabelledImage:
    """The sample scaled, cropped, flipped and in other colours: `crop` high and wide, whatever its own size.

    The picture is resized bilinearly (averaged where it shrinks), the labels take the nearest pixel. Outside of the
    sample the picture is `FILL` and the labels are void.
    """
    places = [_Place.draw(rng, limits, sample.labels.shape) for _ in range(limits.tries)]
    place = places[0] if len(places) == 1 else max(places, key=lambda place: place.variety(sample.labels))
    flip = rng.random() < limits.flip
    color = ColorChange.draw(rng, limits.color)
    sharpness = SharpnessChange.draw(rng) if rng.random() < limits.sharpness else None

    picture, labels = place.cut(sample)
    if flip:
        picture, labels = picture[:, ::-1], np.ascontiguousarray(labels[:, ::-1])
    if sharpness:
        picture = sharpness.apply(np.ascontiguousarray(picture))
    return LabelledImage(color.apply(picture), labels)


class _Place(NamedTuple):
    """Where a crop lies in a sample that is resized."""

    size: tuple[int, int]
    """Height and width of the whole sample then."""
    top: int
    left: int
    crop: tuple[int, int]

    @classmethod
    def draw(cls, rng: np.random.Generator, limits: LabelledAugmentation, shape: tuple[int, ...]) -> _Place:
        scale = np.exp(rng.uniform(*np.log(limits.scale)))
        stretch = np.exp(rng.uniform(-limits.stretch, limits.stretch) / 2)
        size = max(1, round(shape[0] * scale / stretch)), max(1, round(shape[1] * scale * stretch))
        # How many pixels there are too many, below 0 too few: the crop starts anywhere in between.
        room = size[0] - limits.crop[0], size[1] - limits.crop[1]
        top, left = (int(np.floor(rng.uniform(min(0, r), max(0, r) + 1))) for r in room)
        return cls(size, top, left, limits.crop)

    def variety(self, labels: UInt8[np.ndarray, "h w"]) -> float:
        """Of the classes in the crop, looked at every fourth pixel."""
        rows, columns = self._sources(labels)
        counts = np.bincount(labels[rows[::4, None], columns[::4]].ravel(), minlength=256)[:VOID]
        return float(np.sqrt(counts * 16 / np.prod(self.crop)).sum())

    def cut(self, sample: LabelledImage) -> LabelledImage:
        """The crop: the picture resized, the labels of the nearest pixels."""
        rows, columns = self._inside()
        to = (
            slice(rows.start - self.top, rows.stop - self.top),
            slice(columns.start - self.left, columns.stop - self.left),
        )
        picture = np.empty((*self.crop, 3), np.uint8)
        picture[:] = FILL
        picture[to] = resize_image(sample.image, self.size)[rows, columns]
        labels = np.full(self.crop, VOID, np.uint8)
        from_rows, from_columns = self._sources(sample.labels)
        labels[to] = sample.labels[from_rows[:, None], from_columns]
        return LabelledImage(picture, labels)

    def _inside(self) -> tuple[slice, slice]:
        """Rows and columns of the resized sample that the crop has."""
        return _kept(self.top, self.crop[0], self.size[0]), _kept(self.left, self.crop[1], self.size[1])

    def _sources(self, labels: UInt8[np.ndarray, "h w"]) -> tuple[Int[np.ndarray, "rows"], Int[np.ndarray, "columns"]]:
        """The same rows and columns in the sample as it was."""
        rows, columns = (
            ((np.arange(kept.start, kept.stop) + 0.5) * old / new).astype(int)
            for kept, old, new in zip(self._inside(), labels.shape, self.size, strict=True)
        )
        return rows, columns


def _smaller_and_back(image: UInt8[np.ndarray, "h w 3"], times: tuple[float, float]) -> UInt8[np.ndarray, "h w 3"]:
    height, width = image.shape[:2]
    small = max(1, round(height / times[0])), max(1, round(width / times[1]))
    return resize_image(resize_image(image, small), (height, width))


def _kept(start: int, length: int, size: int) -> slice:
    """The part of start … start+length that lies within 0 … size."""
    return slice(max(0, start), max(0, min(size, start + length)))


def _turn(share: float) -> Float[np.ndarray, "3 3"]:
    """Turns a colour about the gray axis by a share of a full turn (Rodrigues)."""
    angle = 2 * np.pi * share
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.cross(np.eye(3), axis)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    return turn.astype(np.float32)
