"""How well labels agree with the truth: everything from one confusion matrix, summed over as many pictures as wanted.

    matrix = sum(np.asarray(confusion_matrix(labels, truth, 19), np.int64) for labels, truth in frames)
    print(mean_iou(matrix), pixel_accuracy(matrix))

Rows of the matrix are true classes, columns predicted ones. Void pixels (255, -1, or any true label that is no class)
never count. Intersection over union as Cityscapes and PASCAL VOC define it: TP / (TP + FP + FN), over all pictures
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer, UInt8

from dvsnet_jax.errors import InputError

_HARDLY, _MUCH, _SEVERAL = 0.1, 0.01, 3
"""For `shift`: shares of all pixels, and classes."""


@partial(jax.jit, static_argnames="num_classes")
def confusion_matrix(
    labels: Integer[Array, "*shape"], truth: Integer[Array, "*shape"], num_classes: int
) -> Int[Array, "num_classes num_classes"]:
    """Pixels by true class (rows) and predicted class (columns), int32; void ones are left out: what is past the
    classes, as 255, and what is below 0.

    So are those predicted as void: count them beside it where there are any (`mean_iou_with_void`), else saying
    nothing costs nothing.
    Add matrices up in 64 bits: 32 run over at 2147483648 pixels, as many as 1024 pictures of 1024×2048 have.
    """
    counts = (truth < num_classes) & (labels < num_classes) & (truth >= 0) & (labels >= 0)  # bincount takes -1 for 0
    place = jnp.where(counts, truth.astype(jnp.int32) * num_classes + labels, num_classes**2)
    return jnp.bincount(place.ravel(), length=num_classes**2 + 1)[:-1].reshape(num_classes, num_classes)


def left_void(
    labels: UInt8[np.ndarray, "*shape"], truth: UInt8[np.ndarray, "*shape"], num_classes: int
) -> Int[np.ndarray, "num_classes"]:
    """Pixels by true class that are predicted as no class, int64: those that `confusion_matrix` leaves out and
    `mean_iou_with_void` counts as wrong. Void in the truth never counts."""
    return np.bincount(truth[labels >= num_classes], minlength=256)[:num_classes]


def class_ious(matrix: Int[Array | np.ndarray, "c c"]) -> Float[np.ndarray, "c"]:
    """Intersection over union of each class; NaN for a class that is neither in the truth nor predicted.

    Raises `InputError` where a count is below 0, as a sum in 32 bits is that ran over; so do the functions below.
    """
    matrix = _counts(matrix)
    right = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - right
    return np.divide(right, union, out=np.full_like(right, np.nan), where=union > 0)


def mean_iou(matrix: Int[Array | np.ndarray, "c c"], *, absent: Literal["skip", "zero", "untrue"] = "skip") -> float:
    """Mean of the classes' IoU, 0..1.

    A class that is nowhere is skipped, or counts as 0 as in the original's tool (`zero`). With `untrue` the mean is
    over the classes that the truth has, as in VSPW's evaluator: what is predicted of others costs the true ones alone.
    """
    ious = class_ious(matrix)
    if absent == "zero":
        return float(np.nan_to_num(ious).mean())
    if absent == "untrue":
        ious = ious[_counts(matrix).sum(1) > 0]
    return float(np.nanmean(ious)) if np.isfinite(ious).any() else float("nan")


def mean_iou_with_void(matrix: Int[Array | np.ndarray, "c c"], void: Int[np.ndarray, "c"]) -> float:
    """The same, 0..1, with pixels that were predicted as void, `void` of each true class, as wrong: as Cityscapes'
    program counts them. NaN without a pixel."""
    ious = class_ious(with_void(matrix, void))[:-1]
    return float(np.nanmean(ious)) if np.isfinite(ious).any() else float("nan")


def with_void(
    matrix: Int[Array | np.ndarray, "c c"], void: Int[np.ndarray, "c"] | Sequence[int]
) -> Int[np.ndarray, "c+1 c+1"]:
    """The confusion matrix with a last column of the pixels of each true class that were predicted as void."""
    whole = np.pad(np.asarray(matrix), (0, 1))
    whole[:-1, -1] = void
    return whole


def frequency_weighted_iou(matrix: Int[Array | np.ndarray, "c c"]) -> float:
    """Mean of the classes' IoU weighed by their true pixels, 0..1 (fwIoU, VSPW's weighted IoU); NaN without a pixel."""
    pixels = _counts(matrix).sum(1)
    there = pixels > 0
    return float((class_ious(matrix)[there] * pixels[there]).sum() / pixels.sum()) if there.any() else float("nan")


def pixel_accuracy(matrix: Int[Array | np.ndarray, "c c"]) -> float:
    """Share of pixels with the true class, 0..1; NaN without a pixel."""
    matrix = _counts(matrix)
    return float(np.diag(matrix).sum() / matrix.sum()) if matrix.sum() else float("nan")


def shift(matrix: Int[Array | np.ndarray, "c c"]) -> int:
    """By how much true labels are above the predicted ones, 1 or -1, where that is plain: hardly a pixel is right as it
    is, most are with so much taken off, and several classes each say so. 0 else."""
    counts = _counts(matrix)
    total, rows = counts.sum(), counts.sum(1)
    if not total or np.trace(counts) > _HARDLY * total:
        return 0
    for by in (1, -1):
        moved = np.diagonal(counts, -by)  # true class c, predicted c - by
        of = rows[1:] if by == 1 else rows[:-1]
        say_so = (moved > of / 2) & (of > _MUCH * total)
        if moved.sum() > total / 2 and say_so.sum() >= _SEVERAL:
            return by
    return 0


def summary(matrix: Int[Array | np.ndarray, "c c"]) -> dict[str, float]:
    """`mean_iou`, over the classes that occur, and `accuracy`, 0..1."""
    return {"mean_iou": mean_iou(matrix), "accuracy": pixel_accuracy(matrix)}


def _counts(matrix: Int[Array | np.ndarray, "c c"]) -> Float[np.ndarray, "c c"]:
    counts = np.asarray(matrix, np.float64)
    if (least := counts.min(initial=0)) < 0:
        raise InputError(
            f"the confusion matrix holds {least:.0f} pixels, expected 0 or more: a sum of int32 matrices runs over at "
            "2147483648; add them up as numpy's int64"
        )
    return counts
