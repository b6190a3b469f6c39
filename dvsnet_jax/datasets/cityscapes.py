"""Cityscapes as it is unpacked: `leftImg8bit`, `leftImg8bit_sequence`, `gtFine`, and machine-made `pseudo` labels.

    root/leftImg8bit_sequence/train/aachen/aachen_000000_000019_leftImg8bit.png      a frame: city, sequence, number
    root/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png                its labels
    root/pseudo/train/aachen/aachen_000000_000000_pseudo_labelIds.png                the same layout, for any frame

Frames may be .png or .jpg. Cordts et al., The Cityscapes Dataset, CVPR 2016. A *snippet* is 30 consecutive frames
(17 Hz), its 20th with fine labels. In most cities a sequence holds one snippet, numbered 0..29; in some (Frankfurt,
Bochum, Hamburg, …) it holds many at increasing numbers, which is why snippets are found by gaps in the numbering.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

from dvsnet_jax.datasets.samples import VOID, LabelledFile, folder_of
from dvsnet_jax.errors import InputError

Labels = Literal["gtFine", "gtCoarse", "pseudo"]
Frames = Literal["leftImg8bit", "leftImg8bit_sequence"]

CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""Names of the train ids 0..18."""
_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
TRAIN_IDS = tuple(_LABEL_IDS.index(label) if label in _LABEL_IDS else VOID for label in range(34))
"""Train id of each labelId 0..33; 255 for the 15 that do not count (ego vehicle, parking, bridge, caravan, …)."""

SNIPPET_LENGTH, LABELLED_FRAME = 30, 19
"""Frames of a snippet, and which of them (from 0) has fine labels."""
_LABEL_IDS_FILE, _TRAIN_IDS_FILE = "labelIds", "labelTrainIds"
_NAME = re.compile(r"(?P<city>[a-z-]+)_(?P<sequence>\d{6})_(?P<number>\d{6})_leftImg8bit\.(?:png|jpg|jpeg)")


class CityscapesFrame(NamedTuple):
    """One frame; frames sort in the order they were taken."""

    city: str
    sequence: str
    """Six digits."""
    number: int
    split: str
    path: Path

    @property
    def name(self) -> str:
        """As in its file name: city_sequence_number."""
        return f"{self.city}_{self.sequence}_{self.number:06d}"


class Snippet(NamedTuple):
    """Consecutive frames, usually 30."""

    frames: tuple[CityscapesFrame, ...]

    @property
    def name(self) -> str:
        """The name of its first frame."""
        return self.frames[0].name

    @property
    def sequence(self) -> str:
        """City and sequence, such as aachen_000004."""
        return f"{self.frames[0].city}_{self.frames[0].sequence}"


def list_frames(
    root: str | os.PathLike[str],
    split: str,
    *,
    cities: Collection[str] | None = None,
    frames: Frames = "leftImg8bit_sequence",
) -> list[CityscapesFrame]:
    """The frames of a split in order of city, sequence and number. Where a frame is there twice, .png wins over .jpg.

    Raises `InputError` for a folder that is missing, a city that is not in it, and where no frame is found.
    """
    folder = folder_of(Path(root) / frames / split, f"Cityscapes' {frames} with the split {split!r}")
    there = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    if unknown := sorted(set(cities or ()) - there):
        raise InputError(f"{folder}: has no city {', '.join(unknown)}, only {', '.join(sorted(there))}; correct it")
    found: dict[tuple[str, str, int], CityscapesFrame] = {}
    for city in sorted(there if cities is None else cities):
        for path in sorted((folder / city).iterdir()):  # .jpg before .png: the later one stays
            if match := _NAME.fullmatch(path.name):
                frame = CityscapesFrame(match["city"], match["sequence"], int(match["number"]), split, path)
                found[frame[:3]] = frame
    if not found:
        raise InputError(f"{folder}: no frame in it is called like city_000000_000019_leftImg8bit.png; check the root")
    return [found[key] for key in sorted(found)]


def list_snippets(root: str | os.PathLike[str], split: str, *, cities: Collection[str] | None = None) -> list[Snippet]:
    """The snippets of `leftImg8bit_sequence` in order: runs of consecutive numbers, cut after every 30 frames.

    Raises `InputError` as `list_frames` does.
    """
    snippets = []
    frames = list_frames(root, split, cities=cities)
    # In a run of consecutive numbers the number less the place in the list does not change.
    places = enumerate(frames)
    for _, run in groupby(places, key=lambda item: (item[1].city, item[1].sequence, item[1].number - item[0])):
        together = [frame for _, frame in run]
        starts = range(0, len(together), SNIPPET_LENGTH)
        snippets += [Snippet(tuple(together[start : start + SNIPPET_LENGTH])) for start in starts]
    return snippets


def label_path(root: str | os.PathLike[str], frame: CityscapesFrame, labels: Labels = "gtFine") -> Path:
    """Where the labels of a frame belong, whether they are there or not."""
    return Path(root) / labels / frame.split / frame.city / f"{frame.name}_{labels}_labelIds.png"


def file_of(root: str | os.PathLike[str], frame: CityscapesFrame, labels: Labels = "gtFine") -> LabelledFile:
    """A frame with its labels, whether they are there or not: the labelIds, or the labelTrainIds that were made of them
    where those alone are there."""
    path, ids = label_path(root, frame, labels), TRAIN_IDS
    made = path.with_name(path.name.replace(_LABEL_IDS_FILE, _TRAIN_IDS_FILE))
    if not path.is_file() and made.is_file():
        path, ids = made, tuple(range(len(CLASSES)))
    return LabelledFile(frame.name, frame.path, path, ids)


def labelled_file(root: str | os.PathLike[str], frame: CityscapesFrame, labels: Labels = "gtFine") -> LabelledFile:
    """A frame with its labels; raises `InputError` where they are missing."""
    file = file_of(root, frame, labels)
    if not file.labels.is_file():
        raise InputError(
            f"{file.labels}: is missing, expected the labels of {frame.path.name}; not all frames have any"
        )
    return file


def list_labelled(
    root: str | os.PathLike[str],
    split: str,
    *,
    labels: Labels = "gtFine",
    cities: Collection[str] | None = None,
) -> list[LabelledFile]:
    """Every label file of a split with its frame, in order; the frame from `leftImg8bit`, else from the sequence.

    Raises `InputError` for a folder or city that is missing, and for labels whose frame is in neither place.
    """
    folder = folder_of(Path(root) / labels / split, f"Cityscapes' {labels} with the split {split!r}")
    frames: dict[str, CityscapesFrame] = {}
    for source in ("leftImg8bit_sequence", "leftImg8bit"):
        if (Path(root) / source / split).is_dir():
            frames |= {frame.name: frame for frame in list_frames(root, split, frames=source)}
    ending, made = (f"_{labels}_{kind}.png" for kind in (_LABEL_IDS_FILE, _TRAIN_IDS_FILE))
    found = (path.name for kind in (ending, made) for path in folder.glob(f"*/[!.]*{kind}"))
    names = sorted({name.removesuffix(ending).removesuffix(made) for name in found})
    names = [name for name in names if cities is None or name.split("_")[0] in cities]
    if not names:
        raise InputError(f"{folder}: has no label file *{ending} of these cities; check the root, split and cities")
    if lost := [name for name in names if name not in frames]:
        raise InputError(
            f"{folder}: {lost[0]} ({len(lost)} in all) has labels but no frame, expected "
            f"{lost[0]}_leftImg8bit.png or .jpg in leftImg8bit or leftImg8bit_sequence; complete the data set"
        )
    return [labelled_file(root, frames[name], labels) for name in names]
