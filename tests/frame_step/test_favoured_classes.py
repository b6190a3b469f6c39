"""What `class_offsets` adds: to scores of regions that are segmented anew, wherever their labels are made."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CARRIED, SIMPLE, carried_params, exported_steps, simple_params, video

from dvsnet_jax import DVSNetConfig, FixedInterval, FrameMotion, SegmentationFunction, init_state, segment_frame
from dvsnet_jax.config_json import from_json, to_json
from dvsnet_jax.evaluation.policies.simulation import segmented, simulate
from dvsnet_jax.frame_motion import motion_shape
from dvsnet_jax.ops.upsample_argmax import favoured
from dvsnet_jax.ops.warp import LARGEST
from dvsnet_jax.training.decision.examples import pair_samples

OFFSETS = (0.0, 40.0, -20.0)
PLAIN = CARRIED.replace(policy=FixedInterval(2))
FAVOURED = PLAIN.replace(class_offsets=OFFSETS)
CLIP = video(5, seed=4)
CELLS = motion_shape(*CLIP.shape[2:4])
STILL = FrameMotion(np.zeros((1, *CELLS, 2), np.float32), np.ones((1, *CELLS), np.float32))


def run(config, own, *, motion=STILL, audit=False):
    state, results = init_state(own, CLIP[0], config=config), []
    for frame in CLIP:
        state, result = segment_frame(own, state, frame, None, motion, config=config, audit=audit)
        results.append((jax.device_get(state), jax.device_get(result)))
    return results


def with_added(own):
    """The same parameters, of a network that adds them itself."""
    return own | {"segmentation": own["segmentation"] | {"add": jnp.asarray(OFFSETS)}}


@pytest.mark.parametrize("routing", ["compact", "dense"])
def test_they_are_added_where_a_region_is_segmented_and_not_where_it_is_warped(routing):
    own = carried_params()
    got = run(FAVOURED.replace(routing=routing), own)
    plain, network = run(PLAIN, own), run(PLAIN, with_added(own))
    for frame, (state, result) in enumerate(got):
        expected = (network if frame % 2 == 0 else plain)[frame][1]
        np.testing.assert_array_equal(result.labels, expected.labels)
        np.testing.assert_array_equal(state.key_scores, plain[frame][0].key_scores)
        assert (plain[frame][1].labels != network[frame][1].labels).mean() > 0.1


def test_so_with_a_flow_network():
    config, own = SIMPLE.replace(policy=FixedInterval(2)), simple_params()
    got = run(config.replace(class_offsets=OFFSETS), own, motion=None)
    plain, network = run(config, own, motion=None), run(config, with_added(own), motion=None)
    for frame, (_, result) in enumerate(got):
        np.testing.assert_array_equal(result.labels, (network if frame % 2 == 0 else plain)[frame][1].labels)


def test_an_audit_holds_what_would_have_been_shown_against_what_is():
    """All that is segmented is class 1, so a region agrees where it was class 1 before."""
    own = carried_params()
    got = run(FAVOURED.replace(class_offsets=(0.0, 1e4, 0.0)), own, audit=True)
    before = (run(PLAIN, own)[1][0].key_scores.argmax(-1) == 1).mean((1, 2))
    assert before.min() > 0.1 and before.max() < 0.9
    np.testing.assert_allclose(got[2][1].agreement[0], 100 * before, rtol=1e-5)


def test_the_simulation_is_the_frame_step():
    own = carried_params()
    clip = [segmented(own, frame[0], config=FAVOURED, motion=STILL) for frame in CLIP]
    simulated = simulate(own, clip, "interval", 1.5, np.zeros((5, 2), np.float32), config=FAVOURED)
    labels = np.stack([result.labels[0] for _, result in run(FAVOURED, own)])
    assert (simulated.labels != labels).mean() < 1e-3
    plain = np.stack([result.labels[0] for _, result in run(PLAIN, own)])
    assert (plain != labels).mean() > 0.05


def test_the_decision_network_learns_of_labels_with_them():
    own = carried_params()
    pair = CLIP[0], CLIP[2]
    for config, params in ((FAVOURED, own), (PLAIN, with_added(own))):
        state = init_state(own, CLIP[0], config=config)
        sample = pair_samples(params, *pair, state.carried, config=config)
        if config is FAVOURED:
            found = sample
    np.testing.assert_array_equal(found.segmented, sample.segmented)
    plain = pair_samples(own, *pair, init_state(own, CLIP[0], config=PLAIN).carried, config=PLAIN)
    np.testing.assert_array_equal(found.warped, plain.warped)
    assert (found.segmented != plain.segmented).mean() > 0.1


def test_an_exported_program_has_them(tmp_path):
    own = carried_params()
    _, results = exported_steps(tmp_path / "favoured.dvsnet", own, FAVOURED, CLIP, STILL)
    for result, (_, wanted) in zip(results, run(FAVOURED, own), strict=True):
        np.testing.assert_array_equal(result.labels, wanted.labels)


def test_void_behind_the_classes_and_infinity_stay():
    scores = jnp.asarray([[[[1.0, 2.0, 3.0], [-LARGEST, LARGEST, 0.0]]], [[[1.0, 2.0, 3.0], [0.0, 0.0, jnp.nan]]]])
    some = favoured(scores, (5.0, -1.0), jnp.asarray([True, False]))
    np.testing.assert_array_equal(some[0], np.float32([[[6, 1, 3], [-LARGEST, LARGEST, 0]]]))
    np.testing.assert_array_equal(some[1], scores[1])
    np.testing.assert_array_equal(favoured(scores, (5.0, -1.0))[1], [[[6, 1, 3], [5, -1, np.nan]]])
    assert favoured(scores, ()) is scores


def test_there_is_a_finite_one_for_each_class():
    street = DVSNetConfig.street(num_classes=3, class_offsets=OFFSETS)
    assert from_json(json.loads(json.dumps(to_json(street)))) == street
    with pytest.raises(ValueError, match="class_offsets are 2, but there are 3 classes; give one for each"):
        SIMPLE.replace(class_offsets=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"class_offsets are \(0\.0, nan, 1\.0\), but .* finite numbers"):
        SIMPLE.replace(class_offsets=(0.0, float("nan"), 1.0))
    void = SegmentationFunction(function=SIMPLE.segmentation.function, num_classes=3, has_void=True)
    assert SIMPLE.replace(segmentation=void, class_offsets=OFFSETS).num_scores == 4
