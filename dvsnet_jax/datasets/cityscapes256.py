"""Cityscapes' labelled photos packed small: squares of 256×256, numbered in order, their labels already train ids.

    root/train/0001.jpg         a photo; its whole view of 2:1 is squashed to a square
    root/trainannot/0001.png    its labels, of the same size: train ids 0..18, 255 void
    root/val/0001.jpg …         the same of val

Names are numbers of four digits, which follow the split in alphabetical order of its cities, so a number tells the
city: train's 2,975 photos are aachen 1–174, bochum 175–270, … zurich 2854–2975; val's 500 are frankfurt 1–267,
lindau 268–326, munster 327–500. Numbers may be missing. Pictures come out at 256×512: the view that the camera had.

In this form the photos circulate as pairs for image translation (Isola et al., Image-to-image translation, 2017), and
their labels were colours in a JPEG. Read back, a pixel is void where its colour was unclear, at outlines more than
inside; and at outlines two colours mixed give a third, which is another class's: rims of truck around cars, of wall
between building and sky, of pole along kerbs. `clean` makes void what is too narrow to be anything else: what goes when
a class is opened by a rectangle (`NARROW`). On six photos whose true labels are at hand that raises the share of right
pixels among those labelled wall from .28 to .87 (kept: .91 of the right ones), pole .62 to .94 (.95), building .973 to
.995 (.997), fence .89 to .95 (.98), bicycle .51 to .77 (.98); of 299 pixels labelled truck, none of them right, and 64
labelled bus or train, none is left.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.samples import VOID, LabelledFile, LabelledImage, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name, resize_image, resize_labels
from dvsnet_jax.media.reading.names import in_order

_LAST = {
    "train": {
        "aachen": 174, "bochum": 270, "bremen": 586, "cologne": 740, "darmstadt": 825, "dusseldorf": 1046,
        "erfurt": 1155, "hamburg": 1403, "hanover": 1599, "jena": 1718, "krefeld": 1817, "monchengladbach": 1911,
        "strasbourg": 2276, "stuttgart": 2472, "tubingen": 2616, "ulm": 2711, "weimar": 2853, "zurich": 2975,
    },
    "val": {"frankfurt": 267, "lindau": 326, "munster": 500},
}  # fmt: skip
CITIES = {
    split: {
        city: range(before + 1, last + 1)
        for before, (city, last) in zip((0, *ends.values()), ends.items(), strict=False)
    }
    for split, ends in _LAST.items()
}
"""The numbers of each city's photos, by split."""

NARROW = {
    "pole": (3, 1),
    **dict.fromkeys(("building", "fence", "motorcycle", "bicycle"), (2, 2)),
    **dict.fromkeys(("wall", "truck", "bus", "train"), (3, 3)),
}
"""Height and width, in pixels of the square, of what `cleaned` takes a thing of a class to hold at least."""


@dataclass(frozen=True)
class Widened(Sequence[LabelledImage]):
    """Square pictures twice as wide: 256×512. The picture is resized bilinearly, each label stands twice."""

    source: Sequence[LabelledImage]
    clean: bool = False
    """Labels are `cleaned` first."""

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        image, labels = self.source[index]
        labels = cleaned(labels) if self.clean else labels
        size = labels.shape[0], 2 * labels.shape[1]
        return LabelledImage(resize_image(image, size), resize_labels(labels, size))


def cleaned(labels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Labels of a square without the rims that mixed colours left: pixels too narrow for their class are void."""
    result = labels.copy()
    for name, (height, width) in NARROW.items():
        there = labels == CLASSES.index(name)
        if there.any():
            result[there & ~_opened(there, height, width)] = VOID
    return result


def list_labelled(
    root: str | os.PathLike[str], split: str, *, cities: Collection[str] | None = None
) -> list[LabelledFile]:
    """The photos of a split with their labels in order of their numbers, named city_number: zurich_2854.

    They are squares as they lie there; `Widened` gives them their view back. Raises `InputError` for another split than
    train and val, a city that is not of it, a missing folder, a file whose name is no number of the split, a photo
    without labels, and where nothing is found.
    """
    if split not in CITIES:
        raise InputError(f"{split!r} is no split of the packed Cityscapes photos, expected {' or '.join(CITIES)}")
    check_cities(split, cities or ())
    folder = folder_of(
        Path(root) / split, "the packed Cityscapes photos: train, trainannot, val or valannot in one root"
    )
    found = []
    for path in in_order(path for path in folder.iterdir() if is_image_name(path)):
        city = _city(path, split)
        if cities is None or city in cities:
            labels = Path(root) / f"{split}annot" / f"{path.stem}.png"
            found.append(LabelledFile(f"{city}_{path.stem}", path, labels, tuple(range(len(CLASSES)))))
    if not found:
        raise InputError(
            f"{folder}: has no photo of {', '.join(cities or ['any city'])}; check the root and the cities"
        )
    check_files((file.labels for file in found), "the labels of each photo")
    return found


def chosen_cities(split: str, names: Iterable[str]) -> list[str]:
    """The cities that a list names: these alone, or with a minus before each of them all others.

    Raises `InputError` for an unknown city or split, an empty name, and a list that names some with a minus and some
    without.
    """
    names = list(names)
    if split not in CITIES:
        raise InputError(f"{split!r} is no split of the packed Cityscapes photos, expected {' or '.join(CITIES)}")
    without = [name.startswith("-") for name in names]
    plain = [name.removeprefix("-") for name in names]
    check_cities(split, plain)
    if any(without) and not all(without):
        raise InputError(f"{','.join(names)}: names cities and leaves out others, expected one of the two")
    return [city for city in CITIES[split] if (city in plain) != all(without)] if names else list(CITIES[split])


def check_cities(split: str, names: Iterable[str]) -> None:
    """Raises `InputError` for a name that is no city of the split."""
    if unknown := [name for name in names if name not in CITIES[split]]:
        raise InputError(
            f"{', '.join(map(repr, unknown))}: no city of Cityscapes' {split}, expected some of "
            f"{', '.join(CITIES[split])}"
        )


def _opened(mask: Bool[np.ndarray, "h w"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Where rectangles of that size fit that lie in the mask altogether (a morphological opening)."""
    rows, columns = mask.shape[0] - height + 1, mask.shape[1] - width + 1
    shifts = [(slice(y, y + rows), slice(x, x + columns)) for y in range(height) for x in range(width)]
    fits = np.logical_and.reduce([mask[shift] for shift in shifts])
    result = np.zeros_like(mask)
    for shift in shifts:
        result[shift] |= fits
    return result


def _city(path: Path, split: str) -> str:
    if len(path.stem) == 4 and path.stem.isdecimal():
        for city, numbers in CITIES[split].items():
            if int(path.stem) in numbers:
                return city
    last = max(_LAST[split].values())
    raise InputError(f"{path}: is no number of a photo of {split}, expected 0001 to {last:04d}; remove or rename it")
