"""The scale field of carried motion: 1 where nothing was learned, and learned from clips alone."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import STEP, moving, with_a_cut
from tiny import CARRIED, TINY, carried_params, tiny_params
from tiny_files import write_images

from dvsnet_jax import (
    CarriedMotionConfig,
    FixedInterval,
    LocalDecisionConfig,
    checkpoints,
    init_state,
    segment_frame,
)
from dvsnet_jax.cli import main
from dvsnet_jax.datasets.augment.key_pairs import draw_carried_pair
from dvsnet_jax.datasets.augment.labelled import ColorRange, LabelledAugmentation
from dvsnet_jax.datasets.clips import Place
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import CarriedFlow
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.networks.carried_scale import SIGNS, CarriedScale, scale_signs
from dvsnet_jax.ops.resize import resize_half_pixel
from dvsnet_jax.ops.warp_cues import key_cells, warped_key
from dvsnet_jax.training.accelerate import Acceleration, accelerate
from dvsnet_jax.training.decision.network import DecisionTraining
from dvsnet_jax.training.flow.joint import JointTraining

PLAIN = CARRIED.replace(policy=FixedInterval(10))
SCALED = PLAIN.replace(flow=CarriedMotionConfig(scale_width=4))
SIZE = (144, 240)


def labels_of(params, config, frames):
    state = init_state(params, frames[:1], config=config)
    for frame in frames:
        moved = np.zeros_like(for_step(None, *SIZE).flow)
        state, result = segment_frame(params, state, frame[None], None, moved, config=config)
    return np.asarray(result.labels), result.segmented


def test_a_fresh_scale_field_changes_nothing_and_another_does():
    frames, params = moving(2, *SIZE), carried_params(SCALED)
    plain = {name: params[name] for name in ("segmentation", "decision")}
    expected, segmented = labels_of(plain, PLAIN, frames)
    assert not segmented.any()
    np.testing.assert_array_equal(labels_of(params, SCALED, frames)[0], expected)
    # The scores are negative: the larger the scale, the worse for the class.
    biased = jax.tree.map(jnp.asarray, params)
    biased["flow"]["predict_scale"]["biases"] = jnp.array([50.0, 1.0, 1.0])
    changed, _ = labels_of(biased, SCALED, frames)
    assert (changed == 0).sum() < (expected == 0).sum() / 4
    with pytest.raises(ValueError, match="counts channels"):
        CarriedMotionConfig(scale_width=-1)


def test_signs_say_what_differs():
    key = np.full((1, 32, 64, 3), 100, np.uint8)
    current = key.copy()
    current[..., 1] += 51
    carried = CarriedFlow(jnp.full((1, 8, 16, 2), 3.0), jnp.full((1, 8, 16), 0.25), jnp.array([7.0]))
    warped = warped_key(key_cells(key, jnp.zeros((1, 8, 16, 5))), carried.flow)
    signs = scale_signs(current, warped, carried)
    assert signs.shape == (1, 4, 8, len(SIGNS) + 5)
    values = dict(zip(SIGNS, np.asarray(signs[0, 2, 4]), strict=False))
    expected = {"red": 0, "green": 0.8, "blue": 0, "texture": 0, "motion": np.log1p(18**0.5), "tear": 0,
                "trust": 0.25, "age": np.log(8)}  # fmt: skip
    assert values == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(signs[..., len(SIGNS) :], 0.2, atol=1e-6)


def test_signs_are_means_of_two_by_two_cells():
    rng = np.random.default_rng(0)
    current, key = rng.integers(0, 256, (2, 1, 32, 64, 3), np.uint8)
    trust = jnp.asarray(rng.uniform(0, 1, (1, 8, 16)), jnp.float32)
    carried = CarriedFlow(jnp.zeros((1, 8, 16, 2)), trust, jnp.zeros(1))
    signs = scale_signs(current, warped_key(key_cells(key, jnp.zeros((1, 8, 16, 3))), carried.flow), carried)
    differs = (current.astype(np.float32) - key)[0, 8:16, 16:24].mean((0, 1)) * 4 / 255
    np.testing.assert_allclose(signs[0, 1, 2, :3], differs, atol=1e-5)
    assert signs[0, 1, 2, SIGNS.index("trust")] == pytest.approx(float(trust[0, 2:4, 4:6].mean()), abs=1e-6)


def test_the_scale_field_is_enlarged_about_the_centres_of_cells():
    signs = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 7)), jnp.float32)
    network = CarriedScale(CarriedMotionConfig(scale_width=3), 2)
    params = network.init(jax.random.key(0), signs)
    params["params"]["predict_scale"]["weights"] = jnp.ones((1, 1, 3, 2))
    coarse = network.apply(params, signs)
    expected = resize_half_pixel(_scale_before_enlarging(network, params, signs), (8, 12))
    np.testing.assert_allclose(coarse, expected, atol=1e-5)


def _scale_before_enlarging(network, params, signs):
    """The last convolution's output."""
    _, seen = network.apply(params, signs, capture_intermediates=True)
    return seen["intermediates"]["predict_scale"]["__call__"][0]


def clip_of(frames) -> list[LabelledImage]:
    return [LabelledImage(frame, np.full(frame.shape[:2], index, np.uint8)) for index, frame in enumerate(frames)]


def test_a_pair_carries_the_motion_between_its_frames():
    limits = LabelledAugmentation(crop=(96, 160), scale=(1, 1), stretch=0, flip=0)
    limits = dataclasses.replace(limits, color=ColorRange().scaled(0))
    pair = draw_carried_pair(Place(clip_of(moving(5, *SIZE)), 4), np.random.default_rng(0), limits, distances=(3, 3))
    assert pair.age == 3 and (pair.labels[pair.labels < 255] == 4).all() and pair.flow.shape == (12, 20, 2)
    assert 8 * np.abs(pair.flow[3:-3, 3:-3] - 3 * STEP / 8).mean() < 1
    assert (pair.trust >= 0).all() and pair.trust.mean() < 1
    cut = clip_of(with_a_cut())
    across = draw_carried_pair(Place(cut, 5), np.random.default_rng(0), limits, distances=(3, 3))
    assert across.age == 0 and (across.flow == 0).all() and (across.key == across.current).all()


def test_accelerate_learns_it(tmp_path):
    clips = [clip_of(moving(6, *SIZE))]
    options = Acceleration(
        joint=JointTraining(steps=6, batch_size=2, learning_rate=0.02, supervision="own"),
        decision=DecisionTraining(epochs=1), pairs=8, distances=(1, 3),
        crops=LabelledAugmentation(crop=(96, 160), scale=(0.9, 1.1)),
    )  # fmt: skip
    params = carried_params(SCALED)
    made = accelerate(params, SCALED, clips, clips, tmp_path / "run", options)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(jnp.asarray(a) - b).max()), made.params["flow"], params["flow"])
    assert moved["predict_scale"]["biases"] > 0.001
    again = accelerate(params, SCALED, clips, clips, tmp_path / "run", options)  # nothing is left to do
    jax.tree.map(np.testing.assert_array_equal, made.params["flow"], again.params["flow"])
    with pytest.raises(InputError, match=r"^clip 0: overlap 1000 is too large"):  # before training, not after
        accelerate(params, SCALED.replace(overlap=1000), clips, clips, tmp_path / "no", options)
    assert not (tmp_path / "no" / "flow").exists()
    stages: list[str] = []
    accelerate(carried_params(), PLAIN, clips, clips, tmp_path / "plain", options, on_stage=stages.append)
    assert stages[0].startswith("nothing to fine-tune") and not (tmp_path / "plain" / "flow").exists()


def test_the_command_turns_weights_with_a_flow_network_into_such(tmp_path, capsys):
    checkpoints.save(tmp_path / "tiny", tiny_params(), TINY)
    write_images(tmp_path / "drive", moving(10, *SIZE))
    run = ["accelerate", "--data", f"frames:{tmp_path / 'drive'}", "--restore-from", str(tmp_path / "tiny"),
           "--save-dir", str(tmp_path / "run"), "--steps", "2", "--batch-size", "1", "--crop", "96", "160",
           "--pairs", "4", "--distances", "1", "2", "--epochs", "1", "--in-memory"]  # fmt: skip
    assert main([*run, "--motion", "dis"]) == 0
    assert "stage: scale field" in capsys.readouterr().out
    params, config = checkpoints.load(tmp_path / "run" / "weights")
    assert config.flow == CarriedMotionConfig(scale_width=16) and isinstance(config.decision, LocalDecisionConfig)
    assert set(params["flow"]) == {"coarse1", "coarse2", "predict_scale"}
    assert json.loads((tmp_path / "run" / "flow" / "settings.json").read_text())["motion"] == "dis"
    assert main(["segment", str(tmp_path / "drive"), "--weights", str(tmp_path / "run" / "weights"), "--no-overlay",
                 "--out", str(tmp_path / "out")]) == 0  # fmt: skip
    assert "motion by dis" in capsys.readouterr().err
    assert main([*run, "--motion", "encoder"]) == 1  # another run's folder
    assert main([*run, "--motion", "dis", "--decision", "paper"]) == 2
    assert "add --motion paper" in " ".join(capsys.readouterr().err.split())
