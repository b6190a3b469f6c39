"""IoU by size: objects drawn by hand, against a flood fill, and sums that come to the confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dvsnet_jax.metrics.object_size import BOUNDS, size_counts, size_ious, size_of_objects
from dvsnet_jax.metrics.segmentation import confusion_matrix


def blobs(seed, size=(40, 50), classes=4, spread=1.5):
    noise = np.random.default_rng(seed).random((classes + 1, *size))
    labels = gaussian_filter(noise, (0, spread, spread)).argmax(0).astype(np.uint8)
    return np.where(labels == classes, 255, labels).astype(np.uint8)


def flooded(labels, classes):
    """Of each pixel how many are in its region, one region at a time."""
    sizes = np.zeros(labels.shape, int)
    seen = np.zeros(labels.shape, bool)
    for start in np.ndindex(labels.shape):
        if seen[start] or labels[start] >= classes:
            continue
        region, edge = {start}, [start]
        while edge:
            y, x = edge.pop()
            for place in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                inside = 0 <= place[0] < labels.shape[0] and 0 <= place[1] < labels.shape[1]
                if inside and place not in region and labels[place] == labels[start]:
                    region.add(place)
                    edge.append(place)
        for place in region:
            sizes[place], seen[place] = len(region), True
    return sizes


def test_sizes_are_those_of_a_flood_fill():
    labels = blobs(0)
    share = flooded(labels, 4) / labels.size
    expected = (share >= BOUNDS[0]).astype(int) + (share >= BOUNDS[1])
    found = size_of_objects(labels, 4)
    assert set(expected[labels < 4]) == {0, 1, 2}
    np.testing.assert_array_equal(found[labels < 4], expected[labels < 4])
    assert (found[labels == 255] == 0).all()


def test_counts_come_to_those_of_the_confusion_matrix():
    truth = blobs(1)
    labels = np.where(np.random.default_rng(0).random(truth.shape) < 0.8, truth, blobs(2)).astype(np.uint8)
    labels[:5] = np.where(truth[:5] < 4, labels[:5], 0)
    labels = np.where(labels == 255, 0, labels).astype(np.uint8)
    counts = size_counts(labels, truth, 4)
    matrix = np.asarray(confusion_matrix(labels, truth, 4))
    right, missed, extra = np.moveaxis(counts.sum(0), -1, 0)
    np.testing.assert_array_equal(right, np.diag(matrix))
    np.testing.assert_array_equal(missed, matrix.sum(1) - np.diag(matrix))
    np.testing.assert_array_equal(extra, matrix.sum(0) - np.diag(matrix))


def test_a_lost_pole_is_nothing_over_all_and_everything_among_the_small():
    truth = np.zeros((100, 100), np.uint8)
    truth[:, 50:] = 1
    truth[10:19, 20] = 2  # nine of ten thousand pixels: below 0.1 %
    labels = np.where(truth == 2, 0, truth).astype(np.uint8)
    counts = size_counts(labels, truth, 3)
    assert counts[0, 2].tolist() == [0, 9, 0]
    assert counts[2, 0].tolist() == [100 * 50 - 9, 0, 9]  # the extra pixels lie in the large object that took them
    small, medium, large = size_ious(counts)
    assert small == 0.0 and np.isnan(medium) and large == pytest.approx((4991 / 5000 + 1) / 2)


def test_where_sizes_begin():
    labels = np.zeros((100, 100), np.uint8)
    for which, length in enumerate((9, 10, 99, 100), 1):
        labels[2 * which, :length] = which
    sizes = size_of_objects(labels, 5)
    assert [int(sizes[2 * which, 0]) for which in range(1, 5)] == [0, 1, 1, 2]


def test_nothing_true_has_no_number():
    void = np.full((5, 5), 255, np.uint8)
    assert np.isnan(size_ious(size_counts(np.zeros_like(void), void, 3))).all()
    assert not size_counts(np.zeros_like(void), void, 3).any()
