"""How well outlines agree with the true ones: an F-score of boundary pixels, class by class.

    tolerance = tolerance_of(1024, 2048)                                            # 18 pixels
    counts = pool_counts(boundary_counts(labels, truth, 19, tolerance=tolerance) for labels, truth in frames)
    print(mean_boundary_f(counts), boundary_f(counts))

IoU hardly sees a thin strip of wrong pixels along an outline; this sees little else. A predicted boundary pixel is
right where a true one of its class lies within the tolerance (precision), a true one is found where a predicted one
does (recall), and F is their harmonic mean: Csurka et al., What is a good evaluation measure for semantic
segmentation?, BMVC 2013; Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation (DAVIS), CVPR 2016.

*Differs from the original:* both papers give each picture its own F and take the mean. Here pixels are summed over all
pictures first, as IoU is, so a class that a picture hardly shows does not weigh as much as one that fills it.

A boundary pixel belongs to a class and has a 4-neighbour of another class. It is the class's own, inner side of the
edge; the picture's border is no edge. Void (255, or any label past the classes) has no outline and draws none:

- a void pixel is never boundary, nor is one whose only differing neighbours are void;
- where the truth is void the prediction is taken for void as well, before its boundaries are drawn. So what is
  predicted there costs nothing, and an edge between two classes along the border of a void region is not asked for;
- where the prediction alone is void, its boundary is missing there and the true one counts as not found.

Where all true outlines are hidden under strips of void, as in PASCAL VOC, next to nothing is left to measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from dvsnet_jax.errors import InputError

_VOID = -1  # inside this module: no class, whatever their number
_BITS = 32


class BoundaryCounts(NamedTuple):
    """Boundary pixels of each class, int32. Counts of several pictures, devices or processes add field by field: on
    the device with `jax.tree.map(jnp.add, a, b)` or `jax.lax.psum`, on the host with `pool_counts`.
    """

    predicted: Int[Array, "num_classes"]
    """How many boundary pixels are predicted."""
    predicted_near_true: Int[Array, "num_classes"]
    """How many of them are within the tolerance of a true one."""
    true: Int[Array, "num_classes"]
    """How many true boundary pixels there are."""
    true_near_predicted: Int[Array, "num_classes"]
    """How many of them are within the tolerance of a predicted one."""


def tolerance_of(height: int, width: int) -> int:
    """The usual tolerance in pixels: 0.75 % of the diagonal (Csurka et al.; DAVIS takes 0.8 %), rounded up."""
    return math.ceil(math.hypot(height, width) * 0.75 / 100)


@partial(jax.jit, static_argnames=("num_classes", "tolerance"))
def boundary_counts(
    labels: UInt8[Array, "*batch h w"], truth: UInt8[Array, "*batch h w"], num_classes: int, *, tolerance: int
) -> BoundaryCounts:
    """Boundary pixels of `labels` and `truth`, class ids, that are and are not near each other; summed over a batch.

    `tolerance` is a Euclidean distance in pixels, a whole number: a pixel exactly so far away is near, with 0 only the
    same pixel is. Every tolerance, size and number of classes compiles once.

    Raises `InputError` where the shapes differ (nothing is broadcast) or the tolerance is negative.
    """
    if labels.shape != truth.shape or labels.ndim < 2:
        raise InputError(f"labels are {list(labels.shape)} and truth {list(truth.shape)}, expected [..., h, w] twice")
    if tolerance < 0:
        raise InputError(f"tolerance is {tolerance}, expected a distance in pixels, 0 or more")
    classes = truth < num_classes
    truth = jnp.where(classes, truth.astype(jnp.int32), _VOID)
    labels = jnp.where(classes & (labels < num_classes), labels.astype(jnp.int32), _VOID)
    true, predicted = _on_boundary(truth), _on_boundary(labels)
    # A bit for each class, so one pass dilates 32 classes; more of them go through in turn, in the same memory.
    words = jnp.arange(-(-num_classes // _BITS))

    def near(word: Array) -> tuple[Array, Array]:
        true_bits, predicted_bits = _bits(truth, true, word), _bits(labels, predicted, word)
        return (
            predicted_bits & _dilated(true_bits, tolerance) != 0,
            true_bits & _dilated(predicted_bits, tolerance) != 0,
        )

    predicted_near_true, true_near_predicted = (found.any(0) for found in jax.lax.map(near, words))
    return BoundaryCounts(
        predicted=_by_class(labels, predicted, num_classes),
        predicted_near_true=_by_class(labels, predicted_near_true, num_classes),
        true=_by_class(truth, true, num_classes),
        true_near_predicted=_by_class(truth, true_near_predicted, num_classes),
    )


def pool_counts(counts: Iterable[BoundaryCounts]) -> BoundaryCounts:
    """Sums over all counts given, on the host and in 64 bits: not for use inside jit. Raises `InputError` for none."""
    parts = list(counts)
    if not parts:
        raise InputError("there are no boundary counts to pool: at least one picture is needed")
    return BoundaryCounts(*(np.stack(field).sum(0, dtype=np.int64) for field in zip(*parts, strict=True)))


def boundary_f(counts: BoundaryCounts) -> Float[np.ndarray, "num_classes"]:
    """F-score of each class, 0..1; 0 where only one of the two has a boundary, NaN where neither has."""
    predicted, right, true, found = (np.asarray(field, np.float64) for field in counts)
    precision = np.divide(right, predicted, out=np.zeros_like(right), where=predicted > 0)
    recall = np.divide(found, true, out=np.zeros_like(found), where=true > 0)
    both = precision + recall
    score = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return np.where(predicted + true > 0, score, np.nan)


def mean_boundary_f(counts: BoundaryCounts) -> float:
    """Mean of the classes' F-scores, 0..1, over those with a boundary anywhere; NaN without one."""
    scores = boundary_f(counts)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


def _on_boundary(labels: Int[Array, "*batch h w"]) -> Bool[Array, "*batch h w"]:
    height, width = labels.shape[-2:]
    padded = _padded(labels, 1, _VOID)
    found = jnp.zeros(labels.shape, bool)
    for y, x in ((0, 1), (2, 1), (1, 0), (1, 2)):
        neighbour = padded[..., y : y + height, x : x + width]
        found |= (neighbour != labels) & (neighbour != _VOID)
    return found & (labels != _VOID)


def _bits(
    labels: Int[Array, "*batch h w"], chosen: Bool[Array, "*batch h w"], word: Int[Array, ""]
) -> UInt32[Array, "*batch h w"]:
    """One bit, that of its class, at each chosen pixel whose class belongs to this word of 32 classes."""
    bit = jnp.uint32(1) << (labels % _BITS).astype(jnp.uint32)
    return jnp.where(chosen & (labels // _BITS == word), bit, jnp.uint32(0))


def _dilated(bits: UInt32[Array, "*batch h w"], radius: int) -> UInt32[Array, "*batch h w"]:
    """All bits within `radius` of each pixel, or-ed: a disc row by row, about 2 `radius` steps each way.

    From the disc's top row to its middle the rows only widen, so the wider window grows out of the narrower one.
    """
    height, width = bits.shape[-2:]
    padded = _padded(bits, radius, 0)
    rows, reach = padded[..., radius : radius + width], 0
    found = jnp.zeros_like(bits)
    for dy in range(radius, -1, -1):
        while (reach + 1) ** 2 + dy**2 <= radius**2:
            reach += 1
            left, right = radius - reach, radius + reach
            rows |= padded[..., left : left + width] | padded[..., right : right + width]
        above, below = radius - dy, radius + dy
        found |= rows[..., above : above + height, :] | rows[..., below : below + height, :]
    return found


def _padded(picture: Array, by: int, value: int) -> Array:
    return jnp.pad(picture, [(0, 0)] * (picture.ndim - 2) + [(by, by)] * 2, constant_values=value)


def _by_class(
    labels: Int[Array, "*batch h w"], chosen: Bool[Array, "*batch h w"], num_classes: int
) -> Int[Array, "num_classes"]:
    place = jnp.where(chosen, labels, num_classes)  # what is not chosen goes into a bin of its own
    return jnp.bincount(place.ravel(), length=num_classes + 1)[:-1]
