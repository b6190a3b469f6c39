"""What every reader gives: one labelled picture, read when asked for, its labels as train ids.

Pictures are numpy uint8 RGB `[h, w, 3]`, labels uint8 `[h, w]`: train ids 0..18 of Cityscapes (or whatever classes the
data set has), 255 where nothing counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.codings import Colour, check_palette, hint_for, look_like_train_ids, read_colours, read_ids
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.images import read_image

VOID = 255
NO_SUCH_ID = -1
"""In place of a train id: the data set has no such stored id, so a file that holds it is of another coding."""


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
    """Train id of each stored id: `train_ids[stored]`; 255 void, `NO_SUCH_ID`. A stored 255 is void in every set."""
    channel: int | None = None
    """The one of a colour image's channels that holds the ids (0 is red); None for an image of one channel."""
    colours: tuple[Colour, ...] | None = None
    """Of a file that holds colours, that of each stored id."""

    def read(self) -> LabelledImage:
        """Reads both files; raises `InputError` as `read_train_ids` does and where their sizes differ."""
        image, labels = read_image(self.image), self.read_labels()
        if image.shape[:2] != labels.shape:
            raise InputError(
                f"{self.labels}: is {labels.shape[1]} × {labels.shape[0]}, but {self.image.name} is "
                f"{image.shape[1]} × {image.shape[0]}; labels of the picture's own size are needed"
            )
        return LabelledImage(image, labels)

    def read_labels(self) -> UInt8[np.ndarray, "h w"]:
        """The labels alone, train ids; raises `InputError` as `read_train_ids` does."""
        return read_train_ids(self.labels, self.train_ids, self.channel, self.colours)


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

    def paths(self) -> list[Path]:
        return [path for file in self.files for path in (file.image, file.labels)]


def paths_of(frames: Any) -> list[Path]:
    """The files that pictures are read from, by their `paths`; none of what is drawn or held in memory. Some may not
    exist, where labels are missing."""
    return frames.paths() if hasattr(frames, "paths") else []


def read_train_ids(
    path: Path,
    train_ids: Sequence[int],
    channel: int | None = None,
    colours: Sequence[Colour] | None = None,
) -> UInt8[np.ndarray, "h w"]:
    """A label file as train ids: `train_ids[stored id]`, and 255 stays 255; `channel` and `colours` are as
    `LabelledFile` has them.

    Raises `InputError` for a file that cannot be read, is no such label image (and says of which kind it is), or holds
    an id that `train_ids` does not have.
    """
    stored = read_ids(path, channel) if colours is None else read_colours(path, colours)
    table = np.full(256, NO_SUCH_ID, np.int16)
    table[: len(train_ids)] = train_ids
    table[VOID] = VOID
    counts = np.bincount(stored.ravel(), minlength=256)
    found = np.flatnonzero(counts)
    if channel is None and colours is None:
        check_palette(path, found.tolist(), train_ids)
    if look_like_train_ids(counts, train_ids):
        warnings.warn(
            f"{path.parent}: holds label files without any id above 18, which look like Cityscapes' train ids, and are "
            "read as label ids, by which those mean something else; if so, call them …labelTrainIds.png",
            InputNotice,
            stacklevel=2,
        )
    strange = found[table[found] == NO_SUCH_ID]
    if strange.size:
        hint = hint_for(found.tolist(), len(train_ids)) or (
            "check that these are its ids, neither colours nor another data set's"
        )
        raise InputError(
            f"{path}: holds label {', '.join(map(str, strange[:5]))}, expected {_told(train_ids)} or 255 (void); {hint}"
        )
    return table.astype(np.uint8)[stored]


def _told(train_ids: Sequence[int]) -> str:
    """The ids that a file may hold."""
    known = [label for label, meaning in enumerate(train_ids) if meaning != NO_SUCH_ID]
    if len(known) == len(train_ids):
        return f"0 to {len(train_ids) - 1}"
    return f"{len(known)} ids from {known[0]} to {known[-1]}, such as {', '.join(map(str, known[:5]))},"


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
