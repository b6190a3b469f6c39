"""Data sets named on a command line: `camvid:ROOT:train`; several one after another, smaller, or kept in memory.

    camvid:ROOT:SPLIT                  train, val or test, as Cityscapes' train ids
    cityscapes:ROOT:SPLIT[:LABELS]     LABELS is gtFine (default), gtCoarse or pseudo
    cityscapes256:ROOT:SPLIT[:CITIES[:clean]]
                                       the photos packed small, at 256x512; CITIES is zurich,ulm or, for all but
                                       these, -zurich,-ulm, or nothing; clean voids rims that are labelled wrong
    folder:FRAMES:LABELS               your own: label PNGs with train ids, 255 void
    street:COUNT:SEED[:HEIGHTxWIDTH]   procedural street scenes, 256x512
    vspw, kitti-step, cityscapes-vps, apolloscape, bdd100k, vistas, idd, a2d2, each :ROOT:SPLIT   (readers/named.py)

After any of them @0.5 makes pictures half as high and wide, before anything else is done with them. A set named twice
counts twice. Where several are taken together, %30 at the very end says that 30 % of all samples are of this set,
however large it is; sets without a share part what is left by their sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from dvsnet_jax.datasets import camvid, cityscapes, cityscapes256, folders
from dvsnet_jax.datasets.combined import Concatenated, Mixed, Remembered
from dvsnet_jax.datasets.readers import named
from dvsnet_jax.datasets.samples import VOID, LabelledFile, LabelledFiles, LabelledImage, paths_of
from dvsnet_jax.datasets.specs import nothing_left, parse, split_share
from dvsnet_jax.datasets.street.sources import StreetFrames
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import resize_image, resize_labels

Number = TypeVar("Number", int, float)

FORMS = (
    "camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT[:LABELS], cityscapes256:ROOT:SPLIT[:CITIES[:clean]], "
    f"{named.FORMS}, folder:FRAMES:LABELS or street:COUNT:SEED[:HxW], then @SCALE"
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

    def paths(self) -> list[Path]:
        return paths_of(self.source)


def labelled_set(
    spec: str, *, num_classes: int = 19, hold_out: Collection[str] = (), only: Collection[str] = ()
) -> Sequence[LabelledImage]:
    """The data set that a spec names, in the forms above, labels as train ids.

    `hold_out` and `only` choose among files by the beginning of their names (`aachen_000004`); a set of which nothing
    is left is an error. Raises InputError for a spec that has none of the forms, and as the readers do.
    """
    kind, rest, scale, _ = parse(spec, FORMS)
    words = rest.split(":")
    source: Sequence[LabelledImage]
    if kind == "street" and len(words) in (2, 3):
        sides = (words[2] if len(words) == 3 else "256x512").split("x")
        if len(sides) != 2:
            raise InputError(f"{spec!r}: {words[2]!r} is no size; expected {FORMS}")
        height, width = (_number(int, side, spec) for side in sides)
        source = StreetFrames(_number(int, words[0], spec), height, width, seed=_number(int, words[1], spec))
    else:
        found = _files(kind, words, spec, num_classes)
        files = [
            file for file in found
            if not file.name.startswith(tuple(hold_out) or "\0") and file.name.startswith(tuple(only) or "")
        ]  # fmt: skip
        if not files:
            raise nothing_left(spec, [file.name for file in found], hold_out=hold_out, only=only)
        source = LabelledFiles(files)
        if kind == "cityscapes256":
            source = cityscapes256.Widened(source, clean=len(words) == 4)
    return source if scale == 1 else Scaled(source, scale)


def labelled_sets(
    specs: Iterable[str], *, num_classes: int = 19, hold_out: Collection[str] = (), in_memory: bool = False
) -> Sequence[LabelledImage]:
    """Several data sets as one, `Mixed` where shares (%30) are named.

    Raises InputError, besides, for a name to hold out that none of them has, and for shares that do not make 100 %.
    """
    specs, shares = zip(*(split_share(spec) for spec in specs), strict=True)
    for name in hold_out:
        if not any(_has(spec, name, num_classes) for spec in specs):
            raise InputError(
                f"{name}: to be held out, but no file of {', '.join(specs)} is called so; correct the name"
            )
    sources = [labelled_set(spec, num_classes=num_classes, hold_out=hold_out) for spec in specs]
    if in_memory:
        sources = [Remembered(source) for source in sources]
    if any(share is not None for share in shares):
        return Mixed(tuple(sources), _shares(specs, shares, [len(source) for source in sources]))
    return sources[0] if len(sources) == 1 else Concatenated(tuple(sources))


def _shares(specs: Sequence[str], shares: Sequence[float | None], sizes: Sequence[int]) -> tuple[float, ...]:
    """All shares, summing to 1: those named (percent), and what is left parted by size among the others."""
    named = sum(share for share in shares if share is not None)
    others = sum(size for size, share in zip(sizes, shares, strict=True) if share is None)
    if abs(named - 100) > 0.01 if not others else named >= 100:
        raise InputError(
            f"{' '.join(f'{spec}%{share:g}' for spec, share in zip(specs, shares, strict=True) if share is not None)}: "
            f"the shares make {named:g} %, expected {'less than 100 % beside sets without one' if others else '100 %'}"
        )
    total = named if not others else 100
    return tuple(
        (share if share is not None else (100 - named) * size / others) / total
        for share, size in zip(shares, sizes, strict=True)
    )


def _has(spec: str, name: str, num_classes: int) -> bool:
    kind, rest, *_ = parse(spec, FORMS)
    files = [] if kind == "street" else _files(kind, rest.split(":"), spec, num_classes)
    return any(file.name.startswith(name) for file in files)


def check_labelled(source: Sequence[LabelledImage], spec: str) -> None:
    """Raises InputError where every label of a set is void. It is read up to the first picture that has another."""
    if not any((source[index].labels != VOID).any() for index in range(len(source))):
        raise InputError(f"{spec}: every label of its {len(source)} pictures is void; name pictures that have some")


def count_pixels(source: Sequence[LabelledImage], num_classes: int, *, most: int = 400) -> Int[np.ndarray, "classes"]:
    """Labelled pixels of each class, over at most so many pictures taken at even distances.

    Of a mixture, what that many pictures drawn from it would have. Raises InputError for a label that is neither a
    class nor 255.
    """
    if isinstance(source, Mixed):
        parts = zip(source.sources, source.shares, strict=True)
        mean = sum(share * count_pixels(part, num_classes, most=most) / min(most, len(part)) for part, share in parts)
        return np.rint(most * mean).astype(np.int64)
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
        return camvid.list_labelled(*words, train_ids=camvid.ids_for(num_classes))
    if kind == "cityscapes" and len(words) in (2, 3):
        root, split, *labels = words
        return cityscapes.list_labelled(root, split, labels=labels[0] if labels else "gtFine")  # type: ignore[arg-type]
    if kind == "cityscapes256" and (len(words) in (2, 3) or (len(words) == 4 and words[3] == "clean")):
        root, split, *names = words
        cities = cityscapes256.chosen_cities(split, names[0].split(",") if names and names[0] else ())
        return cityscapes256.list_labelled(root, split, cities=cities)
    if kind == "folder" and len(words) == 2:
        return folders.list_labelled(*words, num_classes=num_classes)
    if kind in named.KINDS and len(words) >= 2:
        clips = named.clips_of(kind, ":".join(words), num_classes=num_classes)
        return [file for _, files in clips for file in files if file.labels.is_file()]
    raise InputError(f"{spec!r} names no data set; expected {FORMS}")


def _number(kind: type[Number], text: str, spec: str) -> Number:
    try:
        value = kind(text)
    except ValueError as error:
        raise InputError(f"{spec!r}: {text!r} is no number; expected {FORMS}") from error
    if not value >= 0:
        raise InputError(f"{spec!r}: {text!r} is below 0; expected {FORMS}")
    return value
