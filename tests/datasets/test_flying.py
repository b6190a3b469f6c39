"""Flow pairs made of pictures: the flow they come with is the one that the pictures have."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from tiny_files import write_images

from dvsnet_jax.datasets.clips import clip_set
from dvsnet_jax.datasets.flow.flying import FlyingPairs
from dvsnet_jax.datasets.flow.sets import flow_set, flow_sets
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import write_png

HEIGHT, WIDTH = 96, 160


def textured(height, width, seed):
    """Smooth noise: grey levels change everywhere, and interpolating them costs little."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (9, 13, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_images(folder, np.stack([textured(110, 170, seed) for seed in range(6)]))
    return folder


@pytest.fixture(scope="module")
def pictures(folder):
    return clip_set(f"frames:{folder}")


@pytest.fixture(scope="module")
def pairs(pictures):
    return FlyingPairs(20, HEIGHT, WIDTH, seed=1, pictures=pictures)


def second_along_the_flow(pair):
    """The second picture where the flow says that the first one's pixels are, and where that is within it."""
    height, width = pair.valid.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    x, y = x + pair.flow[..., 0], y + pair.flow[..., 1]
    within = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    left, top = np.clip(x.astype(int), 0, width - 2), np.clip(y.astype(int), 0, height - 2)
    right, low = (x - left)[..., None], (y - top)[..., None]
    second = pair.second.astype(float)
    above = (1 - right) * second[top, left] + right * second[top, left + 1]
    below = (1 - right) * second[top + 1, left] + right * second[top + 1, left + 1]
    return (1 - low) * above + low * below, within


def apart(pair):
    """Grey levels between the first picture and the second one, moved along the flow and as it is."""
    moved, within = second_along_the_flow(pair)
    unmoved = np.abs(pair.first.astype(float) - pair.second).mean(-1)
    return np.abs(pair.first - moved).mean(-1), unmoved, within


def on_objects(pair):
    """Pixels of objects, without their rims. An affine flow has one slope: the most frequent is the background's."""
    slopes = np.stack([np.diff(pair.flow, axis=1)[:-1], np.diff(pair.flow, axis=0)[:, :-1]], -1)
    _, which, counts = np.unique(np.round(slopes, 3).reshape(-1, 4), axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(slopes.shape[:2])
    found = np.zeros(pair.valid.shape, bool)
    found[:-1, :-1] = (which != counts.argmax()) & (counts[which] > 50)
    return found


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_pair_follows_from_seed_and_number(pairs, pictures):
    again = FlyingPairs(20, HEIGHT, WIDTH, seed=1, pictures=pictures)
    later = again[7]
    assert same(again[3], pairs[3]) and same(later, pairs[7])  # in whatever order
    assert not same(pairs[3], pairs[7])
    assert not same(pairs[3], FlyingPairs(20, HEIGHT, WIDTH, seed=2, pictures=pictures)[3])


def test_shapes_and_ends(pairs):
    pair = pairs[19]
    assert len(pairs) == 20 and pair.valid.all() and pair.valid.dtype == bool
    assert pair.first.shape == pair.second.shape == (HEIGHT, WIDTH, 3) and pair.valid.shape == (HEIGHT, WIDTH)
    assert pair.first.dtype == pair.second.dtype == np.uint8
    assert pair.flow.shape == (HEIGHT, WIDTH, 2) and pair.flow.dtype == np.float32 and np.isfinite(pair.flow).all()
    for past in (20, -1):
        with pytest.raises(IndexError):
            pairs[past]


def test_the_flow_leads_from_the_first_picture_to_the_second(pairs):
    for pair in pairs:
        moved, unmoved, within = apart(pair)
        # Hidden pixels are not told apart here: they are few, and the median does not see them.
        assert np.median(moved[within]) < 1 and np.median(unmoved) > 8


def test_objects_move_as_their_own_flow_says(pairs):
    moved, unmoved, count = [], [], 0
    for pair in pairs:
        objects = on_objects(pair)
        off, still, within = apart(pair)
        count += objects.any()
        moved.append(off[objects & within])
        unmoved.append(still[objects & within])
    # Some of their pixels are hidden behind other objects, and rims are mixed with what lies behind.
    assert count > 15 and np.median(np.concatenate(moved)) < 0.06 * np.median(np.concatenate(unmoved))


def test_pictures_that_are_made_smaller_keep_the_flow(tmp_path):
    write_images(tmp_path, np.stack([textured(400, 640, seed) for seed in range(3)]))
    for pair in FlyingPairs(5, HEIGHT, WIDTH, seed=1, pictures=clip_set(f"frames:{tmp_path}")):
        moved, unmoved, within = apart(pair)
        assert np.median(moved[within]) < 0.06 * np.median(unmoved)


def test_small_and_large_flow_occur(pairs):
    length = np.stack([np.linalg.norm(pair.flow, axis=-1) for pair in pairs]) / WIDTH
    assert (length < 0.01).mean() > 0.05 and (length > 0.05).mean() > 0.1
    middles = np.median(length, axis=(1, 2))  # whole pairs too
    assert middles.min() < 0.02 and middles.max() > 0.08


def test_what_makes_no_pairs_is_refused(pictures, monkeypatch):
    for count, height, width in ((4, 31, 64), (4, 64, 31), (-1, 64, 64)):
        with pytest.raises(InputError, match=f"{count} pairs of {height}×{width}: expected"):
            FlyingPairs(count, height, width, seed=1, pictures=pictures)
    for nothing in ([], [[]]):
        with pytest.raises(InputError, match="no picture"):
            FlyingPairs(4, 64, 64, seed=1, pictures=nothing)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="needs OpenCV"):
        FlyingPairs(4, 64, 64, seed=1, pictures=pictures)[0]


def test_named_on_a_command_line(folder, pictures):
    named = flow_set(f"flying:4:1:64x96:frames:{folder}")
    assert len(named) == 4 and same(named[2], FlyingPairs(4, 64, 96, seed=1, pictures=pictures)[2])
    # The pictures are scaled, not the pairs.
    half = flow_set(f"flying:4:1:64x96:frames:{folder}@0.5")
    scaled = clip_set(f"frames:{folder}@0.5")
    assert scaled[0][0].image.shape == (55, 85, 3) and half[2].first.shape == (64, 96, 3)
    assert same(half[2], FlyingPairs(4, 64, 96, seed=1, pictures=scaled)[2]) and not same(half[2], named[2])
    write_png(folder / "z_small.png", textured(60, 90, 9))  # a picture by itself, whatever the others' size
    unlike = flow_set(f"flying:4:1:64x96:frames:{folder}")
    assert len(unlike._places) == len(named._places) + 1 and unlike[2].first.shape == (64, 96, 3)
    (folder / "z_small.png").unlink()
    both = flow_sets([f"flying:4:1:64x96:frames:{folder}", "street:2:1:64x96"])
    assert len(both) == 6 and same(both[2], named[2])


@pytest.mark.parametrize("words", ["4:x:64x96", "x:1:64x96", "4:1:64", "4:1:64x96x3"])
def test_numbers_that_are_none_are_refused_with_the_form(words, folder):
    with pytest.raises(InputError, match=f"{words}.*is not flying:COUNT:SEED:HEIGHTxWIDTH"):
        flow_set(f"flying:{words}:frames:{folder}")


def test_a_spec_without_clips_is_refused():
    with pytest.raises(InputError, match=r"expected pairs:FOLDER, .*flying:COUNT:SEED:HxW:CLIPS"):
        flow_set("flying:4:1:64x96")
    with pytest.raises(InputError, match="names no clips; expected video:FILE"):
        flow_set("flying:4:1:64x96:moving:x")
