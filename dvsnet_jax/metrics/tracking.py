"""Segmentation and Tracking Quality, STQ: its semantic half for any labels, the whole where things have ids.

    semantic = sum(quality_matrix(labels, truth, 19) for labels, truth in frames)
    print(segmentation_quality(semantic))                                         # SQ

    tubes = Tubes(things=(11, 13))
    for frame in clip: tubes.add(labels, ids, truth, true_ids)                    # of one clip
    total = add_tubes([tubes.counts(), ...])                                      # of all clips
    print(association_quality(total), stq(association_quality(total), segmentation_quality(semantic)))

Weber et al., STEP: Segmenting and Tracking Every Pixel, NeurIPS Datasets and Benchmarks 2021, as DeepLab2 computes it
(google-research/deeplab2, evaluation/numpy/segmentation_and_tracking_quality.py at 140bc31), the program behind
KITTI-STEP's tables. STQ is the geometric mean of two halves:

- SQ is the mean IoU over all frames. Where the truth is void nothing counts. *Unlike `metrics.segmentation`*, a pixel
  predicted as void counts as missed for its true class, and void then is one more class, of IoU 0, in the mean.
- AQ asks how much of each true object's tube (its pixels over all frames) one predicted tube has: for every pair of
  tubes, intersection over union weighed by the intersection, summed, and divided by the true tube's size; a mean over
  true tubes. True things without an id (0) are crowds: what is predicted there is not held against anybody. Classes of
  the two tubes need not agree; pixels predicted as no thing are in no tube.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from dvsnet_jax.errors import InputError

IDS = 1 << 16
"""Ids of things are below it, as in KITTI-STEP's files."""


def quality_matrix(
    labels: UInt8[np.ndarray, "*shape"], truth: UInt8[np.ndarray, "*shape"], num_classes: int
) -> Int[np.ndarray, "classes_and_void classes_and_void"]:
    """Pixels by true class (rows) and predicted one (columns), int64, both with void last; the row of void is zeros."""
    true, found = (np.minimum(each, num_classes).astype(np.int64) for each in (truth, labels))
    side = num_classes + 1
    matrix = np.bincount((true * side + found).ravel(), minlength=side**2).reshape(side, side)
    matrix[num_classes] = 0
    return matrix


def segmentation_quality(matrix: Int[np.ndarray, "classes_and_void classes_and_void"]) -> float:
    """SQ, 0..1, over what occurs; NaN where nothing counted."""
    right = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - right
    there = union > 0
    return float((right[there] / union[there]).mean()) if there.any() else float("nan")


class TubeCounts(NamedTuple):
    """Of one clip or several: sums, which add up over clips and processes."""

    association: float
    """Sum over true tubes of how well each was kept together, 0..1."""
    tubes: int
    """How many true tubes there are."""


def add_tubes(counts: Iterable[TubeCounts]) -> TubeCounts:
    """The sum; zeros for none."""
    parts = list(counts)
    return TubeCounts(sum(part.association for part in parts), sum(part.tubes for part in parts))


def association_quality(counts: TubeCounts) -> float:
    """AQ, 0..1; NaN without a true tube, where DeepLab2 says 0."""
    return counts.association / counts.tubes if counts.tubes else float("nan")


def stq(association: float, segmentation: float) -> float:
    """STQ of AQ and SQ, 0..1."""
    return float(np.sqrt(association * segmentation))


class Tubes:
    """Sizes and overlaps of the tubes of one clip, frame by frame. It holds a number for each tube and each pair that
    met."""

    def __init__(self, things: Collection[int]) -> None:
        """`things` are the classes that have ids."""
        self._things = np.zeros(256, bool)
        self._things[list(things)] = True
        self._true: Counter[int] = Counter()
        self._found: Counter[int] = Counter()
        self._both: Counter[tuple[int, int]] = Counter()

    def add(
        self,
        labels: UInt8[np.ndarray, "h w"],
        ids: Int[np.ndarray, "h w"],
        truth: UInt8[np.ndarray, "h w"],
        true_ids: Int[np.ndarray, "h w"],
    ) -> None:
        """The clip's next frame: classes and ids, 0 up to 65535, of what was predicted and of what is true.

        An id belongs to its class: car 1 and person 1 are two. Raises `InputError` where sizes differ or an id is past
        that.
        """
        shapes = {each.shape for each in (labels, ids, truth, true_ids)}
        if len(shapes) != 1:
            raise InputError(f"labels and ids are of the sizes {sorted(shapes)}: one size is needed")
        if any(each.size and not 0 <= each.min() <= each.max() < IDS for each in (ids, true_ids)):
            raise InputError(f"ids are expected from 0 to {IDS - 1}")
        crowd = self._things[truth] & (true_ids == 0)
        true, found = self._things[truth] & ~crowd, self._things[labels] & ~crowd
        true_tubes, found_tubes = _tubes(truth, true_ids), _tubes(labels, ids)
        _count(self._true, true_tubes[true])
        _count(self._found, found_tubes[found])
        pairs, sizes = np.unique(np.stack([true_tubes, found_tubes])[:, true & found], axis=1, return_counts=True)
        for (one, other), size in zip(pairs.T.tolist(), sizes.tolist(), strict=True):
            self._both[one, other] += size

    def counts(self) -> TubeCounts:
        """What was counted until now."""
        association = 0.0
        for (true, found), both in sorted(self._both.items()):
            association += both * both / (self._true[true] + self._found[found] - both) / self._true[true]
        return TubeCounts(association, len(self._true))


def _tubes(labels: UInt8[np.ndarray, "h w"], ids: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    return labels.astype(np.int64) * IDS + ids


def _count(sizes: Counter[int], tubes: Int[np.ndarray, "n"]) -> None:
    for tube, size in zip(*(each.tolist() for each in np.unique(tubes, return_counts=True)), strict=True):
        sizes[tube] += size
