"""IoU by the size of objects: what a small or thin thing loses hardly shows in an IoU over all pixels of its class.

    counts = sum(size_counts(labels, truth, 19) for labels, truth in frames)    # they add up
    print(size_ious(counts))                                                    # small, medium, large

An object is a connected region of one class (pixels that touch side by side). By its share of the picture's pixels it
is small (below 0.1 %), medium (below 1 %) or large. A pixel of a true object that is predicted right or wrong counts
for that object's size; a pixel predicted wrongly as some class counts for the size of the predicted object that it is
in. So each pixel counts once for its class, and IoU = right / (right + missed + extra) in every size.

This is a measure of our own; papers' numbers by size (COCO's, of instances in pixels) are other ones.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import sparse
from scipy.sparse import csgraph

SIZES = ("small", "medium", "large")
BOUNDS = (0.001, 0.01)
"""Shares of a picture from which an object is medium, and large."""


def size_counts(
    labels: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], num_classes: int
) -> Int[np.ndarray, "sizes classes 3"]:
    """Pixels right, missed and extra, by size and class, int64. Void pixels of the truth count nowhere; what is
    predicted there still belongs to its object."""
    known = truth < num_classes
    right = known & (labels == truth)
    true, found = size_of_objects(truth, num_classes), size_of_objects(labels, num_classes)
    counts = np.zeros((len(SIZES), num_classes, 3), np.int64)
    for part, (where, sizes, classes) in enumerate(
        (
            (right, true, truth),
            (known & ~right, true, truth),
            (known & ~right & (labels < num_classes), found, labels),
        )
    ):
        place = sizes[where].astype(np.int64) * num_classes + classes[where]
        counts[..., part] = np.bincount(place, minlength=len(SIZES) * num_classes).reshape(len(SIZES), num_classes)
    return counts


def size_of_objects(labels: UInt8[np.ndarray, "h w"], num_classes: int) -> UInt8[np.ndarray, "h w"]:
    """Of each pixel the size of the object it is in: 0, 1 or 2 for `SIZES`; void, which is none, has 0."""
    # Runs of one label in a row, joined where they touch in the next row: a graph of a tenth of the pixels or less.
    starts = np.ones(labels.shape, bool)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    runs = np.cumsum(starts).reshape(labels.shape) - 1
    touch = (labels[1:] == labels[:-1]) & (starts[1:] | starts[:-1])
    above, below = runs[:-1][touch], runs[1:][touch]
    lengths = np.bincount(runs.ravel())
    edges = sparse.coo_array((np.ones(len(above), bool), (above, below)), (len(lengths), len(lengths)))
    _, objects = csgraph.connected_components(edges, directed=False)
    pixels = np.bincount(objects, weights=lengths)
    sizes = np.searchsorted(np.asarray(BOUNDS) * labels.size, pixels, side="right").astype(np.uint8)[objects][runs]
    return np.where(labels < num_classes, sizes, np.uint8(0))


def size_ious(counts: Int[np.ndarray, "sizes classes 3"]) -> Float[np.ndarray, "sizes"]:
    """Mean IoU of each size, 0..1, over the classes that have such objects in the truth; NaN where none has."""
    right, missed, extra = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    there = right + missed > 0
    ious = np.divide(right, right + missed + extra, out=np.zeros_like(right), where=there)
    number = there.sum(1)
    return np.divide(ious.sum(1), number, out=np.full(len(ious), np.nan), where=number > 0)
