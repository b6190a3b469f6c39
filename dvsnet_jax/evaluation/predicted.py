"""Anybody's labels measured as DVSNet's own are: label files for the frames of a data set, of any program.

    PREDICTED/CLIP/FRAME.png        CLIP as the data set's clips are called, FRAME as the frame's own file

Labels are 0 to num_classes - 1, 255 void. For KITTI-STEP they may be panoptic maps, as its truth is (class in red, id
in green and blue): then STQ is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from dvsnet_jax.datasets.clips import Clip
from dvsnet_jax.datasets.codings import check_palette, hint_for, read_ids
from dvsnet_jax.datasets.readers.kitti_step import THINGS, read_panoptic
from dvsnet_jax.datasets.samples import VOID, LabelledFile, LabelledFiles, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.label_counts import (
    DenseFlow,
    LabelCounts,
    LabelledWay,
    add_label_counts,
    found_flows,
    published_of,
)
from dvsnet_jax.evaluation.clips.programs import MIXED, HeldPrograms
from dvsnet_jax.evaluation.policies.measurement import FindFlow
from dvsnet_jax.evaluation.segmentation import Counting, counting
from dvsnet_jax.media.images import read_image, read_stored
from dvsnet_jax.metrics.tracking import TubeCounts, Tubes, add_tubes


@dataclass(frozen=True)
class PredictedCounts:
    """What the labels of all clips gave."""

    clips: int
    frames: int
    """Frames with predicted labels."""
    labelled: int
    """Of those, frames with labels to compare with."""
    labels: LabelCounts
    tubes: TubeCounts | None
    """Of things with ids; None where the files have none."""


def measure_predicted(
    named: Sequence[tuple[str, Clip]],
    predicted: Path,
    *,
    has_ids: bool = False,
    num_classes: int = 19,
    classes: Counting = "own",
    find_flow: FindFlow | None = None,
    published_tc: Mapping[str, DenseFlow] | None = None,
    on_clip: Callable[[int], None] = lambda done: None,
) -> PredictedCounts:
    """Counts clips (`datasets.clips.named_clips`), a frame at a time.

    A frame that has neither labels nor predicted ones is passed over. `has_ids` says that the truth is of KITTI-STEP's
    kind. `find_flow` and `published_tc` are those of `ClipScores`; without them there is no temporal consistency.

    Raises `InputError` for data whose frames are no files, a labelled frame without predicted labels, labels of another
    size or coding, and as the readers do.
    """
    folder_of(predicted, "a folder of predicted labels, with a folder for each clip")
    merged, count = counting(num_classes, classes)
    programs, ways = HeldPrograms(MIXED), list[LabelCounts]()
    tubes: list[TubeCounts] = []
    frames = labelled = 0
    for done, (name, clip) in enumerate(named, 1):
        if not isinstance(clip, LabelledFiles):
            raise InputError(
                f"{name}: its frames are no files whose names predicted labels could have; name another set"
            )
        published = published_of(published_tc, done - 1)
        way = LabelledWay(count, published_tc=published)
        things = Tubes(THINGS) if has_ids and _are_panoptic(predicted / name, clip.files) else None
        own, others = things is not None, bool(tubes)
        if done > 1 and own != others and (predicted / name / _called(clip.files[0])).is_file():
            kinds = ("class ids alone", "panoptic maps")
            raise InputError(
                f"{predicted / name}: holds {kinds[own]}, but {named[0][0]} {kinds[others]}; STQ is of all clips: "
                "write all of them in one way"
            )
        before: np.ndarray | None = None
        for file in clip.files:
            path, has_truth = predicted / name / _called(file), file.labels.is_file()
            if has_truth:
                check_files([path], f"predicted labels of {file.image.name}")
            elif not path.is_file():
                way.count_no_truth()
                way.forget()
                before = None
                continue
            frames, labelled = frames + 1, labelled + has_truth
            found, ids = _predicted(path, num_classes, things is not None)
            if has_truth:
                truth = file.read_labels()
                programs.expect(truth.shape)
                _check_size(path, found, truth.shape)
                way.count_truth(merged(found), merged(truth))
                if things is not None:
                    things.add(found, ids, *read_panoptic(file.labels))
            else:
                way.count_no_truth()
            if find_flow or published:
                image = read_image(file.image)
                _check_size(path, found, image.shape[:2])
                way.count_steady(
                    merged(found),
                    find_flow(image, before) if find_flow and before is not None else None,
                    found_flows(published or {}, before, image) if before is not None else {},
                )
                before = image
        ways = [add_label_counts([*ways, way.counts()])]  # a matrix of many classes for each of many clips is much
        if things is not None:
            tubes.append(things.counts())
        on_clip(done)
    if not labelled:
        raise InputError(f"none of the frames of {len(named)} clips has labels, so there is nothing to measure")
    return PredictedCounts(len(named), frames, labelled, add_label_counts(ways), add_tubes(tubes) if tubes else None)


def _called(file: LabelledFile) -> str:
    return f"{file.image.stem}.png"


def _are_panoptic(folder: Path, files: Sequence[LabelledFile]) -> bool:
    """Whether the predicted labels of a clip are panoptic maps, by its first."""
    first = folder / _called(files[0])
    return first.is_file() and read_stored(first).ndim == 3


def _predicted(path: Path, num_classes: int, panoptic: bool) -> tuple[UInt8[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    if panoptic:
        labels, ids = read_panoptic(path)
    else:
        labels = read_ids(path)
        ids = np.zeros(labels.shape, np.int64)
    there = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    if not panoptic:
        check_palette(path, there.tolist(), range(num_classes))
    if strange := [label for label in there.tolist() if num_classes <= label != VOID]:
        hint = hint_for(there.tolist(), num_classes) or "give labels of as many classes, or --num-classes"
        raise InputError(
            f"{path}: holds label {', '.join(map(str, strange[:5]))}, expected 0 to {num_classes - 1} or 255; {hint}"
        )
    return labels, ids


def _check_size(path: Path, labels: UInt8[np.ndarray, "h w"], size: tuple[int, ...]) -> None:
    if labels.shape != tuple(size):
        raise InputError(
            f"{path}: is {labels.shape[1]} × {labels.shape[0]}, but its frame is {size[1]} × {size[0]}; labels of the "
            "frame's own size are needed"
        )
