"""The original's pair lists: text files of three columns, key frame, current frame, labels of the current frame.

    leftImg8bit_sequence/val/…_000010_leftImg8bit.png leftImg8bit/val/…_000019_leftImg8bit.png gtFine/val/…_000019_….png

`imagesval_10` (in the release) pairs the labelled frame of each of the 500 validation snippets with the ten frames
9, 8, … 0 before it, the last being the frame itself. `imagestrain_13`, which the decision network was trained on, was
never released; its name and length (38675 = 2975 × 13) say that it has 13 pairs of each training snippet. Here they
are the distances 12 … 0, by analogy with `imagesval_10`; the author's words, "max frame distance 13", may as well mean
13 … 1, which `make_pairs(root, snippets, range(13, 0, -1))` gives (`parity.md`'s quirk 36).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.cityscapes import CLASSES, LABELLED_FRAME, TRAIN_IDS, Snippet
from dvsnet_jax.datasets.samples import check_files, read_train_ids
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.reading.names import forms, list_lines

VAL_10 = tuple(range(9, -1, -1))
"""Distances of `imagesval_10`, in its order."""
TRAIN_13 = tuple(range(12, -1, -1))
"""Distances of our `imagestrain_13`: as `imagesval_10`, the frame itself included."""


class FramePair(NamedTuple):
    """A key frame, a later frame of the same snippet, and where that one's labels are."""

    key: Path
    current: Path
    labels: Path


def read_pairs(
    path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None, *, check: bool = False
) -> list[FramePair]:
    """The pairs of a list file, in its order; with a `root`, paths are below it (a leading slash does not matter).

    Blank lines are passed over, and a last line needs no line break. Raises `InputError` for a file that cannot be
    read, a line without exactly three columns, an empty list and, with `check`, for frames that are not there
    (labels are often not needed and not looked for).
    """
    try:
        lines = list_lines(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"{path}: cannot be read ({reason}); check the name of the list") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        columns = re.split(r"\s*[,;]\s*|\s+", line.strip()) if line.strip() else []
        if not columns:
            continue
        if len(columns) != 3:
            raise InputError(f"{path}, line {number}: has {len(columns)} columns, expected 3: key, current, labels")
        pairs.append(FramePair(*(_listed(column, root) for column in columns)))
    if not pairs:
        raise InputError(f"{path}: holds no pair, expected lines of key, current, labels; check the file")
    if check:
        check_files((file for pair in pairs for file in pair[:2]), "a frame of the list; check the root")
    return pairs


def _listed(text: str, root: str | os.PathLike[str] | None) -> Path:
    """A path of a list; with slashes for Windows' backslashes where there is no such file with them."""
    ways = [Path(form) if root is None else Path(root) / form.lstrip("/\\") for form in forms(text)]
    return ways[0] if ways[0].exists() else ways[-1]


def write_pairs(
    path: str | os.PathLike[str], pairs: Iterable[FramePair], root: str | os.PathLike[str] | None = None
) -> None:
    """Writes the list, atomically; with a `root`, paths are written relative to it.

    Raises `InputError` for a path outside of the root or with a space in it, and where the file cannot be written.
    """
    lines = []
    for pair in pairs:
        columns = []
        for file in pair:
            if root is not None and not file.is_relative_to(root):
                raise InputError(f"{file}: is not below {root}; give the root that the data set is in")
            columns.append((file if root is None else file.relative_to(root)).as_posix())
        if any(len(column.split()) != 1 for column in columns):
            raise InputError(f"{' | '.join(columns)}: has a space, which parts the columns; rename the folder")
        lines.append(" ".join(columns) + "\n")
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def read_labels(pair: FramePair) -> UInt8[np.ndarray, "h w"]:
    """The labels of a pair as train ids, 255 void, from a labelTrainIds file or, where that is missing, labelIds.

    Cityscapes is unpacked with labelIds only, while lists name labelTrainIds. Raises `InputError` where neither is
    there, and as `samples.read_train_ids` does.
    """
    path, mark = pair.labels, "labelTrainIds"
    if path.is_file() and path.stem.endswith(mark):
        return read_train_ids(path, range(len(CLASSES)))
    if not path.is_file():
        path = path.with_name(path.name.replace(mark, "labelIds"))
    check_files([path], "the labels of a pair")
    return read_train_ids(path, TRAIN_IDS)


def make_pairs(
    root: str | os.PathLike[str], snippets: Iterable[Snippet], distances: Sequence[int] = TRAIN_13
) -> list[FramePair]:
    """For each snippet, pairs of its labelled frame (the 20th) with the frames `distances` before it, in that order.

    The labels are `gtFine`'s labelTrainIds, as the release has them, whether they are there or not; so are the columns'
    folders, but that the current frame comes from the sequence where `leftImg8bit` does not have it.
    `write_pairs(path, make_pairs(root, list_snippets(root, "val"), VAL_10), root)` has the pairs of the release's
    `imagesval_10`, cities in alphabetical order.

    Raises `InputError` for a snippet too short to have that frame, and for distances outside of it.
    """
    if not distances or min(distances) < 0 or max(distances) > LABELLED_FRAME:
        raise InputError(f"distances {list(distances)}: expected 0 to {LABELLED_FRAME} frames, at least one")
    pairs = []
    for snippet in snippets:
        if len(snippet.frames) <= LABELLED_FRAME:
            raise InputError(
                f"snippet {snippet.name}: has {len(snippet.frames)} frames, expected 20 or more, its 20th with labels; "
                "complete or leave it out"
            )
        current = snippet.frames[LABELLED_FRAME]
        labels = Path(root) / "gtFine" / current.split / current.city / f"{current.name}_gtFine_labelTrainIds.png"
        still = Path(root) / "leftImg8bit" / current.split / current.city / current.path.name
        image = still if still.is_file() else current.path
        pairs += [FramePair(snippet.frames[LABELLED_FRAME - d].path, image, labels) for d in distances]
    return pairs
