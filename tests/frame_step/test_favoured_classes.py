"""What `class_offsets` adds: to scores of the segmentation network, whatever becomes of them."""

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
def test_they_are_the_network_s_own_wherever_its_scores_go(routing):
    own = carried_params()
    got, network = run(FAVOURED.replace(routing=routing), own, audit=True), run(PLAIN, with_added(own), audit=True)
    plain = run(PLAIN, own)
    for (state, result), (wanted_state, wanted), (_, without) in zip(got, network, plain, strict=True):
        jax.tree.map(np.testing.assert_array_equal, result, wanted)
        np.testing.assert_array_equal(state.key_scores, wanted_state.key_scores)
        assert (result.labels != without.labels).mean() > 0.1


def test_so_with_a_flow_network():
    config, own = SIMPLE.replace(policy=FixedInterval(2)), simple_params()
    got = run(config.replace(class_offsets=OFFSETS), own, motion=None)
    for (_, result), (_, wanted) in zip(got, run(config, with_added(own), motion=None), strict=True):
        np.testing.assert_array_equal(result.labels, wanted.labels)


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
    carried = init_state(own, CLIP[0], config=PLAIN).carried
    found = pair_samples(own, *pair, carried, config=FAVOURED)
    jax.tree.map(np.testing.assert_array_equal, found, pair_samples(with_added(own), *pair, carried, config=PLAIN))
    plain = pair_samples(own, *pair, carried, config=PLAIN)
    for labels, without in ((found.segmented, plain.segmented), (found.warped, plain.warped)):
        assert (labels != without).mean() > 0.1


def test_an_exported_program_has_them(tmp_path):
    own = carried_params()
    _, results = exported_steps(tmp_path / "favoured.dvsnet", own, FAVOURED, CLIP, STILL)
    for result, (_, wanted) in zip(results, run(FAVOURED, own), strict=True):
        np.testing.assert_array_equal(result.labels, wanted.labels)


def test_void_behind_the_classes_and_infinity_stay():
    scores = jnp.asarray([[[[1.0, 2.0, 3.0], [-LARGEST, LARGEST, 0.0]]], [[[1.0, 2.0, 3.0], [0.0, 0.0, jnp.nan]]]])
    some = favoured(scores, (5.0, -1.0))
    np.testing.assert_array_equal(some[0], np.float32([[[6, 1, 3], [-LARGEST, LARGEST, 0]]]))
    np.testing.assert_array_equal(some[1], [[[6, 1, 3], [5, -1, np.nan]]])
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
