"""Augmentation keeps labels on what they label, and flow on what moves."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.datasets.augment.flow import FlowAugmentation, augment_flow
from dvsnet_jax.datasets.augment.labelled import (
    FILL,
    ColorChange,
    ColorRange,
    LabelledAugmentation,
    SharpnessChange,
    augment_labelled,
)
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import resize_image, resize_labels

STILL = ColorRange(brightness=0, contrast=0, saturation=0, hue=0, gamma=0, noise=0)


def labelled(height=40, width=60):
    """Labels that can be read off the picture: the label is the red value over 10."""
    labels = (np.arange(height)[:, None] // 8 + 5 * (np.arange(width) // 10)).astype(np.uint8) % 19
    return LabelledImage(np.stack([10 * labels, 255 - 10 * labels, np.full_like(labels, 7)], -1), labels)


@pytest.mark.parametrize("seed", range(8))
def test_labels_stay_on_their_pixels(seed):
    limits = LabelledAugmentation(crop=(48, 32), scale=(0.5, 2.0), color=STILL)
    image, labels = augment_labelled(labelled(), np.random.default_rng(seed), limits)
    assert image.shape == (48, 32, 3) and labels.shape == (48, 32) and labels.dtype == image.dtype == np.uint8
    outside = labels == 255
    np.testing.assert_array_equal(image[outside], np.broadcast_to(FILL, (outside.sum(), 3)))
    # Inside, where the bilinear picture mixes nothing, red says the label.
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    pure = ~outside & (blue == 7) & (red % 10 == 0) & (red + green == 255)
    assert (image[..., 0] // 10 == labels)[pure].mean() > 0.95 and pure.sum() > 200


@pytest.mark.parametrize("size", [(16, 24), (21, 31), (128, 192), (90, 130)])
def test_resized_labels_lie_where_their_picture_does(size):
    columns = np.broadcast_to(np.arange(0, 192, 2, np.uint8), (64, 96))  # each pixel's place, twice
    picture = resize_image(np.repeat(columns[..., None], 3, axis=2), size)[..., 0]
    aside = resize_labels(columns, size).astype(float) - picture
    within = aside[:, 4:-4] / 2  # in old pixels; at the edges a picture repeats itself
    assert np.abs(within).max() <= 1 and abs(within.mean()) <= 0.51  # of two in the middle either


def test_nothing_allowed_changes_nothing():
    limits = LabelledAugmentation(crop=(40, 60), scale=(1, 1), stretch=0, flip=0, color=STILL)
    sample = labelled()
    image, labels = augment_labelled(sample, np.random.default_rng(0), limits)
    np.testing.assert_array_equal(image, sample.image)
    np.testing.assert_array_equal(labels, sample.labels)


def test_a_flip_turns_both_round():
    limits = LabelledAugmentation(crop=(40, 60), scale=(1, 1), stretch=0, flip=1, color=STILL)
    sample = labelled()
    image, labels = augment_labelled(sample, np.random.default_rng(0), limits)
    np.testing.assert_array_equal(image, sample.image[:, ::-1])
    np.testing.assert_array_equal(labels, sample.labels[:, ::-1])


def test_one_seed_one_result_and_colours_do_change():
    limits = LabelledAugmentation(crop=(24, 24))
    results = [augment_labelled(labelled(), np.random.default_rng(seed), limits) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(results[0].image, results[1].image)
    assert (results[0].image != results[2].image).mean() > 0.5
    gray = np.full((8, 8, 3), 100, np.uint8)
    changed = ColorChange.draw(np.random.default_rng(0), ColorRange(noise=0)).apply(gray)
    assert np.ptp(changed.astype(int), axis=-1).max() <= 1  # gray stays gray: hue turns around it
    assert abs(int(changed[0, 0, 0]) - 100) > 1
    np.testing.assert_array_equal(ColorChange.draw(np.random.default_rng(0), STILL).apply(gray), gray)


def test_every_part_of_a_picture_can_be_cropped():
    limits = LabelledAugmentation(crop=(8, 8), scale=(1, 1), stretch=0, flip=0, color=STILL)
    corners = np.zeros((10, 10, 3), np.uint8)
    corners[..., 0] = np.arange(100).reshape(10, 10)
    sample = LabelledImage(corners, np.zeros((10, 10), np.uint8))
    rng = np.random.default_rng(0)
    starts = {int(augment_labelled(sample, rng, limits).image[0, 0, 0]) for _ in range(200)}
    assert starts == {10 * row + column for row in range(3) for column in range(3)}


def test_of_several_crops_the_one_of_most_classes_is_taken():
    """A patch of ten classes in a corner of one: a single crop meets it rarely, the best of eighty mostly."""
    labels = np.zeros((80, 80), np.uint8)
    labels[:10, :10] = np.arange(10)
    sample = LabelledImage(np.zeros((80, 80, 3), np.uint8), labels)

    def met(tries):
        limits = LabelledAugmentation(crop=(16, 16), scale=(1, 1), stretch=0, tries=tries)
        crops = [augment_labelled(sample, np.random.default_rng(seed), limits).labels for seed in range(40)]
        return np.mean([len(np.unique(crop)) > 1 for crop in crops])

    assert met(1) < 0.2 and met(80) > 0.6
    # Void is no class: crops half outside of the picture are not chosen for it.
    limits = LabelledAugmentation(crop=(80, 80), scale=(0.5, 1), stretch=0, tries=12)
    plain = sample._replace(labels=np.zeros_like(labels))
    void = [(augment_labelled(plain, np.random.default_rng(seed), limits).labels == 255).mean() for seed in range(20)]
    assert np.mean(void) < 0.15


def test_sharpness_softens_or_sharpens_and_leaves_labels():
    rng = np.random.default_rng(0)
    sample = LabelledImage(np.repeat(rng.integers(60, 190, (20, 30, 1), np.uint8).repeat(2, 0).repeat(2, 1), 3, -1),
                           rng.integers(0, 19, (40, 60), np.uint8))  # fmt: skip
    still = {"crop": (40, 60), "scale": (1, 1), "stretch": 0, "flip": 0, "color": STILL}

    def spread(image):
        return np.abs(np.diff(image[..., 0].astype(int), axis=1)).mean()

    spreads = []
    for seed in range(30):
        result = augment_labelled(sample, np.random.default_rng(seed), LabelledAugmentation(**still, sharpness=1))
        np.testing.assert_array_equal(result.labels, sample.labels)
        assert result.image.dtype == np.uint8 and abs(result.image.mean() - sample.image.mean()) < 3
        spreads.append(spread(result.image) / spread(sample.image))
    assert min(spreads) < 0.6 and max(spreads) > 1.2
    assert 8 <= sum(value < 1 for value in spreads) <= 22
    same = augment_labelled(sample, np.random.default_rng(0), LabelledAugmentation(**still, sharpness=0))
    np.testing.assert_array_equal(same.image, sample.image)
    flat = np.full((9, 7, 3), 80, np.uint8)
    for change in (SharpnessChange((2.5, 1.3), 0), SharpnessChange((1, 1), 1.5)):
        np.testing.assert_array_equal(change.apply(flat), flat)
    # Down and across apart: a picture of columns does not mind what is done down.
    columns = np.repeat(np.repeat(rng.integers(0, 256, (1, 40, 1), np.uint8), 24, 0), 3, -1)
    np.testing.assert_array_equal(SharpnessChange((2, 1), 0).apply(columns), columns)
    assert (SharpnessChange((1, 2), 0).apply(columns) != columns).mean() > 0.3


def street_pair(seed=3):
    scene = StreetScene(seed, 96, 160, frames=4)
    flow, visible = scene.flow(2, 0)
    return FlowPair(scene.draw(2, clean=True)[0], scene.draw(0, clean=True)[0], flow, visible)


def warp(image, flow):
    """The second picture put where the first has things; and where that is inside."""
    height, width = flow.shape[:2]
    x, y = np.arange(width) + flow[..., 0], np.arange(height)[:, None] + flow[..., 1]
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    left, top = np.clip(x.astype(int), 0, width - 2), np.clip(y.astype(int), 0, height - 2)
    right, down = (np.clip(v, 0, 1)[..., None] for v in (x - left, y - top))
    a, b, c, d = (image[top + i, left + j].astype(float) for i in (0, 1) for j in (0, 1))
    return (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d), inside


@pytest.mark.parametrize("seed", range(6))
def test_augmented_flow_still_warps_one_picture_onto_the_other(seed):
    limits = FlowAugmentation(crop=(64, 96), color=STILL, jitter_zoom=0.05, jitter_rotation=3, jitter_shift=0.04)
    pair = street_pair()
    first, second, flow, valid = augment_flow(pair, np.random.default_rng(seed), limits)
    assert first.shape == second.shape == (64, 96, 3) and flow.shape == (64, 96, 2) and flow.dtype == np.float32
    assert valid.mean() > 0.5
    warped, inside = warp(second, flow)
    empty = (second == FILL).all(-1)
    use = valid & inside & ~(warp(np.repeat(empty[..., None], 3, -1) * 1.0, flow)[0][..., 0] > 0)
    error, copied = (np.abs(other.astype(float) - first).mean(-1)[use] for other in (warped, second))
    assert error.mean() < 0.7 * copied.mean()


@pytest.mark.parametrize("seed", range(6))
def test_augmented_flow_is_exact_where_nothing_is_sharp(seed):
    y, x = np.mgrid[:100, :140].astype(float)
    flow = np.stack([4 + 0.03 * x - 0.02 * y, -2 + 0.02 * x + 0.04 * y], -1)

    def picture(x, y):
        waves = [np.sin(x / 9 + y / 23 + k) + np.cos(y / 11 - x / 17 - k) for k in range(3)]
        return np.rint(127 + 60 * np.stack(waves, -1)).clip(0, 255).astype(np.uint8)

    pair = FlowPair(picture(x + flow[..., 0], y + flow[..., 1]), picture(x, y), flow.astype(np.float32), x >= 0)
    limits = FlowAugmentation(crop=(64, 90), color=STILL, jitter_zoom=0.05, jitter_rotation=3, jitter_shift=0.04)
    first, second, changed, valid = augment_flow(pair, np.random.default_rng(seed), limits)
    warped, inside = warp(second, changed)
    whole = warp(1.0 * np.repeat((second == FILL).all(-1)[..., None], 3, -1), changed)[0][..., 0] == 0
    use = valid & inside & whole
    assert use.mean() > 0.3
    assert np.abs(warped - first)[use].mean() < 0.8 and np.percentile(np.abs(warped - first)[use], 99) < 3


def test_plain_geometry_of_flow():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 60, 3), np.uint8)
    flow = np.broadcast_to(np.float32((3, -2)), (40, 60, 2))
    pair = FlowPair(picture, picture, flow, np.ones((40, 60), bool))
    still = {"zoom": (1, 1), "squeeze": 0, "rotation": 0, "flip": 0, "jitter_zoom": 0, "jitter_rotation": 0,
             "jitter_shift": 0, "color": STILL}  # fmt: skip

    def changed(**limits):
        return augment_flow(pair, np.random.default_rng(0), FlowAugmentation(**{"crop": (40, 60), **still, **limits}))

    same = changed()
    np.testing.assert_array_equal(same.first, picture)
    np.testing.assert_allclose(same.flow, flow, atol=1e-5)
    assert same.valid.all()
    flipped = changed(flip=1)
    np.testing.assert_array_equal(flipped.second, picture[:, ::-1])
    np.testing.assert_allclose(flipped.flow, flow * (-1, 1), atol=1e-5)
    np.testing.assert_allclose(changed(zoom=(2, 2)).flow, flow * 2, atol=1e-5)
    jittered = changed(jitter_shift=0.1)
    apart = (jittered.flow - flow)[20, 30]
    assert np.abs(apart).max() > 0.5
    np.testing.assert_allclose(jittered.flow - flow, np.broadcast_to(apart, flow.shape), atol=1e-4)
    turned = changed(rotation=30, crop=(10, 10)).flow
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.hypot(3, 2), rtol=1e-5)


def test_unknown_flow_stays_unknown():
    pair = street_pair()
    some = pair._replace(valid=np.zeros_like(pair.valid))
    some.valid[:, :80] = True
    limits = FlowAugmentation(crop=(96, 160), zoom=(1, 1), squeeze=0, rotation=0, flip=0, color=STILL)
    result = augment_flow(some, np.random.default_rng(0), limits)
    np.testing.assert_array_equal(result.valid, some.valid)
    assert not result.flow[~result.valid].any()
    larger = augment_flow(pair, np.random.default_rng(0), FlowAugmentation(crop=(120, 200), zoom=(1, 1), color=STILL))
    assert not larger.valid[0, 0] and (larger.first[0, 0] == FILL).all()


def test_limits_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="crop is two sizes"):
        LabelledAugmentation(crop=(0, 3))
    for wrong in ({"sharpness": 1.1}, {"sharpness": -0.1}, {"tries": 0}):
        with pytest.raises(InputError, match="sharpness is a chance from 0 to 1, tries at least 1"):
            LabelledAugmentation(**wrong)
    with pytest.raises(InputError, match="zoom is 0 < least"):
        FlowAugmentation(zoom=(2, 1))
