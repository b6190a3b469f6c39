"""Confusion matrices, IoU and accuracy: by hand, pixel by pixel, and against TensorFlow's own mean_iou."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dvsnet_jax.datasets.cityscapes import CLASSES, TRAIN_IDS
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics.segmentation import (
    class_ious,
    confusion_matrix,
    frequency_weighted_iou,
    mean_iou,
    pixel_accuracy,
    shift,
)


def picture(*rows):
    return np.array(rows, np.uint8)


TRUTH = picture([0, 0, 1, 1], [1, 1, 255, 3])  # of three classes: 255 and 3 are void
LABELS = picture([0, 1, 1, 1], [0, 0, 2, 2])
MATRIX = [[1, 1, 0], [2, 2, 0], [0, 0, 0]]
"""Rows are the truth. Class 2 is predicted on void pixels only, so it is nowhere."""


def test_by_hand():
    matrix = np.asarray(confusion_matrix(LABELS, TRUTH, 3))
    assert matrix.tolist() == MATRIX
    assert class_ious(matrix) == pytest.approx([1 / 4, 2 / 5, math.nan], nan_ok=True)
    assert mean_iou(matrix) == pytest.approx((1 / 4 + 2 / 5) / 2)
    assert mean_iou(matrix, absent="zero") == pytest.approx((1 / 4 + 2 / 5) / 3)
    assert pixel_accuracy(matrix) == pytest.approx(3 / 6)


def test_a_class_only_predicted_or_only_true_is_wrong_not_absent():
    only_predicted = confusion_matrix(picture([0, 2]), picture([0, 0]), 3)
    assert class_ious(only_predicted) == pytest.approx([0.5, math.nan, 0], nan_ok=True)
    assert mean_iou(only_predicted) == pytest.approx(0.25)
    only_true = confusion_matrix(picture([0, 0]), picture([0, 2]), 3)
    assert class_ious(only_true) == pytest.approx([0.5, math.nan, 0], nan_ok=True)


def test_nothing_labelled():
    matrix = confusion_matrix(LABELS, np.full_like(TRUTH, 255), 3)
    assert not np.any(matrix)
    assert math.isnan(mean_iou(matrix)) and math.isnan(pixel_accuracy(matrix))
    assert mean_iou(matrix, absent="zero") == 0


def test_labels_that_are_no_class_do_not_spill_into_other_cells():
    matrix = confusion_matrix(picture([255, 3, 0]), picture([0, 1, 0]), 3)
    assert np.asarray(matrix).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64])
def test_void_as_minus_one_is_no_class(kind):
    """Where it counted as class 0, void would be road, and right wherever road is predicted."""
    labels, truth = np.array([[0, 1, 0, -1], [2, -1, 1, 1]], kind), np.array([[0, 1, -1, 1], [2, 0, -1, 0]], kind)
    assert np.asarray(confusion_matrix(labels, truth, 3)).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("num_classes", [19, 124, 255])
def test_ids_are_not_multiplied_in_their_own_type(num_classes):
    """uint8 wraps at 256: of 19 classes those from 14 on would be counted as others."""
    truth = np.arange(num_classes, dtype=np.uint8).repeat(2).reshape(2, -1)
    matrix = np.asarray(confusion_matrix(truth, truth, num_classes))
    np.testing.assert_array_equal(matrix, 2 * np.eye(num_classes))
    assert mean_iou(matrix) == 1
    mistaken = np.asarray(confusion_matrix(num_classes - 1 - truth, truth, num_classes))
    np.testing.assert_array_equal(mistaken, 2 * np.eye(num_classes)[::-1])


@pytest.mark.parametrize("measure", [class_ious, mean_iou, pixel_accuracy, frequency_weighted_iou])
def test_a_sum_that_ran_over_is_no_number(measure):
    """More pixels of one class than 32 bits count: those of 1025 pictures of 1024×2048."""
    one = np.array([[2**21, 0], [0, 5]], np.int32)
    assert measure(sum(one.astype(np.int64) for _ in range(1025))) == pytest.approx(1)
    with pytest.raises(InputError, match=r"holds -21\d+ pixels, expected 0 or more.*int64"):
        measure(sum(one for _ in range(1025)))


def test_ious_are_those_of_cityscapes_scripts_over_all_pictures_together():
    """TP / (TP + FP + FN), each counted pixel by pixel with void left out, as evalPixelLevelSemanticLabeling does."""
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 19, (2, 3, 20, 30)).astype(np.uint8)
    labels = np.where(rng.random(truth.shape) < 0.6, truth, labels)
    truth[rng.random(truth.shape) < 0.1] = 255
    truth[truth == 7] = 8  # a class that is predicted by mistake alone
    matrix = sum(np.asarray(confusion_matrix(a, b, 19)) for a, b in zip(labels, truth, strict=True))
    counts = truth != 255
    expected = []
    for number in range(19):
        hits = ((labels == number) & (truth == number)).sum()
        wrong = ((labels == number) & (truth != number) & counts).sum()
        missed = ((labels != number) & (truth == number)).sum()
        expected.append(hits / (hits + wrong + missed))
    assert expected[7] == 0
    np.testing.assert_allclose(class_ious(matrix), expected, rtol=1e-12)
    assert mean_iou(matrix) == pytest.approx(np.mean(expected), rel=1e-12)
    assert pixel_accuracy(matrix) == pytest.approx((labels == truth)[counts].mean(), rel=1e-12)


def test_mean_iou_is_what_cityscapes_scripts_prints(tmp_path):
    """The files that the benchmark's own evaluation reads, with every id there is, and one class that is nowhere."""
    scripts = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    rng = np.random.default_rng(1)
    matrix, files = np.zeros((19, 19), np.int64), []
    for number in range(3):
        ids = rng.integers(0, 34, (40, 60)).astype(np.uint8)
        ids[ids == 31] = 0  # a train: in neither
        truth = np.array(TRAIN_IDS, np.uint8)[ids]
        labels = np.where((truth < 19) & (rng.random(truth.shape) < 0.7), truth, rng.integers(0, 16, truth.shape))
        matrix += np.asarray(confusion_matrix(labels.astype(np.uint8), truth, 19))
        files.append([tmp_path / f"{kind}_{number:06d}_000019_gtFine_labelIds.png" for kind in ("predicted", "true")])
        stored = np.array([TRAIN_IDS.index(train_id) for train_id in range(19)], np.uint8)[labels]
        for path, image in zip(files[-1], (stored, ids), strict=True):
            write_png(path, image)
    scripts.args.quiet, scripts.args.evalInstLevelScore, scripts.args.JSONOutput = True, False, False
    expected = scripts.evaluateImgLists(*(list(map(str, paths)) for paths in zip(*files, strict=True)), scripts.args)
    assert math.isnan(class_ious(matrix)[16]) and mean_iou(matrix) == pytest.approx(
        expected["averageScoreClasses"], abs=1e-6
    )
    theirs = [expected["classScores"][name] for name in CLASSES]
    np.testing.assert_allclose(class_ious(matrix), theirs, atol=1e-6)


@pytest.mark.parametrize("case", ["c19", "c19_absent", "c19_gt_absent_only", "c21"])
def test_the_originals_metric(goldens, case):
    """TensorFlow's streaming mean_iou, after each of three batches; absent classes are 0 there."""
    arrays, running = goldens.arrays("miou"), goldens.json("miou")[f"{case}|gather"]
    classes, matrix = running["num_classes"], 0
    batches = zip(*(np.array_split(arrays[f"{case}_{name}"], 3) for name in ("pred", "gt")), strict=True)
    for (labels, truth), expected in zip(batches, running["running_miou"], strict=True):
        matrix = matrix + np.asarray(confusion_matrix(labels, truth, classes))
        assert mean_iou(matrix, absent="zero") == pytest.approx(expected, abs=1e-6)
    np.testing.assert_array_equal(matrix, arrays[f"{case}_cm"])


def test_vspws_means_are_over_true_classes_and_by_their_pixels():
    """As VSPW's Evaluator does: a class that is predicted by mistake alone is not in the mean."""
    matrix = np.array([[3, 1, 0, 0], [0, 4, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert mean_iou(matrix, absent="untrue") == pytest.approx((3 / 4 + 4 / 7) / 2)
    assert mean_iou(matrix) == pytest.approx((3 / 4 + 4 / 7 + 0) / 3)
    assert frequency_weighted_iou(matrix) == pytest.approx(3 / 4 * 0.4 + 4 / 7 * 0.6)
    nothing = np.zeros((2, 2), int)
    assert math.isnan(mean_iou(nothing, absent="untrue")) and math.isnan(frequency_weighted_iou(nothing))


def test_labels_counted_from_one_are_plain_and_nothing_else_is():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 18, (64, 64), np.uint8)
    found = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 19, truth.shape), truth).astype(np.uint8)

    def by(labels, true):
        return shift(confusion_matrix(labels, true, 19))

    assert by(found, truth + 1) == 1 and by(found + 1, truth) == -1
    assert by(found, truth) == 0 and by(rng.permutation(19)[found].astype(np.uint8), truth) == 0
    assert by(np.full_like(truth, 255), truth) == 0 and shift(np.zeros((19, 19), np.int64)) == 0
    # A network that says one class for everything, where most of the picture is the next one.
    assert by(np.full_like(truth, 3), np.where(truth < 15, 4, truth)) == 0
