"""Labels as colours. Arrays are numpy: pictures uint8 RGB `[height, width, 3]`, labels uint8 train ids."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt8

from dvsnet_jax.media.products.region_arrays import region_boxes

CITYSCAPES_COLORS = (
    (128, 64, 128),  # road
    (244, 35, 232),  # sidewalk
    (70, 70, 70),  # building
    (102, 102, 156),  # wall
    (190, 153, 153),  # fence
    (153, 153, 153),  # pole
    (250, 170, 30),  # traffic light
    (220, 220, 0),  # traffic sign
    (107, 142, 35),  # vegetation
    (152, 251, 152),  # terrain
    (70, 130, 180),  # sky
    (220, 20, 60),  # person
    (255, 0, 0),  # rider
    (0, 0, 142),  # car
    (0, 0, 70),  # truck
    (0, 60, 100),  # bus
    (0, 80, 100),  # train
    (0, 0, 230),  # motorcycle
    (119, 11, 32),  # bicycle
)
"""Red, green, blue of Cityscapes' 19 train ids, as its own scripts have them."""

# Where the original's colours are one off Cityscapes'.
_ORIGINAL_COLORS = {
    1: (244, 35, 231),
    2: (69, 69, 69),
    6: (250, 170, 29),
    7: (219, 219, 0),
    8: (106, 142, 35),
    9: (152, 250, 152),
    10: (69, 129, 180),
    11: (219, 19, 60),
    14: (0, 0, 69),
    16: (0, 79, 100),
    18: (119, 10, 32),
}
_SEGMENTED_OUTLINE = (255, 176, 0)


def label_palette(
    num_classes: int = 19, colors: Literal["cityscapes", "original"] = "cityscapes"
) -> UInt8[np.ndarray, "256 3"]:
    """The colour of every label from 0 to 255.

    `original` has the original's colours, eleven of which are one off Cityscapes'. Classes past the 19 of Cityscapes
    get colours of their own, bright and far apart. Labels of no class (255 is void) are black.
    """
    if colors not in ("cityscapes", "original"):
        raise ValueError(f"colors is {colors!r}; it is 'cityscapes' or 'original'")
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(CITYSCAPES_COLORS)] = CITYSCAPES_COLORS
    if colors == "original":
        palette[list(_ORIGINAL_COLORS)] = list(_ORIGINAL_COLORS.values())
    for label in range(len(CITYSCAPES_COLORS), min(num_classes, 255)):
        # Steps of the golden angle never come back to a hue; brightness alternates to part neighbours further.
        hue, value = label * 0.618034 % 1, (1.0, 0.7, 0.85)[label % 3]
        palette[label] = np.round(np.multiply(colorsys.hsv_to_rgb(hue, 0.75, value), 255))
    return palette


def colorize(labels: UInt8[np.ndarray, "*shape"], palette: UInt8[np.ndarray, "256 3"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Labels of any shape as colours."""
    return palette[labels]


def overlay(
    image: UInt8[np.ndarray, "height width 3"],
    labels: UInt8[np.ndarray, "height width"],
    palette: UInt8[np.ndarray, "256 3"],
    *,
    opacity: float = 0.5,
) -> UInt8[np.ndarray, "height width 3"]:
    """The image under the colours of its labels; where a label is black (void) the image stays as it is."""
    weight = np.where(palette.any(axis=1), round(256 * opacity), 0).astype(np.uint16)
    # Both tables are looked up once per pixel; the products fit 16 bits: 255 · 256 < 65536.
    weighted = palette * weight[:, None]
    return ((image * (256 - weight)[labels][..., None] + weighted[labels]) >> 8).astype(np.uint8)


def outline_regions(
    picture: UInt8[np.ndarray, "height width 3"],
    segmented: Bool[np.ndarray, "regions"],
    regions: tuple[int, int],
    borders: tuple[Sequence[int], Sequence[int]] | None = None,
) -> None:
    """Draws on `picture` which regions were segmented: thick and amber; the warped ones get a thin white outline.

    `regions` is (rows, columns). Outlines follow the `borders` between regions (`RegionGrid.borders`), not their
    overlaps; evenly spaced ones if not given.
    """
    thin = max(1, picture.shape[0] // 360)
    boxes = region_boxes(picture.shape[0], picture.shape[1], regions, borders)
    for chosen, (top, left, bottom, right) in zip(segmented, boxes, strict=True):
        box = picture[top:bottom, left:right]
        line = 3 * thin if chosen else thin
        for edge in (box[:line], box[-line:], box[:, :line], box[:, -line:]):
            # A warped region's outline lets the picture through, so that the eye goes to the others.
            edge[:] = _SEGMENTED_OUTLINE if chosen else edge // 2 + 128


def beside(
    left: UInt8[np.ndarray, "height w1 3"], right: UInt8[np.ndarray, "height w2 3"]
) -> UInt8[np.ndarray, "height w1+w2 3"]:
    """Two pictures of one height next to each other."""
    return np.concatenate([left, right], axis=1)
