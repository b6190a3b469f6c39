"""What every reader gives: one labelled picture, read when asked for, its labels as train ids.

Pictures are numpy uint8 RGB `[h, w, 3]`, labels uint8 `[h, w]`: train ids 0..18 of Cityscapes (or whatever classes the
data set has), 255 where nothing counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.codings import hint_for, look_like_train_ids, read_ids
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.images import read_image

VOID = 255


class LabelledImage(NamedTuple):
    """A picture and the class of each of its pixels."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB, 0..255."""
    labels: UInt8[np.ndarray, "h w"]
    """Train ids, 255 void."""


class LabelledFile(NamedTuple):
    """Where a labelled picture lies, and what the ids in its label file mean."""

    name: str
    """Unique in its data set; no suffix."""
    image: Path
    labels: Path
    train_ids: tuple[int, ...]
    """Train id of each stored id: `train_ids[stored]`; 255 void. A stored 255 is void in every data set."""
    channel: int | None = None
    """The one of a colour image's channels that holds the ids (0 is red); None for an image of one channel."""

    def read(self) -> LabelledImage:
        """Reads both files; raises `InputError` as `read_train_ids` does and where their sizes differ."""
        image, labels = read_image(self.image), read_train_ids(self.labels, self.train_ids, self.channel)
        if image.shape[:2] != labels.shape:
            raise InputError(
                f"{self.labels}: is {labels.shape[1]} × {labels.shape[0]}, but {self.image.name} is "
                f"{image.shape[1]} × {image.shape[0]}; labels of the picture's own size are needed"
            )
        return LabelledImage(image, labels)


class LabelledFiles(Sequence[LabelledImage]):
    """Labelled pictures in order, each read when it is asked for: a data source for `datasets.batches`."""

    def __init__(self, files: Iterable[LabelledFile]) -> None:
        self.files = tuple(files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        return self.files[index].read()

    def __iter__(self) -> Iterator[LabelledImage]:
        return (self[index] for index in range(len(self)))  # as subclasses read


def read_train_ids(path: Path, train_ids: Sequence[int], channel: int | None = None) -> UInt8[np.ndarray, "h w"]:
    """A label file as train ids: `train_ids[stored id]`, and 255 stays 255; with `channel` as `LabelledFile` has it.

    Raises `InputError` for a file that cannot be read, is no such label image (and says of which kind it is), or holds
    an id that `train_ids` does not have.
    """
    stored = read_ids(path, channel)
    table = np.full(256, VOID, np.uint8)
    table[: len(train_ids)] = train_ids
    counts = np.bincount(stored.ravel(), minlength=256)
    if look_like_train_ids(counts, train_ids):
        warnings.warn(
            f"{path.parent}: holds label files without any id above 18, which look like Cityscapes' train ids, and are "
            "read as label ids, by which those mean something else; if so, call them …labelTrainIds.png",
            InputNotice,
            stacklevel=2,
        )
    found = np.flatnonzero(counts)
    strange = found[(found >= len(train_ids)) & (found != VOID)]
    if strange.size:
        hint = hint_for(found.tolist(), len(train_ids)) or (
            "check that these are its ids, neither colours nor another data set's"
        )
        raise InputError(
            f"{path}: holds label {', '.join(map(str, strange[:5]))}, expected 0 to {len(train_ids) - 1} or 255 (void)"
            f"; {hint}"
        )
    return table[stored]


def check_files(paths: Iterable[Path], what: str) -> None:
    """Raises `InputError` naming the first of the files that are not there, if any."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{missing[0]}: is missing{more}, expected {what}; complete the data set or leave them out")


def folder_of(path: Path, what: str) -> Path:
    """The folder itself; raises `InputError` where it is none."""
    if not path.is_dir():
        raise InputError(f"{path}: is not a folder, expected {what}; check the root of the data set")
    return path
