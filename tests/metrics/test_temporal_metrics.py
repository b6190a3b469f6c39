"""Temporal consistency: labels carried by hand, against a loop over pixels, and along the drawn street's true flow."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.errors import InputError
from dvsnet_jax.metrics.segmentation import confusion_matrix, mean_iou, pixel_accuracy
from dvsnet_jax.metrics.temporal import carried, consistency_counts, visible_both_ways

ROW = np.array([[0, 1, 2, 3, 4]], np.uint8)


def along(*displacements):
    """Flow of a picture of one row."""
    return np.array([[[x, 0] for x in displacements]], np.float32)


def everywhere(x, y, size):
    return np.broadcast_to(np.float32([x, y]), (*size, 2))


def blobs(seed, size, classes=5):
    noise = np.random.default_rng(seed).random((classes + 1, *size))
    labels = gaussian_filter(noise, (0, 3, 3)).argmax(0).astype(np.uint8)
    return np.where(labels == classes, 255, labels).astype(np.uint8)


def smooth_flow(seed, size, length):
    noise = np.random.default_rng(seed).normal(size=(*size, 2))
    flow = gaussian_filter(noise, (6, 6, 0))
    return (flow * length / flow.std()).astype(np.float32)


def slow_carried(labels, flow):
    height, width = labels.shape
    result = np.full_like(labels, 255)
    for y in range(height):
        for x in range(width):
            u, v = np.float32(x) + flow[y, x, 0], np.float32(y) + flow[y, x, 1]
            column, row = int(np.floor(u + np.float32(0.5))), int(np.floor(v + np.float32(0.5)))
            if 0 <= column < width and 0 <= row < height:
                result[y, x] = labels[row, column]
    return result


def test_carried_by_hand():
    result = carried(ROW, along(0, 2, -0.4, 0.6, -4))
    assert result.dtype == jnp.uint8
    assert result.tolist() == [[0, 3, 2, 4, 0]]
    # x comes before y: one down reads the row below.
    two_rows = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    assert carried(two_rows, everywhere(0, 1, (2, 3))).tolist() == [[3, 4, 5], [255] * 3]
    assert carried(two_rows, everywhere(1, 0, (2, 3))).tolist() == [[1, 2, 255], [4, 5, 255]]


def test_half_way_goes_right_everywhere():
    """Rounding to even would send every other pixel left."""
    assert carried(ROW, along(*[0.5] * 5)).tolist() == [[1, 2, 3, 4, 255]]


def test_what_comes_from_outside_is_void():
    assert carried(ROW, along(-0.5, -1.4, -3, 1.4, 0.49)).tolist() == [[0, 0, 255, 4, 4]]
    assert carried(ROW, along(-0.51, 1e30, -np.inf, np.nan, 0.5)).tolist() == [[255] * 5]
    down = np.stack([np.zeros(5), np.array([0.4, -0.4, 0.6, -0.6, np.nan])], -1)[None].astype(np.float32)
    assert carried(ROW, down).tolist() == [[0, 1, 255, 255, 255]]


@pytest.mark.parametrize("size", [(30, 50), (50, 30)])
def test_carried_one_pixel_at_a_time(size):
    labels, flow = blobs(0, size), smooth_flow(1, size, 6)
    expected = slow_carried(labels, flow)
    assert (expected != labels).any() and (expected == 255).any()
    np.testing.assert_array_equal(carried(labels, flow), expected)


def test_flow_in_half_precision_reaches_every_column():
    """bfloat16 has 8 bits: added up in it, x + flow would be even, then a multiple of 4."""
    labels = (np.arange(1200) % 7)[None].astype(np.uint8)
    result = carried(labels, jnp.ones((1, 1200, 2), jnp.bfloat16).at[..., 1].set(0))
    assert result[0, :-1].tolist() == labels[0, 1:].tolist()


def test_counts_by_hand():
    """Rows are what was carried, columns what is there now; void in either is left out."""
    before, now = np.array([[0, 1, 1, 255, 2]], np.uint8), np.array([[1, 1, 0, 0, 255]], np.uint8)
    flow = along(1, 1, -1, 0, 0)  # carried: 1, 1, 1, 255, 2
    matrix = consistency_counts(now, before, flow, 3)
    assert matrix.dtype == jnp.int32
    assert matrix.tolist() == [[0, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert pixel_accuracy(matrix) == pytest.approx(2 / 3)
    visible = np.array([[True, False, True, True, True]])
    assert consistency_counts(now, before, flow, 3, visible=visible).tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert consistency_counts(now, before, flow, 3, visible=visible.astype(np.uint8)).sum() == 2
    assert not consistency_counts(now, before, flow, 3, visible=np.zeros((1, 5), bool)).any()
    # A class past the last is void, whichever of the two has it.
    assert consistency_counts(now, before, flow, 1).tolist() == [[0]]


def test_counts_are_those_of_the_carried_labels():
    before, now, flow = blobs(0, (30, 50)), blobs(1, (30, 50)), smooth_flow(2, (30, 50), 4)
    expected = np.zeros((5, 5), int)
    for was, is_now in zip(slow_carried(before, flow).flat, now.flat, strict=True):
        if was < 5 and is_now < 5:
            expected[was, is_now] += 1
    np.testing.assert_array_equal(consistency_counts(now, before, flow, 5), expected)


def test_a_static_scene_is_steady():
    labels = blobs(0, (30, 50))
    matrix = consistency_counts(labels, labels, np.zeros((30, 50, 2), np.float32), 5)
    assert mean_iou(matrix) == pixel_accuracy(matrix) == 1
    assert matrix.sum() == (labels != 255).sum()


def test_labels_that_move_with_the_flow_are_steady_and_flicker_is_not():
    wide = blobs(0, (40, 60))
    before, now = wide[5:35, 5:55], wide[2:32, 9:59]  # the picture moved 4 left and 3 down
    size, flow = now.shape, everywhere(4, -3, now.shape)
    steady = consistency_counts(now, before, flow, 5)
    assert mean_iou(steady) == 1
    assert steady.sum() == (now[3:, :-4] != 255).sum()
    assert mean_iou(consistency_counts(now, before, -flow, 5)) < 0.8
    scores = []
    for share in (0.02, 0.1, 0.3):
        rng = np.random.default_rng(0)
        flickering = np.where(rng.random(size) < share, rng.integers(0, 5, size), now).astype(np.uint8)
        matrix = consistency_counts(flickering, before, flow, 5)
        scores.append(pixel_accuracy(matrix))
        assert scores[-1] == pytest.approx(1 - share * 4 / 5, abs=0.03)
    assert scores[0] > scores[1] > scores[2]


def test_counts_add_up():
    before, now = (np.stack([blobs(seed + n, (30, 50)) for n in range(3)]) for seed in (0, 10))
    flow = np.stack([smooth_flow(n, (30, 50), 4) for n in range(3)])
    visible = np.random.default_rng(0).random(now.shape) < 0.5
    pictures = zip(now, before, flow, visible, strict=True)
    total = sum(consistency_counts(*each, 5, visible=mask) for *each, mask in pictures)
    assert total.sum() > 0
    np.testing.assert_array_equal(consistency_counts(now, before, flow, 5, visible=visible), total)
    inside = jax.jit(lambda *each: consistency_counts(*each, 5))(now, before, flow)
    np.testing.assert_array_equal(inside, consistency_counts(now, before, flow, 5))


def test_there_and_back():
    forward, backward = along(2, 2, 2, 2, 2), along(-2, -2, -2, -2, -2)
    assert visible_both_ways(forward, backward).tolist() == [[True, True, True, False, False]]
    # Past the last pixel's centre nothing is known, however short the way.
    assert visible_both_ways(along(-0.1, 0, 0, 0, 0.1), along(*[0] * 5)).tolist() == [[False, True, True, True, False]]
    # The pixel that x + f lands on says something else.
    backward[0, 3] = 0
    assert visible_both_ways(forward, backward).tolist() == [[True, False, True, False, False]]
    # NaN is not visible; in the backward flow, nor is what is read beside it.
    backward[0, 3] = np.nan
    assert visible_both_ways(forward, backward).tolist() == [[False, False, True, False, False]]
    forward[0, 2] = np.nan
    assert not visible_both_ways(forward, backward).any()


@pytest.mark.parametrize(
    ("length", "off", "visible"), [(0, 0.69, True), (0, 0.72, False), (40, 5, True), (40, 7, False)]
)
def test_how_far_two_flows_may_miss_each_other(length, off, visible):
    """Half a squared pixel, and 1 % of the squared lengths: at 40 px √(0.01 · (1600 + 40²…46²) + 0.5) is about 6."""
    forward, backward = everywhere(length, 0, (9, 90)), everywhere(-length, off, (9, 90))
    assert bool(visible_both_ways(forward, backward)[4, 4]) is visible


def test_visible_is_sundarams_condition():
    size = (30, 50)
    forward = smooth_flow(0, size, 3)
    backward = -forward + smooth_flow(1, size, 0.7)
    y, x = np.mgrid[: size[0], : size[1]]
    to_x, to_y = x + forward[..., 0], y + forward[..., 1]
    back = np.stack([map_coordinates(part, [to_y, to_x], order=1) for part in np.moveaxis(backward, -1, 0)], -1)
    expected = ((forward + back) ** 2).sum(-1) < 0.01 * ((forward**2).sum(-1) + (back**2).sum(-1)) + 0.5
    expected &= (to_x >= 0) & (to_y >= 0) & (to_x <= size[1] - 1) & (to_y <= size[0] - 1)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(visible_both_ways(forward, backward), expected)
    batch = visible_both_ways(forward[None, None], backward[None, None])
    np.testing.assert_array_equal(batch[0, 0], expected)


def test_the_drawn_street():
    """True labels go along with the true flow wherever the same point is seen, and not without the flow."""
    with_flow = unmasked = without = checked = 0
    for seed in (3, 4):
        scene = StreetScene(seed, 128, 256, frames=12)
        for now in (4, 8):
            before = now - 3
            flow, visible = scene.flow(now, before)
            labels = scene.draw(now)[1], scene.draw(before)[1]
            both_ways = visible_both_ways(flow, scene.flow(before, now).flow)
            with_flow += consistency_counts(*labels, flow, 19, visible=visible)
            unmasked += consistency_counts(*labels, flow, 19)
            without += consistency_counts(*labels, np.zeros_like(flow), 19)
            checked += consistency_counts(*labels, flow, 19, visible=both_ways)
            agreement = (np.asarray(both_ways) == visible).mean()
            assert agreement > 0.9, f"the two-sided check agrees with true visibility at {agreement:.1%} of the pixels"
    shares = {
        "visible": pixel_accuracy(with_flow),
        "both ways": pixel_accuracy(checked),
        "unmasked": pixel_accuracy(unmasked),
        "no flow": pixel_accuracy(without),
    }
    assert shares["visible"] > 0.97, shares
    assert shares["visible"] > shares["unmasked"] > shares["no flow"], shares
    assert shares["both ways"] > shares["unmasked"], shares
    assert mean_iou(with_flow) > mean_iou(without) + 0.1


def test_without_motion_it_is_the_plain_confusion():
    before, now = blobs(0, (30, 50)), blobs(1, (30, 50))
    matrix = consistency_counts(now, before, np.zeros((30, 50, 2), np.float32), 5)
    np.testing.assert_array_equal(matrix, confusion_matrix(now, before, 5))


def test_what_does_not_belong_together():
    flow = np.zeros((1, 5, 2), np.float32)
    with pytest.raises(InputError, match=r"\[1, 5\] and flow \[1, 4, 2\]"):
        carried(ROW, flow[:, :4])
    with pytest.raises(InputError, match=r"\[1, 5\] and flow \[1, 5\]"):
        carried(ROW, flow[..., 0])
    with pytest.raises(InputError, match=r"labels are \[1, 4\] and labels_before \[1, 5\]"):
        consistency_counts(ROW[:, :4], ROW, flow, 5)
    with pytest.raises(InputError, match=r"labels_before are \[1, 5\] and flow \[2, 5, 2\]"):
        consistency_counts(ROW, ROW, np.zeros((2, 5, 2), np.float32), 5)
    with pytest.raises(InputError, match=r"visible is \[5\] and labels \[1, 5\]"):
        consistency_counts(ROW, ROW, flow, 5, visible=np.ones(5, bool))
    with pytest.raises(InputError, match=r"\[1, 5, 2\] and backward_flow \[1, 4, 2\]"):
        visible_both_ways(flow, flow[:, :4])
