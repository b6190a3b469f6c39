"""Data sets named on a command line: `camvid:ROOT:train`; several one after another, smaller, or kept in memory.

    camvid:ROOT:SPLIT                  train, val or test, as Cityscapes' train ids
    cityscapes:ROOT:SPLIT[:LABELS]     LABELS is gtFine (default), gtCoarse or pseudo
    folder:FRAMES:LABELS               your own: label PNGs with train ids, 255 void
    street:COUNT:SEED[:HEIGHTxWIDTH]   procedural street scenes, 256x512

After any of them @0.5 makes pictures half as high and wide, before anything else is done with them. A set named twice
counts twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from dvsnet_jax.datasets import camvid, cityscapes, folders
from dvsnet_jax.datasets.combined import Concatenated, Remembered
from dvsnet_jax.datasets.samples import LabelledFile, LabelledFiles, LabelledImage
from dvsnet_jax.datasets.specs import parse
from dvsnet_jax.datasets.street.sources import StreetFrames
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import resize_image, resize_labels

Number = TypeVar("Number", int, float)

FORMS = (
    "camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT[:LABELS], folder:FRAMES:LABELS or street:COUNT:SEED[:HxW], then @SCALE"
)


@dataclass(frozen=True)
class Scaled(Sequence[LabelledImage]):
    """A source whose pictures are resized: bilinearly (averaged where they shrink), labels to the nearest pixel."""

    source: Sequence[LabelledImage]
    scale: float

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        image, labels = self.source[index]
        height, width = (max(1, round(side * self.scale)) for side in labels.shape)
        return LabelledImage(resize_image(image, (height, width)), resize_labels(labels, (height, width)))


def labelled_set(
    spec: str, *, num_classes: int = 19, hold_out: Collection[str] = (), only: Collection[str] = ()
) -> Sequence[LabelledImage]:
    """The data set that a spec names, in the forms above, labels as train ids.

    `hold_out` and `only` choose among files by the beginning of their names (`aachen_000004`); a set of which nothing
    is left is an error. Raises InputError for a spec that has none of the forms, and as the readers do.
    """
    kind, rest, scale = parse(spec, FORMS)
    words = rest.split(":")
    source: Sequence[LabelledImage]
    if kind == "street" and len(words) in (2, 3):
        sides = (words[2] if len(words) == 3 else "256x512").split("x")
        if len(sides) != 2:
            raise InputError(f"{spec!r}: {words[2]!r} is no size; expected {FORMS}")
        height, width = (_number(int, side, spec) for side in sides)
        source = StreetFrames(_number(int, words[0], spec), height, width, seed=_number(int, words[1], spec))
    else:
        files = [
            file for file in _files(kind, words, spec, num_classes)
            if not file.name.startswith(tuple(hold_out) or "\0") and file.name.startswith(tuple(only) or "")
        ]  # fmt: skip
        if not files:
            raise InputError(f"{spec}: nothing is left of it without {', '.join(hold_out)}; hold out less")
        source = LabelledFiles(files)
    return source if scale == 1 else Scaled(source, scale)


def labelled_sets(
    specs: Iterable[str], *, num_classes: int = 19, hold_out: Collection[str] = (), in_memory: bool = False
) -> Sequence[LabelledImage]:
    """Several data sets as one. Raises InputError, besides, for a name to hold out that none of them has."""
    specs = list(specs)
    for name in hold_out:
        if not any(_has(spec, name, num_classes) for spec in specs):
            raise InputError(
                f"{name}: to be held out, but no file of {', '.join(specs)} is called so; correct the name"
            )
    sources = [labelled_set(spec, num_classes=num_classes, hold_out=hold_out) for spec in specs]
    together = sources[0] if len(sources) == 1 else Concatenated(tuple(sources))
    return Remembered(together) if in_memory else together


def _has(spec: str, name: str, num_classes: int) -> bool:
    kind, rest, _ = parse(spec, FORMS)
    files = [] if kind == "street" else _files(kind, rest.split(":"), spec, num_classes)
    return any(file.name.startswith(name) for file in files)


def count_pixels(source: Sequence[LabelledImage], num_classes: int, *, most: int = 400) -> Int[np.ndarray, "classes"]:
    """Labelled pixels of each class, over at most so many pictures taken at even distances.

    Raises InputError for a label that is neither a class nor 255.
    """
    counts = np.zeros(256, np.int64)
    for index in np.unique(np.linspace(0, len(source) - 1, min(most, len(source))).astype(int)):
        counts += np.bincount(source[int(index)].labels.ravel(), minlength=256)
    if strange := np.flatnonzero(counts[num_classes:255]).tolist():
        raise InputError(
            f"there are labels {', '.join(str(num_classes + label) for label in strange[:5])}, expected 0 to "
            f"{num_classes - 1} or 255 for void; choose --num-classes or correct the labels"
        )
    return counts[:num_classes]


def _files(kind: str, words: list[str], spec: str, num_classes: int) -> list[LabelledFile]:
    if kind == "camvid" and len(words) == 2:
        own = camvid.OWN_IDS if num_classes == len(camvid.CLASSES) else camvid.TRAIN_IDS
        return camvid.list_labelled(*words, train_ids=own)
    if kind == "cityscapes" and len(words) in (2, 3):
        root, split, *labels = words
        return cityscapes.list_labelled(root, split, labels=labels[0] if labels else "gtFine")  # type: ignore[arg-type]
    if kind == "folder" and len(words) == 2:
        return folders.list_labelled(*words, num_classes=num_classes)
    raise InputError(f"{spec!r} names no data set; expected {FORMS}")


def _number(kind: type[Number], text: str, spec: str) -> Number:
    try:
        value = kind(text)
    except ValueError as error:
        raise InputError(f"{spec!r}: {text!r} is no number; expected {FORMS}") from error
    if not value >= 0:
        raise InputError(f"{spec!r}: {text!r} is below 0; expected {FORMS}")
    return value
