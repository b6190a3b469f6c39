"""Random scale, crop, flip and colour of labelled pictures. Everything random comes from the generator given.

Pictures are uint8 RGB `[h, w, 3]` before and after, labels uint8 with 255 void. Flow pairs are in `augment_flow`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

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

    def __post_init__(self) -> None:
        if min(self.crop) < 1 or not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"{self}: crop is two sizes of at least 1, scale is 0 < least ≤ greatest")


def augment_labelled(sample: LabelledImage, rng: np.random.Generator, limits: LabelledAugmentation) -> LabelledImage:
    """The sample scaled, cropped, flipped and in other colours: `crop` high and wide, whatever its own size.

    The picture is resized bilinearly (averaged where it shrinks), the labels take the nearest pixel. Outside of the
    sample the picture is `FILL` and the labels are void.
    """
    scale = np.exp(rng.uniform(*np.log(limits.scale)))
    stretch = np.exp(rng.uniform(-limits.stretch, limits.stretch) / 2)
    height, width = sample.labels.shape
    size = max(1, round(height * scale / stretch)), max(1, round(width * scale * stretch))
    # How many pixels there are too many, below 0 too few: the crop starts anywhere in between.
    room = size[0] - limits.crop[0], size[1] - limits.crop[1]
    top, left = (int(np.floor(rng.uniform(min(0, r), max(0, r) + 1))) for r in room)
    flip = rng.random() < limits.flip
    color = ColorChange.draw(rng, limits.color)

    image = resize_image(sample.image, size)
    rows = _kept(top, limits.crop[0], size[0])
    columns = _kept(left, limits.crop[1], size[1])
    to_rows, to_columns = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    picture = np.empty((*limits.crop, 3), np.uint8)
    picture[:] = FILL
    labels = np.full(limits.crop, VOID, np.uint8)
    picture[to_rows, to_columns] = image[rows, columns]
    from_rows = ((np.arange(rows.start, rows.stop) + 0.5) * height / size[0]).astype(int)
    from_columns = ((np.arange(columns.start, columns.stop) + 0.5) * width / size[1]).astype(int)
    labels[to_rows, to_columns] = sample.labels[from_rows[:, None], from_columns]
    if flip:
        picture, labels = picture[:, ::-1], labels[:, ::-1]
    return LabelledImage(color.apply(picture), np.ascontiguousarray(labels))


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
