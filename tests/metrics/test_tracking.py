"""STQ and its halves, against a re-statement that keeps every tube as a mask.

In the making of these tests all three numbers were held against DeepLab2's STQuality on random sequences with void,
crowds and void predictions (google-research/deeplab2, evaluation/numpy/segmentation_and_tracking_quality.py at commit
140bc31): equal to 1e-12. And on real ones, the bundled weights' of aachen_000004 and 5 with connected pieces as things:
STQ .109847, AQ .030368, SQ .397336, equal to 1e-15.
"""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.metrics.tracking import (
    TubeCounts,
    Tubes,
    add_tubes,
    association_quality,
    quality_matrix,
    segmentation_quality,
    stq,
)

CLASSES, THINGS = 4, (1, 3)


def sequence(seed, frames=4, size=(6, 8)):
    """Labels, ids, truth and true ids `[frames, h, w]`; the labels are the truth here and there."""
    rng = np.random.default_rng(seed)

    def classes():
        found = rng.integers(0, CLASSES + 1, (frames, *size))
        return np.where(found == CLASSES, 255, found).astype(np.uint8)

    truth, true_ids = classes(), rng.integers(0, 4, (frames, *size))
    kept = rng.random(truth.shape) < 0.6
    labels = np.where(kept, truth, classes()).astype(np.uint8)
    return labels, np.where(kept, true_ids, rng.integers(0, 4, truth.shape)), truth, true_ids


def slow_association(sequences):
    """Mean over true tubes of Σ over predicted tubes of |both|² / |either| / |true|."""
    found = []
    for labels, ids, truth, true_ids in sequences:
        crowd = np.isin(truth, THINGS) & (true_ids == 0)
        masks = {
            (which, number): (labels == which) & (ids == number) & ~crowd
            for which in THINGS
            for number in np.unique(ids)
        }
        for which in THINGS:
            for number in range(1, 4):
                tube = (truth == which) & (true_ids == number)
                if tube.any():
                    both = [((tube & mask).sum(), (tube | mask).sum()) for mask in masks.values()]
                    found.append(sum(one * one / either for one, either in both) / tube.sum())
    return np.mean(found)


def slow_quality(sequences):
    labels, truth = (np.concatenate([each[part].ravel() for each in sequences]) for part in (0, 2))
    labels, truth = labels[truth < CLASSES], truth[truth < CLASSES]
    ious = []
    for which in (*range(CLASSES), 255):
        either = ((labels == which) | (truth == which)).sum()
        if either:
            ious.append(((labels == which) & (truth == which)).sum() / either)
    return np.mean(ious)


def counted(sequences):
    parts = []
    for frames in sequences:
        tubes = Tubes(THINGS)
        for frame in zip(*frames, strict=True):
            tubes.add(*frame)
        parts.append(tubes.counts())
    return add_tubes(parts)


def test_both_halves_and_the_whole():
    sequences = [sequence(seed, frames) for seed, frames in enumerate((4, 1, 6))]
    matrix = sum(quality_matrix(labels, truth, CLASSES) for labels, _, truth, _ in sequences)
    quality, association = segmentation_quality(matrix), association_quality(counted(sequences))
    assert quality == pytest.approx(slow_quality(sequences), abs=1e-12)
    assert association == pytest.approx(slow_association(sequences), abs=1e-12)
    assert stq(association, quality) == pytest.approx(np.sqrt(association * quality))
    frame_by_frame = sum(
        quality_matrix(one, other, CLASSES)
        for labels, _, truth, _ in sequences
        for one, other in zip(labels, truth, strict=True)
    )
    assert (frame_by_frame == matrix).all()


def test_a_predicted_void_is_a_class_of_iou_0():
    truth = np.zeros((2, 5), np.uint8)
    labels = truth.copy()
    assert segmentation_quality(quality_matrix(labels, truth, 3)) == 1.0
    labels[0, 0] = 255
    assert segmentation_quality(quality_matrix(labels, truth, 3)) == pytest.approx((0.9 + 0) / 2)
    assert np.isnan(segmentation_quality(quality_matrix(labels, np.full_like(truth, 255), 3)))


def one_object(ids, true_ids, classes=1):
    """A thing of class 1 over two frames of 4 pixels each."""
    tubes = Tubes(THINGS)
    truth = np.ones((1, 4), np.uint8)
    for number, true in zip(ids, true_ids, strict=True):
        tubes.add(np.full_like(truth, classes), np.full((1, 4), number), truth, np.full((1, 4), true))
    return tubes.counts()


def test_a_changed_id_costs_half_and_a_wrong_class_nothing():
    assert one_object((5, 5), (7, 7)) == TubeCounts(1.0, 1)
    assert association_quality(one_object((5, 6), (7, 7))) == 0.5
    assert association_quality(one_object((5, 5), (7, 8))) == 0.5
    assert association_quality(one_object((5, 5), (7, 7), classes=3)) == 1.0
    assert association_quality(one_object((5, 5), (7, 7), classes=0)) == 0.0  # not predicted as a thing


def test_crowds_are_nobodys_tube():
    assert one_object((5, 5), (0, 0)) == TubeCounts(0.0, 0)
    assert np.isnan(association_quality(one_object((5, 5), (0, 0))))
    assert association_quality(one_object((5, 5), (7, 0))) == 1.0  # what lies on the crowd is not held against it


def test_what_does_not_fit_is_refused():
    tubes, labels = Tubes(THINGS), np.zeros((2, 2), np.uint8)
    with pytest.raises(InputError, match="one size is needed"):
        tubes.add(labels, np.zeros((2, 3), int), labels, np.zeros((2, 2), int))
    with pytest.raises(InputError, match="from 0 to 65535"):
        tubes.add(labels, np.full((2, 2), 70000), labels, np.zeros((2, 2), int))
