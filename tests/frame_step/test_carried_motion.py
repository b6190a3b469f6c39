"""Carried motion: the frame step chains motion from frame to frame into the flow to each region's key frame."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video

from dvsnet_jax import (
    AccumulatedLoss,
    CarriedMotionConfig,
    DecisionConfig,
    FixedInterval,
    FrameMotion,
    LocalDecisionConfig,
    init_state,
    segment_clip,
    segment_frame,
)
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.ops.carried_motion import chain, resize_motion, split_motion
from dvsnet_jax.ops.regions import RegionGrid
from dvsnet_jax.ops.warp_cues import key_cells

CARRIED = TINY.replace(
    flow=CarriedMotionConfig(), decision=LocalDecisionConfig(grid=(4, 4), width=4), policy=FixedInterval(3)
)
HEIGHT, WIDTH = 64, 96
CELLS = (HEIGHT // 8, WIDTH // 8)


@cache
def params():
    made = seeded_params(CARRIED)
    return {**made, "segmentation": tiny_params()["segmentation"]}


def motion(frames: int, streams: int = 1, seed: int = 0) -> FrameMotion:
    """Smooth random motion of up to a cell or two."""
    rng = np.random.default_rng(seed)
    flow = rng.normal(0, 0.7, (frames, streams, *CELLS, 2)).astype(np.float32)
    return FrameMotion(flow, rng.uniform(0, 1, (frames, streams, *CELLS)).astype(np.float32))


def at(moved: FrameMotion, t: int) -> FrameMotion:
    return FrameMotion(*(values[t] for values in moved))


def run(frames, moved, config=CARRIED, restart=None):
    state = init_state(params(), frames[0], config=config)
    results = []
    for t, frame in enumerate(frames):
        begins = None if restart is None else restart[t]
        state, result = segment_frame(params(), state, frame, begins, at(moved, t), config=config)
        results.append(result)
    return state, jax.tree.map(lambda *leaves: np.stack(leaves), *results)


def test_what_is_kept_of_a_key_frame_is_that_key_frames():
    for count in (2, 5):  # of frame 0, then of frame 3
        state, result = run(video(count), motion(count))
        assert [frame.any() for frame in result.segmented] == [True, False, False, True, False][:count]
        for kept, expected in zip(state.key_features, key_cells(state.key_images, state.key_scores), strict=True):
            np.testing.assert_allclose(kept, expected, rtol=1e-5)


def test_flow_trust_and_age_are_chained_since_the_key_frame():
    frames, moved = video(3), motion(3)
    state, result = run(frames, moved)  # key frame 0; 1 and 2 are warped
    assert result.segmented[0].all() and not result.segmented[1:].any()
    grid = RegionGrid.fit(HEIGHT, WIDTH, CARRIED.regions, CARRIED.overlap)
    first, second = split_motion(moved.flow[1], grid), split_motion(moved.flow[2], grid)
    np.testing.assert_allclose(state.carried.flow, second + chain(second, first), atol=1e-5)
    trust, later = (split_motion(moved.trust[t][..., None], grid) for t in (1, 2))
    np.testing.assert_allclose(state.carried.trust, (later * chain(second, trust))[..., 0], atol=1e-5)
    np.testing.assert_array_equal(state.carried.age, 2)


def test_a_region_that_is_segmented_starts_anew():
    state, result = run(video(4), motion(4))
    assert result.segmented[3].all()
    np.testing.assert_array_equal(state.carried.flow, 0)
    np.testing.assert_array_equal(state.carried.trust, 1)
    np.testing.assert_array_equal(state.carried.age, 0)


def test_labels_follow_the_motion():
    """Two frames, 8 pixels apart: labels warped along the true motion are the key frame's labels, 8 pixels further."""
    config = CARRIED.replace(regions=(1, 1), overlap=0, policy=FixedInterval(100))
    first = video(1)[0]
    still = FrameMotion(np.zeros((1, *CELLS, 2), np.float32), np.ones((1, *CELLS), np.float32))
    state = init_state(params(), first, config=config)
    state, before = segment_frame(params(), state, first, None, still, config=config)
    moved = np.zeros((1, *CELLS, 2), np.float32)
    moved[..., 0] = 1  # what is here now was a cell further right
    state, after = segment_frame(params(), state, np.roll(first, -8, 2), None, moved, config=config)
    same = np.asarray(after.labels)[:, :, : WIDTH - 16] == np.asarray(before.labels)[:, :, 8 : WIDTH - 8]
    assert len(np.unique(before.labels)) > 1 and not after.segmented.any()
    assert same.mean() > 0.99


def test_compact_routing_is_as_dense():
    frames, moved = video(6), motion(6)
    compact, dense = (run(frames, moved, CARRIED.replace(routing=routing))[1] for routing in ("compact", "dense"))
    np.testing.assert_array_equal(compact.labels, dense.labels)
    np.testing.assert_array_equal(compact.segmented, dense.segmented)


def test_a_clip_is_as_frame_by_frame_and_streams_as_one_alone():
    frames, moved = video(5, streams=2), motion(5, streams=2)
    _, single = run(frames, moved)
    state = init_state(params(), frames[0], config=CARRIED)
    _, clip = segment_clip(params(), state, frames, None, moved, config=CARRIED)
    np.testing.assert_array_equal(single.labels, clip.labels)
    np.testing.assert_allclose(single.scores, clip.scores, atol=1e-4)
    _, alone = run(frames[:, 1:], FrameMotion(moved.flow[:, 1:], moved.trust[:, 1:]))
    np.testing.assert_array_equal(single.labels[:, 1:], alone.labels)


def test_restart_forgets_the_motion():
    frames, moved = video(5), motion(5)
    restart = np.zeros((5, 1), bool)
    restart[2] = True
    state, result = run(frames, moved, restart=restart)
    fresh, expected = run(frames[2:], FrameMotion(moved.flow[2:], moved.trust[2:]))
    np.testing.assert_array_equal(result.labels[2:], expected.labels)
    np.testing.assert_array_equal(state.carried.flow, fresh.carried.flow)


def test_regions_whose_motion_is_not_known_are_segmented():
    """A cell of NaN, at a cut or after a lost frame: its region is segmented, which is nobody's fault."""
    frames, moved = video(3), motion(3)
    moved.flow[1, 0, 0, 0] = np.nan  # of the first region alone
    config = CARRIED.replace(policy=AccumulatedLoss(1e6))
    state, result = run(frames, moved, config)
    np.testing.assert_array_equal(result.segmented[1], [[True, False, False, False]])
    np.testing.assert_array_equal(np.isnan(result.scores[1]), result.segmented[1])
    assert not result.untrusted.any() and not result.segmented[2].any()
    np.testing.assert_array_equal(state.carried.age, [1, 2, 2, 2])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.carried, state.policy)))


def test_wrong_motion_is_refused():
    frames, moved = video(1), motion(1)
    state = init_state(params(), frames[0], config=CARRIED)
    with pytest.raises(ValueError, match="needs the frames' motion"):
        segment_frame(params(), state, frames[0], config=CARRIED)
    with pytest.raises(ValueError, match=r"motion is \[1, 8, 11, 2\].*\[streams, 8, 12"):
        segment_frame(params(), state, frames[0], None, moved.flow[0][:, :, 1:], config=CARRIED)
    network = init_state(tiny_params(), frames[0], config=TINY)
    with pytest.raises(ValueError, match="which finds its own"):
        segment_frame(tiny_params(), network, frames[0], None, at(moved, 0), config=TINY)
    with pytest.raises(ValueError, match="another kind of flow"):
        segment_frame(params(), network, frames[0], None, at(moved, 0), config=CARRIED)
    with pytest.raises(ValueError, match="no features for the paper's decision network"):
        CARRIED.replace(decision=DecisionConfig())


def test_regions_between_cells_get_the_mean_of_both():
    """At overlap 3 regions begin 2 pixels past a cell's edge."""
    grid = RegionGrid.fit(70, 90, (1, 2), 3)
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32)[:, None], (1, 9, 12, 1))
    regions = np.asarray(split_motion(jnp.asarray(ramp), grid))
    (_, first), (_, second) = grid.corners
    assert second % 8
    for region, left in zip(regions, (first, second), strict=True):
        places = np.minimum(left / 8 + np.arange(grid.region_width // 8), 11)
        np.testing.assert_allclose(region[0, :, 0], places, atol=1e-5)


def test_motion_grows_with_a_resized_frame():
    moved = jnp.ones((1, 8, 12, 3))
    larger = resize_motion(moved, (64, 96), (128, 288))
    assert larger.shape == (1, 16, 36, 3)
    np.testing.assert_allclose(larger[0, 3, 3], [3, 2, 1])
