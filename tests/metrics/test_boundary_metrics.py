"""Boundary F-scores: by hand, against scipy's distance transform, and what must hold whatever the picture."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from dvsnet_jax.errors import InputError
from dvsnet_jax.metrics.boundary import (
    BoundaryCounts,
    boundary_counts,
    boundary_f,
    mean_boundary_f,
    pool_counts,
    tolerance_of,
)

SIZE = (40, 72)
"""Of most pictures here, and 5 classes and a tolerance of 3: every other choice compiles anew."""


def picture(*rows):
    return np.array([[255 if mark == "." else int(mark) for mark in row] for row in rows], np.uint8)


def as_lists(counts):
    return [np.asarray(field).tolist() for field in counts]


def blobs(seed, size, classes=5, *, void=True, smooth=3.0):
    """Rounded patches of a few classes, some of them void."""
    noise = np.random.default_rng(seed).random((classes + 1, *size))
    labels = gaussian_filter(noise, (0, smooth, smooth)).argmax(0).astype(np.uint8)
    labels[labels == classes] = 255 if void else 0
    return labels


def edge_at(column, size=SIZE):
    """Class 0 left of the column, 1 from there on."""
    return np.broadcast_to(np.arange(size[1]) >= column, size).astype(np.uint8)


def slow_boundary(labels, classes, number):
    """The pixels of a class beside another class, asked one at a time."""
    height, width = labels.shape
    found = np.zeros(labels.shape, bool)
    for y, x in np.argwhere(labels == number):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width and labels[v, u] < classes and labels[v, u] != number:
                found[y, x] = True
    return found


def slow_counts(labels, truth, classes, tolerance):
    labels = np.where(truth < classes, labels, 255)
    counts = []
    for number in range(classes):
        predicted, true = (slow_boundary(each, classes, number) for each in (labels, truth))
        near = [
            (distance_transform_edt(~other) <= tolerance) if other.any() else np.zeros(other.shape, bool)
            for other in (true, predicted)
        ]
        counts.append([predicted.sum(), (predicted & near[0]).sum(), true.sum(), (true & near[1]).sum()])
    return np.array(counts).T.tolist()


def test_by_hand():
    truth = picture("0001111", "0001111", "0001122")
    labels = picture("0111111", "0001111", "0001112")
    # With 0 the same pixel is needed. Class 0: predicted (0,0) (1,1) (1,2) (2,2), true (0..2, 2).
    counts = boundary_counts(labels, truth, 3, tolerance=0)
    assert as_lists(counts) == [[4, 6, 1], [2, 3, 1], [3, 6, 2], [2, 3, 1]]
    precision, recall = np.array([2 / 4, 3 / 6, 1]), np.array([2 / 3, 3 / 6, 1 / 2])
    assert boundary_f(counts) == pytest.approx(2 * precision * recall / (precision + recall))
    assert mean_boundary_f(counts) == pytest.approx(np.mean(2 * precision * recall / (precision + recall)))
    assert all(field.dtype == jnp.int32 for field in counts)
    # With 1 the neighbours to the sides are near too: of class 0 all but (0,0) is right, and all that is true is found.
    nearer = as_lists(boundary_counts(labels, truth, 3, tolerance=1))
    assert nearer == [[4, 6, 1], [3, 5, 1], [3, 6, 2], [3, 6, 2]]


def test_both_sides_of_an_edge_and_not_the_rim():
    counts = boundary_counts(edge_at(4, (3, 9)), edge_at(4, (3, 9)), 2, tolerance=0)
    assert as_lists(counts) == [[3, 3]] * 4
    assert as_lists(boundary_counts(edge_at(0), edge_at(0), 5, tolerance=3)) == [[0] * 5] * 4


def test_corners_do_not_touch():
    """Class 1 meets class 2 over a corner alone, and class 0 over its sides."""
    corner = picture("0110", "0110", "2000")
    assert as_lists(boundary_counts(corner, corner, 3, tolerance=0))[2] == [6, 4, 1]


@pytest.mark.parametrize(("tolerance", "near"), [(4, 0), (5, 1), (6, 1)])
@pytest.mark.parametrize("offset", [(3, 4), (-4, 3), (5, 0), (0, -5)])
def test_the_disc_is_euclidean_and_its_rim_belongs_to_it(tolerance, near, offset):
    truth, labels = np.zeros((2, 20, 24), np.uint8)
    truth[9, 11] = 1
    labels[9 + offset[0], 11 + offset[1]] = 1
    counts = as_lists(boundary_counts(labels, truth, 2, tolerance=tolerance))
    assert [field[1] for field in counts] == [1, near, 1, near]


def test_void_has_no_outline():
    """An edge behind a strip of void is asked of nobody, and what is predicted in the strip does not count."""
    truth = picture("00..11", "00..11")
    for labels in (truth, picture("000111", "000111"), picture("002011", "001211")):
        assert as_lists(boundary_counts(labels, truth, 3, tolerance=1)) == [[0] * 3] * 4
    # Nor does an edge that the prediction draws along the rim of the void.
    assert as_lists(boundary_counts(picture("001111", "001111"), truth, 3, tolerance=1)) == [[0] * 3] * 4
    # Outside of the strip it does: class 1 is where 0 should be.
    assert as_lists(boundary_counts(picture("010011", "010011"), truth, 3, tolerance=1))[:2] == [[2, 2, 0], [0] * 3]


def test_a_void_prediction_misses_the_edge():
    truth, labels = picture("000111", "000111"), picture("00..11", "00..11")
    assert as_lists(boundary_counts(labels, truth, 2, tolerance=1)) == [[0, 0], [0, 0], [2, 2], [0, 0]]


@pytest.mark.parametrize("void", [5, 17, 200, 255])
def test_any_label_past_the_classes_is_void(void):
    truth, labels = blobs(1, SIZE), blobs(2, SIZE)
    expected = as_lists(boundary_counts(labels, truth, 5, tolerance=3))
    for each in (truth, labels):
        each[each == 255] = void
    assert as_lists(boundary_counts(labels, truth, 5, tolerance=3)) == expected


@pytest.mark.parametrize(
    ("size", "classes", "tolerance"),
    [(SIZE, 5, 0), (SIZE, 5, 3), ((72, 40), 5, 7), ((33, 57), 19, 4), ((9, 31), 4, 12), ((1, 30), 3, 2)],
)
def test_equal_to_a_distance_transform(size, classes, tolerance):
    truth = blobs(7, size, classes, smooth=2.0)
    labels = np.roll(truth, (1, 2), (0, 1))
    half = size[1] // 2
    labels[:, half:] = blobs(8, size, classes, smooth=2.0)[:, half:]
    counts = as_lists(boundary_counts(labels, truth, classes, tolerance=tolerance))
    assert counts == slow_counts(labels, truth, classes, tolerance)
    assert (truth == 255).any() and 0 < sum(counts[1]) <= sum(counts[0])


def test_more_classes_than_bits_in_a_word():
    """32 classes are dilated at a time: 31, 32 and 64 are where one word ends and the next begins."""
    names = np.array([0, 31, 32, 33, 63, 64, 69, 255], np.uint8)
    truth, labels = (names[blobs(seed, SIZE, 8, void=False, smooth=2.0)] for seed in (3, 4))
    assert as_lists(boundary_counts(labels, truth, 70, tolerance=2)) == slow_counts(labels, truth, 70, 2)


def test_a_perfect_prediction():
    truth = blobs(0, SIZE)
    scores = boundary_f(boundary_counts(truth, truth, 5, tolerance=0))
    assert scores == pytest.approx([1] * 5)
    assert mean_boundary_f(boundary_counts(truth, truth, 5, tolerance=0)) == 1
    # Classes that are nowhere do not lower the mean.
    assert mean_boundary_f(boundary_counts(edge_at(20), edge_at(20), 5, tolerance=0)) == 1


@pytest.mark.parametrize("shift", [1, 2, 3, 4, 5])
def test_a_shift_within_the_tolerance_is_free(shift):
    score = mean_boundary_f(boundary_counts(edge_at(20 + shift), edge_at(20), 5, tolerance=3))
    assert score == (1 if shift <= 3 else 0)


def test_a_larger_tolerance_is_milder():
    truth, labels = blobs(5, SIZE), blobs(6, SIZE)
    scores = [mean_boundary_f(boundary_counts(labels, truth, 5, tolerance=by)) for by in (0, 3, 7)]
    assert scores == sorted(scores) and scores[0] < scores[-1] < 1


def test_swapping_the_two_swaps_precision_and_recall():
    a, b = blobs(5, SIZE, void=False), blobs(6, SIZE, void=False)
    there, back = boundary_counts(a, b, 5, tolerance=3), boundary_counts(b, a, 5, tolerance=3)
    assert as_lists(there) == as_lists(back)[2:] + as_lists(back)[:2]
    np.testing.assert_allclose(boundary_f(there), boundary_f(back))


def test_only_one_has_the_class():
    counts = boundary_counts(edge_at(72), edge_at(20), 5, tolerance=3)
    assert boundary_f(counts) == pytest.approx([0, 0, *[math.nan] * 3], nan_ok=True)
    assert boundary_f(boundary_counts(edge_at(20), edge_at(72), 5, tolerance=3))[0] == 0
    assert mean_boundary_f(counts) == 0
    assert math.isnan(mean_boundary_f(boundary_counts(edge_at(72), edge_at(72), 5, tolerance=3)))


def test_counts_add_up():
    truths, labels = (np.stack([blobs(seed + n, SIZE) for n in range(3)]) for seed in (10, 20))
    each = [boundary_counts(a, b, 5, tolerance=3) for a, b in zip(labels, truths, strict=True)]
    pooled = pool_counts(iter(each))
    assert isinstance(pooled, BoundaryCounts) and pooled.true.dtype == np.int64
    assert as_lists(pooled) == np.sum([as_lists(counts) for counts in each], 0).tolist()
    added = jax.tree.map(jnp.add, jax.tree.map(jnp.add, each[0], each[1]), each[2])
    assert as_lists(added) == as_lists(pooled)
    assert as_lists(boundary_counts(labels, truths, 5, tolerance=3)) == as_lists(pooled)  # as a batch
    np.testing.assert_array_equal(boundary_f(added), boundary_f(pooled))
    # Past what an int32 holds: 3 × 2³⁰.
    many = [BoundaryCounts(*[np.full(2, 2**30, np.int32)] * 4)] * 3
    assert pool_counts(many).predicted.tolist() == [3 * 2**30] * 2
    assert mean_boundary_f(pool_counts(many)) == 1


def test_inside_jit():
    truth, labels = blobs(5, SIZE), blobs(6, SIZE)
    inside = jax.jit(lambda a, b: boundary_counts(a, b, 5, tolerance=3))(labels, truth)
    assert as_lists(inside) == as_lists(boundary_counts(labels, truth, 5, tolerance=3))


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(1024, 2048, 18), (480, 854, 8), (3, 4, 1), (240, 320, 3), (241, 320, 4)]
)
def test_the_usual_tolerance(height, width, expected):
    assert tolerance_of(height, width) == expected


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match=r"\[40, 72\] and truth \[40, 73\]"):
        boundary_counts(edge_at(3), edge_at(3, (40, 73)), 2, tolerance=1)
    with pytest.raises(InputError, match=r"\[1, 40, 72\] and truth \[40, 72\]"):
        boundary_counts(edge_at(3)[None], edge_at(3), 2, tolerance=1)
    with pytest.raises(InputError, match=r"\[72\] and truth \[72\]"):
        boundary_counts(edge_at(3)[0], edge_at(3)[0], 2, tolerance=1)
    with pytest.raises(InputError, match="tolerance is -1"):
        boundary_counts(edge_at(3), edge_at(3), 2, tolerance=-1)
    with pytest.raises(InputError, match="at least one picture"):
        pool_counts([])
