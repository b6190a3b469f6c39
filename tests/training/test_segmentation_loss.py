"""The loss against sums written out in numpy: void, class weights, hard pixels, every n-th pixel."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax.training.segmentation_loss import cross_entropy, weights_by_frequency

RNG = np.random.default_rng(0)
SCORES = RNG.normal(scale=2, size=(2, 4, 5, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, (2, 16, 20)).astype(np.uint8)
LABELS[RNG.random(LABELS.shape) < 0.2] = 255
LABELS[0, 0, :3] = (3, 100, 254)  # no classes either
WEIGHTS = np.array([0.5, 2, 6], np.float32)


QUICK = {"xla_backend_optimization_level": 0}  # to compile, which is all the time these tests take


@partial(jax.jit, static_argnames=("hard_confidence", "every"), compiler_options=QUICK)
def with_gradient(scores, labels, class_weights=None, **options):
    loss = partial(cross_entropy, labels=labels, class_weights=class_weights, **options)
    return jax.value_and_grad(loss)(scores)


def value(*args, **options):
    return float(with_gradient(*args, **options)[0])


def upsampled(scores, size):
    """Output pixel i samples i · in / out, the border repeated: as inference upsamples scores."""
    for axis, out in zip((1, 2), size, strict=True):
        position = np.arange(out) * scores.shape[axis] / out
        low = position.astype(int)
        high = np.minimum(low + 1, scores.shape[axis] - 1)
        share = np.expand_dims(position - low, tuple(a for a in range(4) if a != axis))
        scores = scores.take(low, axis) * (1 - share) + scores.take(high, axis) * share
    return scores


def pixel_losses(scores, labels):
    """-log softmax of the true class, and which pixels have one."""
    scores = upsampled(scores.astype(np.float64), labels.shape[1:])
    probability = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    known = labels < scores.shape[-1]
    true = np.take_along_axis(probability, np.where(known, labels, 0)[..., None].astype(int), -1)[..., 0]
    return -np.log(true), known


def test_mean_over_labelled_pixels():
    losses, known = pixel_losses(SCORES, LABELS)
    assert 0.7 < known.mean() < 0.85
    assert value(SCORES, LABELS) == pytest.approx(losses[known].mean(), rel=1e-5)


def test_void_pixels_change_nothing():
    """Neither the value nor the gradient, whatever is predicted there."""
    labels = np.full((1, 4, 4), 255, np.uint8)
    labels[0, :2, :2] = 1
    scores = RNG.normal(size=(1, 4, 4, 3)).astype(np.float32)
    other = scores.copy()
    other[0, 2:] += 50 * RNG.normal(size=other[0, 2:].shape)
    assert value(scores, labels) == value(other, labels)
    gradient = np.asarray(with_gradient(other, labels)[1])
    assert np.isfinite(gradient).all() and not gradient[0, 2:].any() and not gradient[0, :2, 2:].any()
    assert gradient[0, :2, :2].all()


@pytest.mark.parametrize("options", [{}, {"hard_share": 0.3}, {"class_weights": WEIGHTS}])
def test_nothing_labelled_is_zero_not_nan(options):
    loss, gradient = with_gradient(SCORES, np.full_like(LABELS, 255), **options)
    assert loss == 0 and not np.any(gradient)


def test_class_weights_divide_by_their_sum():
    losses, known = pixel_losses(SCORES, LABELS)
    weights = WEIGHTS[LABELS[known]]
    expected = (losses[known] * weights).sum() / weights.sum()
    assert value(SCORES, LABELS, class_weights=WEIGHTS) == pytest.approx(expected, rel=1e-5)
    assert value(SCORES, LABELS, class_weights=7 * WEIGHTS) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("absent", [0, 1, 1e7])
def test_classes_that_are_not_there_weigh_nothing(absent):
    """Were the weights' sum over classes what divides, absent ones of 1 / pixels² would be all that counts, and right
    and wrong labels the same."""
    truth = np.zeros((1, 8, 8), np.uint8)
    truth[:, :, 4:] = 2
    weights = np.full(19, absent, np.float32)
    weights[[0, 2]] = 1e-3
    right, changed, road = (
        value(20 * np.eye(19, dtype=np.float32)[labels], truth, weights) for labels in (truth, 2 - truth, 0 * truth)
    )
    assert right < 1e-3 and changed == pytest.approx(20, abs=0.01) and road == pytest.approx(10, abs=0.01)


def test_every_nth_pixel():
    losses, known = pixel_losses(SCORES, LABELS[:, ::3, ::3])
    assert known.shape == (2, 6, 7)
    assert value(SCORES, LABELS, every=3) == pytest.approx(losses[known].mean(), rel=1e-5)


def scores_of(probabilities):
    """Scores [1, 1, n, 2] whose first class has these probabilities, on the labels' own grid; some are all larger."""
    p = np.asarray(probabilities, np.float64)
    larger = 3 * np.arange(len(p))
    return (np.log(np.stack([p, 1 - p], -1)) + larger[:, None])[None, None].astype(np.float32)


def counted(probabilities, labels, **options):
    """Which pixels have a gradient."""
    _, gradient = with_gradient(scores_of(probabilities), np.asarray(labels, np.uint8)[None, None], **options)
    return np.flatnonzero(np.asarray(gradient)[0, 0, :, 0]).tolist()


def test_hard_share_keeps_what_is_below_the_confidence():
    # 0.7 is the confidence: the pixels with less, and no other, where they are more than the share
    probabilities = [0.9, 0.69, 0.2, 0.71, 0.5, 0.99, 0.95, 0.8, 0.999, 0.9]
    assert counted(probabilities, [0] * 10, hard_share=0.1) == [1, 2, 4]
    expected = -np.log([0.69, 0.2, 0.5]).mean()
    assert value(scores_of(probabilities), np.zeros((1, 1, 10), np.uint8), hard_share=0.1) == pytest.approx(expected)
    assert counted(probabilities, [0] * 10, hard_share=0.1, hard_confidence=0.4) == [2, 4]  # at least the share


def test_hard_share_keeps_at_least_the_share_of_the_labelled():
    # None is below the confidence. Of ten labelled 30 %: the threshold is the loss after the third largest.
    probabilities = [0.99, 0.8, 0.91, 0.98, 0.85, 0.92, 0.93, 0.94, 0.95, 0.96]
    assert counted(probabilities, [0] * 10, hard_share=0.3) == [1, 2, 4, 5]
    # Void pixels are neither kept nor counted, however wrong: of five labelled 30 % is one, and the one after.
    probabilities, labels = [0.99, 0.8, 0.91, 0.98, 0.85, *[0.01] * 5], [0] * 5 + [255] * 5
    assert counted(probabilities, labels, hard_share=0.3) == [1, 4]
    assert counted(probabilities, labels, hard_share=1.0) == [0, 1, 2, 3, 4]


def test_hard_pixels_are_weighted_by_class_afterwards():
    probabilities, labels = [0.5, 0.4, 0.9], np.array([[[0, 1, 0]]], np.uint8)  # the second's class has 0.6
    got = value(scores_of(probabilities), labels, hard_share=0.1, class_weights=np.float32([1, 3]))
    assert got == pytest.approx((-np.log(0.5) - 3 * np.log(0.6)) / 4, rel=1e-5)


def test_gradient_is_that_of_the_mean():
    """(softmax - one hot) / pixels, on the labels' own grid."""
    scores = RNG.normal(size=(1, 3, 4, 3)).astype(np.float32)
    labels = np.uint8([[[0, 1, 2, 255], [2, 2, 2, 2], [255, 255, 0, 0]]])
    _, gradient = with_gradient(scores, labels)
    softmax = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = (softmax - np.eye(256)[labels][..., :3]) * (labels < 3)[..., None] / 9
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_loss_is_float32_of_bfloat16_scores():
    got, gradient = with_gradient(jnp.asarray(SCORES, jnp.bfloat16), LABELS)
    assert got.dtype == jnp.float32 and gradient.dtype == jnp.bfloat16
    assert float(got) == pytest.approx(value(SCORES, LABELS), rel=1e-2)


def test_weights_by_frequency():
    # shares 0.64, 0.04, 0.16, 0.16: the median is 0.16
    np.testing.assert_allclose(weights_by_frequency(np.array([64, 4, 16, 16])), [0.5, 2, 1, 1])
    np.testing.assert_allclose(weights_by_frequency(np.array([64, 4, 16, 16]), most=1.5), [0.5, 1.5, 1, 1])
    np.testing.assert_allclose(weights_by_frequency(np.array([64, 4, 16, 16]), power=1), [0.25, 4, 1, 1])
    # a class without a pixel has no part in the median
    np.testing.assert_allclose(weights_by_frequency(np.array([64, 0, 16, 4])), [0.5, 1, 1, 2])
    assert weights_by_frequency(np.zeros(3, int)).tolist() == [1, 1, 1]
