"""Stage 2: the losses, what learns and what stands, and the joint fine-tune."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipes import varied_params
from tiny import TINY, tiny_params, video

from dvsnet_jax import networks, preprocessing
from dvsnet_jax.config import FlowNet2sConfig
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.flow import init_flow_params
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.ops.downsample import downsample
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.ops.warp import warp_scores
from dvsnet_jax.training.flow import joint, validation
from dvsnet_jax.training.flow import supervised as flow
from dvsnet_jax.training.flow.joint_run import fine_tune
from dvsnet_jax.training.flow.loss import LEVEL_WEIGHTS, multi_scale_loss
from dvsnet_jax.training.loop import Schedule

RNG = np.random.default_rng(0)
LABELLED = joint.JointTraining(steps=3, every=1)


def shifted_pair(
    x: int, y: int, size: tuple[int, int] = (128, 128)
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A picture, the same moved by (x, y), and the flow between them, a batch of one."""
    big = video(1, height=size[0] + 32, width=size[1] + 32)[0, 0]
    first = big[16 : 16 + size[0], 16 : 16 + size[1]]
    second = big[16 - y : 16 - y + size[0], 16 - x : 16 - x + size[1]]
    flow = np.broadcast_to(np.float32([x, y]), (*size, 2))
    return first[None], second[None], flow[None], np.ones((1, *size), bool)


def test_loss_is_the_weighted_sum_over_levels():
    truth = RNG.normal(size=(2, 64, 96, 2)).astype(np.float32) * 30
    predictions = {level: RNG.normal(size=(2, 64 >> level, max(1, 96 >> level), 2)) for level in (5, 4, 3, 2)}
    expected = 0.0
    for level, predicted in predictions.items():
        wanted = np.asarray(downsample(jnp.asarray(truth / 20), predicted.shape[1:3]))
        expected += LEVEL_WEIGHTS[level] * np.linalg.norm(predicted - wanted, axis=-1).sum() / 2
    loss = multi_scale_loss(predictions, truth, np.ones((2, 64, 96), bool), divisor=20.0)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert LEVEL_WEIGHTS == {6: 0.32, 5: 0.08, 4: 0.02, 3: 0.01, 2: 0.005, 0: 1.0}  # parity.md, 3.4


def test_unknown_flow_does_not_count_and_has_a_finite_gradient():
    truth = np.zeros((1, 32, 32, 2), np.float32)
    valid = np.ones((1, 32, 32), bool)
    valid[:, :16] = False
    wrong_above = np.zeros((1, 8, 8, 2), np.float32)
    wrong_above[:, :3] = 7.0
    loss = partial(multi_scale_loss, flow=truth, valid=valid, divisor=20.0)
    assert float(loss({2: wrong_above})) == 0.0
    gradient = jax.grad(lambda p: loss({2: p}))(jnp.zeros((1, 8, 8, 2)))
    assert np.isfinite(gradient).all(), "the length's gradient at 0"
    assert float(loss({2: wrong_above[:, ::-1]})) > 0


def test_exponent_lets_small_errors_weigh_more():
    truth, valid = np.zeros((1, 8, 8, 2), np.float32), np.ones((1, 8, 8), bool)

    def share(exponent):
        small, large = (
            float(multi_scale_loss({2: np.full((1, 8, 8, 2), e)}, truth, valid, divisor=1.0, exponent=exponent))
            for e in (0.1, 10.0)
        )
        return small / large

    np.testing.assert_allclose(share(None), 0.01, rtol=1e-5)
    np.testing.assert_allclose(share(0.4), ((0.1 * 2**0.5 + 0.01) / (10 * 2**0.5 + 0.01)) ** 0.4, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "first", "after"),
    [
        ("S_short", 1e-4, {0: 1, 299: 1, 301: 2, 401: 4, 501: 8}),
        ("S_long", 1e-4, {199: 1, 201: 2, 301: 4, 401: 8, 501: 16}),
        ("S_fine", 1e-5, {199: 1, 201: 2, 301: 4, 401: 8, 501: 16}),
    ],
)
def test_schedules_halve_where_the_paper_does(name, first, after):
    rate = flow.rate(flow.FlowTraining(schedule=name, steps=600))
    for step, halved in after.items():
        np.testing.assert_allclose(rate(step), first / halved, rtol=1e-6)


@pytest.mark.slow
def test_flownet2s_learns_a_shift_and_keeps_its_scale_head():
    config = FlowNet2sConfig(channels=(8, 8, 16, 16, 16, 16))
    whole = TINY.replace(flow=config)
    params = networks.init_params(jax.random.key(0), whole)["flow"]
    training = flow.FlowTraining(steps=100, learning_rate=3e-3, weight_decay=0.0)
    state = flow.start(jax.tree.map(jnp.array, params), config, training)
    batch = [np.concatenate(arrays) for arrays in zip(shifted_pair(6, -4), shifted_pair(-5, 3), strict=True)]
    losses = []
    for _ in range(100):
        state, metrics = flow.train_step(state, *batch, config=config, training=training)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.3 * losses[0]
    for name in ("weights", "biases"):
        np.testing.assert_array_equal(state.params["predict_scale"][name], params["predict_scale"][name])
    estimate = np.asarray(networks.full_size_flow(state.params, batch[0], batch[1], config))
    middle = estimate[:, 32:96, 32:96].mean((1, 2))
    np.testing.assert_allclose(middle, [[6, -4], [-5, 3]], atol=3.0)


@pytest.mark.parametrize(("network", "still"), [("FlowNetCS", "FlowNetC"), ("FlowNet2", "FlowNetCSS")])
def test_of_a_stack_only_the_last_network_learns(network, still):
    config = FlowNet2Config(network=network, width=1 / 32)
    params = jax.eval_shape(lambda: init_flow_params(jax.random.key(0), config))
    learns = flow.is_trained(params, config, flow.FlowTraining())[network]
    assert not any(jax.tree.leaves(learns[still]))
    assert any(jax.tree.leaves(learns))
    whole = flow.is_trained(params, config, flow.FlowTraining(whole_stack=True))
    assert all(jax.tree.leaves(whole))


@pytest.mark.slow
def test_one_step_of_the_family_changes_what_learns():
    config = FlowNet2Config(network="FlowNetCS", width=1 / 32)
    params = init_flow_params(jax.random.key(0), config)
    training = flow.FlowTraining(steps=4, exponent=0.4)
    state = flow.start(jax.tree.map(jnp.array, params), config, training)
    state, metrics = flow.train_step(state, *shifted_pair(3, 2), config=config, training=training)
    assert np.isfinite(metrics["loss"])
    old, new = params["FlowNetCS"], state.params["FlowNetCS"]
    jax.tree.map(np.testing.assert_array_equal, old["FlowNetC"], new["FlowNetC"])
    assert not np.array_equal(old["FlowNetS"]["conv1"]["weights"], new["FlowNetS"]["conv1"]["weights"])


def test_joint_loss_is_that_of_the_frame_steps_warp():
    params = varied_params()
    key, current = video(4)[0], video(4)[3]
    labels = RNG.integers(0, 5, key.shape[:3]).astype(np.uint8)
    training = LABELLED
    state = joint.start(jax.tree.map(jnp.array, params["flow"]), training)
    _, metrics = joint.train_step(state, params["segmentation"], key, current, labels, config=TINY, training=training)

    @jax.jit
    def warped_labels(params, key, current):
        out = networks.flow_and_feature(params, preprocessing.half(current), preprocessing.half(key), TINY)
        warped = warp_scores(networks.segmentation_scores(params, key, TINY), out.flow, out.scale)
        return upsample_argmax(warped, key.shape[1:3])[0]

    right = np.asarray(warped_labels(params, key, current)) == labels
    np.testing.assert_allclose(metrics["right"], right.mean(), atol=1e-6)


def test_joint_fine_tune_gains_on_copying_without_a_label():
    params = varied_params()
    key, current = video(4)[0], video(4)[3]  # moved by nine pixels
    void = np.full(key.shape[:3], 255, np.uint8)
    training = joint.JointTraining(steps=80, learning_rate=3e-3, supervision="own", every=1)
    state = joint.start(jax.tree.map(jnp.array, params["flow"]), training)
    history = []
    for _ in range(80):
        state, metrics = joint.train_step(
            state, params["segmentation"], key, current, void, config=TINY, training=training
        )
        history.append(jax.device_get(metrics))
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["right"] > history[-1]["copied"] + 0.05
    assert not np.array_equal(state.params["predict_scale"]["weights"], params["flow"]["predict_scale"]["weights"])


def test_held_out_frames_that_cannot_be_cut_are_told_before_training(tmp_path):
    clip = [LabelledImage(frame, np.full(frame.shape[:2], 255, np.uint8)) for frame in video(2, height=112)[:, 0]]
    config = TINY.replace(regions=(6, 2), overlap=0)
    training = joint.JointTraining(steps=1, supervision="own", every=1)
    with pytest.raises(InputError, match=r"held-out clip 0: 112×96 frames in 6×2 regions .* use 4×2"):
        fine_tune(tiny_params(), config, [clip], tmp_path, training, Schedule(steps=1), held_out=[clip])


def test_what_cannot_be_validated_on_is_told_in_a_line(tmp_path, monkeypatch):
    clip = [LabelledImage(frame, np.full(frame.shape[:2], 255, np.uint8)) for frame in video(2)[:, 0]]
    training = joint.JointTraining(steps=1, supervision="own")
    with pytest.raises(InputError, match=r"none of 2 clips to measure on has two frames .* are 1 or 3 or 6 or 9 apart"):
        fine_tune(tiny_params(), TINY, [clip], tmp_path, training, Schedule(steps=1), held_out=[clip[:1], clip[1:]])
    grown = [clip[0], LabelledImage(*(each.repeat(2, 1) for each in clip[1]))]
    with pytest.raises(InputError, match=r"frame 1 of a clip is 64×192 and its key frame 64×96; expected"):
        validation.agreement_at_gaps(tiny_params(), [grown], TINY)
    nothing = FlowPair(clip[0].image, clip[1].image, np.zeros((64, 96, 2), np.float32), np.zeros((64, 96), bool))
    monkeypatch.setattr(validation, "_flow", lambda params, first, second, config: np.zeros((1, 64, 96, 2), np.float32))
    with pytest.raises(InputError, match=r"in none of 2 pairs to measure on is the flow of a pixel known"):
        validation.endpoint_errors({}, [nothing, nothing], TINY.flow)


def test_crops_of_other_sides_are_told_before_training(tmp_path):
    clip = [LabelledImage(frame, np.full(frame.shape[:2], 255, np.uint8)) for frame in video(2, height=128)[:, 0]]
    training, crops = joint.JointTraining(steps=1, supervision="own"), LabelledAugmentation(crop=(100, 96))
    with pytest.raises(InputError, match=r"--crop is 100 96, but sides of a crop are multiples of 16; take 96 96"):
        fine_tune(tiny_params(), TINY, [clip], tmp_path, training, Schedule(steps=1), crops=crops)


def test_labels_that_are_all_void_leave_the_flow_as_it_is():
    params = tiny_params()
    frames = video(2)
    training = LABELLED
    state = joint.start(jax.tree.map(jnp.array, params["flow"]), training)
    state, metrics = joint.train_step(
        state, params["segmentation"], frames[0], frames[1], np.full(frames[0].shape[:3], 255, np.uint8),
        config=TINY, training=training,
    )  # fmt: skip
    assert float(metrics["loss"]) == 0
    jax.tree.map(np.testing.assert_array_equal, state.params, params["flow"])
