"""The drawn street: its flow, labels and occlusion are exact, and it has what a street has."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.datasets.street.scene import StreetScene, draw_street
from dvsnet_jax.datasets.street.sources import StreetFlowPairs, StreetFrames, StreetPairs
from dvsnet_jax.errors import InputError

SIZE = (96, 192)
PAIRS = [(1, 6, 5), (4, 9, 2), (7, 3, 8), (12, 8, 0)]  # seed, current, key: both directions


def scene(seed, **options):
    return StreetScene(seed, *SIZE, **{"frames": 10, **options})


def places(flow):
    """Where in the key frame each pixel lies: x, y."""
    height, width = flow.shape[:2]
    return np.arange(width) + flow[..., 0].astype(float), np.arange(height)[:, None] + flow[..., 1].astype(float)


def corners(array, x, y):
    """The four pixels around (x, y), and the bilinear weights of the right and the lower ones."""
    left, top = (np.clip(np.floor(v).astype(int), 0, size - 2) for v, size in ((x, SIZE[1]), (y, SIZE[0])))
    return [array[top + down, left + right] for down in (0, 1) for right in (0, 1)], x - left, y - top


def bilinear(array, x, y):
    (a, b, c, d), right, down = corners(array.astype(float), x, y)
    right, down = right[..., None], down[..., None]
    return (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d)


def away_from_edges(array):
    """Whether all eight neighbours are equal."""
    height, width = array.shape
    padded = np.pad(array, 1, mode="edge")
    shifted = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.all([part == array for part in shifted], 0)


@pytest.mark.parametrize("seed, current, key", PAIRS)
def test_visible_points_are_the_same_point_of_the_same_surface(seed, current, key):
    street = scene(seed)
    flow, visible = street.flow(current, key)
    (_, hits), (placed, _) = street._see(current), street._see(key)
    x, y = places(flow)
    seen = street._shot(current)[0].patches.see_points(placed, x[visible], y[visible])
    same = seen.patch == hits.patch[visible]
    # Not quite all: the flow is rounded to float32.
    assert same.mean() > 0.9995
    close = np.flatnonzero(same & (hits.nearness[visible] > 0.02))
    for here, there in ((hits.a, seen.a), (hits.b, seen.b)):
        np.testing.assert_allclose(there[close], here[visible][close], atol=2e-3)
    # And the other way round: what is inside of the key frame but not visible is hidden by something nearer.
    inside = (x >= 0) & (y >= 0) & (x <= SIZE[1] - 1) & (y <= SIZE[0] - 1)
    hidden = inside & ~visible
    assert hidden.any() and visible.mean() > 0.3
    behind = street._shot(current)[0].patches.see_points(placed, x[hidden], y[hidden])
    assert (behind.patch != hits.patch[hidden]).mean() > 0.99


@pytest.mark.parametrize("seed, current, key", PAIRS)
def test_warping_the_key_frame_gives_the_current_frame(seed, current, key):
    street = scene(seed)
    (image, labels), (key_image, key_labels) = street.draw(current, clean=True), street.draw(key, clean=True)
    flow, visible = street.flow(current, key)
    x, y = places(flow)
    inside = visible & away_from_edges(labels)
    columns, rows = (np.clip(np.rint(v).astype(int), 0, size - 1) for v, size in ((x, SIZE[1]), (y, SIZE[0])))
    assert (key_labels[rows, columns] == labels)[inside].mean() > 0.99
    same_patch = away_from_edges(street._see(current)[1].patch) & visible
    around, _, _ = corners(street._see(key)[1].patch, x, y)
    for part in around:
        same_patch &= part == street._see(current)[1].patch
    error = np.abs(bilinear(key_image, x, y) - image).mean(-1)[same_patch]
    copied = np.abs(key_image.astype(float) - image).mean(-1)[same_patch]
    # Interpolation blurs fine texture; what is left is far below what a wrong flow leaves.
    assert np.median(error) < 2.5 and error.mean() < 0.6 * copied.mean()


def test_a_smooth_picture_warps_to_a_fraction_of_a_level():
    # Large enough, and half a pixel of motion at most: interpolation itself is then nearly exact.
    street = StreetScene(3, 128, 256, frames=200)
    steps = np.linalg.norm(np.diff([view.position for view in street._shot(0)[0].views], axis=0), axis=1)
    frame = int(np.argmin(steps))
    (image, labels), (key_image, _) = street.draw(frame + 1, clean=True), street.draw(frame, clean=True)
    flow, visible = street.flow(frame + 1, frame)
    x, y = np.arange(256) + flow[..., 0], np.arange(128)[:, None] + flow[..., 1]
    left, top = np.clip(np.floor(x).astype(int), 0, 254), np.clip(np.floor(y).astype(int), 0, 126)
    right, down = (x - left)[..., None], (y - top)[..., None]
    at = [key_image[top + i, left + j].astype(float) for i in (0, 1) for j in (0, 1)]
    warped = (1 - down) * ((1 - right) * at[0] + right * at[1]) + down * ((1 - right) * at[2] + right * at[3])
    smooth = visible & away_from_edges(labels) & (np.ptp(at, axis=0).max(-1) < 6)
    assert smooth.mean() > 0.2
    assert np.abs(warped - image)[smooth].mean() < 1.0


def test_flow_of_the_road_is_what_projection_says():
    # From the camera's numbers alone: through the pixel to the ground y = 0, and from there into the other frame.
    street = scene(9)
    shot, _ = street._shot(0)
    flow, _ = street.flow(8, 2)
    current, key = shot.views[8], shot.views[2]
    rows, columns = np.nonzero(street._see(8)[1].patch == shot.ground)
    assert len(rows) > 500
    rays = np.linalg.inv(current.intrinsics @ current.rotation) @ np.stack([columns, rows, np.ones(len(rows))])
    points = current.position[:, None] - rays * current.position[1] / rays[1]
    u, v, depth = key.intrinsics @ key.rotation @ (points - key.position[:, None])
    ahead = depth > 0.5
    expected = np.stack([u / depth - columns, v / depth - rows], -1)[ahead]
    np.testing.assert_allclose(flow[rows, columns][ahead], expected, atol=1e-3)


def test_the_sky_turns_with_the_camera_and_does_not_come_closer():
    street = scene(6)
    shot, _ = street._shot(0)
    moved = shot.views[0].position + np.array((0.3, 0.1, 4.0))
    shot.views[1] = shot.views[0]._replace(position=moved)
    flow, _ = street.flow(1, 0)
    sky = street._see(1)[1].patch == 0
    assert sky.sum() > 200
    assert np.abs(flow[sky]).max() < 1e-6 < np.abs(flow[~sky]).max()


@pytest.mark.parametrize("seed", [1, 8])
def test_every_pixel_sees_the_nearest_patch(seed):
    street = scene(seed)
    (placed, hits), patches = street._see(5), street._shot(0)[0].patches
    rng = np.random.default_rng(0)
    v, u = rng.integers(0, SIZE[0], 300), rng.integers(0, SIZE[1], 300)
    nearest = np.zeros(300)
    for number in placed.chosen:
        across, along, nearness = placed.back[number] @ np.stack([u, v, np.ones(300)])
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = across / nearness, along / nearness
        low_a, high_a, low_b, high_b = patches._extent[number]
        there = np.flatnonzero((nearness > 0) & (a >= low_a) & (a <= high_a) & (b >= low_b) & (b <= high_b))
        outline = patches.looks[number].covers(a[there].astype(np.float32), b[there].astype(np.float32))
        there = there if outline is None else there[outline]
        nearest[there] = np.maximum(nearest[there], nearness[there])
    np.testing.assert_allclose(hits.nearness[v, u], nearest, rtol=1e-9, atol=1e-12)


def test_there_and_back_is_where_it_began():
    street = scene(5)
    there, back = street.flow(7, 4), street.flow(4, 7)
    x, y = places(there.flow)
    shown, _, _ = corners(back.visible, x, y)
    patch, _, _ = corners(street._see(4)[1].patch, x, y)
    good = there.visible & np.all(shown, 0)
    for part in patch:
        good &= part == street._see(7)[1].patch
    assert good.mean() > 0.4
    returned = bilinear(back.flow, x, y)
    assert np.median(np.abs(returned + there.flow)[good]) < 0.02
    assert np.percentile(np.abs(returned + there.flow)[good], 95) < 0.3


def test_a_frame_flows_to_itself_by_nothing():
    flow, visible = scene(2).flow(3, 3)
    assert visible.all() and np.abs(flow).max() < 1e-6
    assert flow.dtype == np.float32 and flow.shape == (*SIZE, 2)


def test_nothing_moves_but_what_moves():
    moved = False
    for seed in range(3):
        street = scene(seed, still=True)
        flow, visible = street.flow(9, 0)
        shot = street._shot(0)[0]
        static = shot.patches._body[street._see(9)[1].patch] == 0
        assert np.abs(flow[static]).max() < 1e-5
        moved |= bool(np.abs(flow[~static]).max(initial=0) > 1)
        assert visible[static].mean() > 0.8
    assert moved


def test_nothing_is_seen_across_a_cut():
    street = scene(0, frames=30, cut_rate=0.15)
    assert len(street.starts) > 1 and street.starts[0] == 0
    cut = int(street.starts[1])
    flow, visible = street.flow(cut, cut - 1)
    assert not visible.any() and not flow.any()
    assert street.shot(cut) == street.shot(cut - 1) + 1
    before, after = (street.draw(frame)[0].astype(int) for frame in (cut - 1, cut))
    assert np.abs(before - after).mean() > 15
    assert street.shot(29) == len(street.starts) - 1


def test_a_seed_gives_one_clip_and_another_seed_another():
    first, again, other = (draw_street(seed, 3, *SIZE) for seed in (5, 5, 6))
    assert first.frames.shape == (3, *SIZE, 3) and first.labels.shape == (3, *SIZE)
    assert first.frames.dtype == first.labels.dtype == np.uint8
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.labels != other.labels).mean() > 0.2
    # The order in which frames are asked for makes no difference.
    np.testing.assert_array_equal(StreetScene(5, *SIZE, frames=3).draw(2)[0], first.frames[2])


def test_it_is_a_street():
    counts = np.zeros(256, int)
    for seed in range(24):
        counts += np.bincount(scene(seed, frames=12).draw(6, clean=True)[1].ravel(), minlength=256)
    assert not counts[19:].any()
    share = counts / counts.sum()
    assert (counts[:19] > 0).sum() >= 18  # trams are rare
    assert share[0] > 0.15 and share[2] > 0.05 and share[8] > 0.03 and share[13] > 0.03 and share[10] > 0.05
    assert (share < 0.5).all()


def test_light_and_noise_change_the_picture_and_not_the_labels():
    street = scene(3)
    (image, labels), (clean, same) = street.draw(4), street.draw(4, clean=True)
    np.testing.assert_array_equal(labels, same)
    assert np.abs(image.astype(int) - clean).mean() > 2


def test_pairs_and_frames_as_data_sources():
    pairs = StreetPairs(4, 48, 96, seed=2, distances=(2, 5))
    assert len(pairs) == 4 and {pair.distance for pair in pairs} <= {2, 3, 4, 5}
    pair, again = pairs[1], pairs[1]
    for one, other in zip(pair, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (pair.labels != pair.key_labels).any() and not np.array_equal(pair.current, pairs[2].current)
    whole, seen = StreetFlowPairs(pairs)[1], StreetFlowPairs(pairs, only_visible=True)[1]
    assert whole.valid.all()
    np.testing.assert_array_equal(seen.valid, pair.visible)
    cut = StreetPairs(1, 48, 96, seed=2, cuts=1.0)
    assert not cut[0].visible.any() and not StreetFlowPairs(cut)[0].valid.any()
    frames = StreetFrames(3, 48, 96, seed=1)
    assert [sample.image.shape for sample in frames] == [(48, 96, 3)] * 3
    assert (frames[0].labels != frames[1].labels).mean() > 0.1
    with pytest.raises(InputError, match="0 ≤ least ≤ greatest"):
        StreetPairs(1, 48, 96, seed=0, distances=(3, 2))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="at least 1 frame of 32×32"):
        StreetScene(0, 16, 64)
    with pytest.raises(InputError, match="cut_rate is 2"):
        StreetScene(0, 64, 64, cut_rate=2)
    with pytest.raises(InputError, match="frame 10 is asked for, but the scene has frames 0 to 9"):
        scene(0).draw(10)
