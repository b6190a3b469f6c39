"""Stage 3 against the original's own training, and the samples against its `gentestcase.py`."""

from __future__ import annotations

from functools import partial
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stored import stored
from tiny import TINY, tiny_params, video

from dvsnet_jax import DecisionConfig, DVSNetConfig
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.config import DRSLEEP_MEAN_BGR, DeepLabFastConfig
from dvsnet_jax.training.decision.examples import pair_samples
from dvsnet_jax.training.decision.network import DecisionTraining, batches, squared_error, start, train_step
from dvsnet_jax.training.restoring import fresh_decision


@pytest.fixture(scope="module")
def params():
    return jax.device_put(seeded_params(DVSNetConfig.cityscapes()))


def flat(tree) -> dict:
    return {f"{layer}.{leaf}": array for layer, leaves in tree.items() for leaf, array in leaves.items()}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rate,name", [(0.002, "lr0.002"), (1e-5, "lr1e-05")])
def test_three_adam_steps_equal_the_original(goldens, params, rate, name, precision):
    # At 0.002 the scores go 88, -56, -8, 92, and the last loss is the most delicate number here. It is met to 2e-6 in
    # both precisions because Adam takes its bias corrections from float32 powers, as TensorFlow 1.4 does: with exact
    # ones it is off by 1.15e-4 in float64, with optax's float32 ones (0.999**3 differs in the last bit) by 1.25e-4.
    # TensorFlow 2.21 is off by 2.7e-6; float64 from weights and features off by half a float32 ulp, by 3.3e-6 at most.
    # At step 2 three pre-activations lie so near LeakyReLU's kink (8e-6, 2.2e-4, 2.6e-4) that adding up in another
    # order can flip them: with hidden units permuted, 7 of 8 float32 runs had the last loss off by 1.9e-3 to 6.2e-2.
    # Failing so in float32 alone, on another machine, is this and no fault of the training.
    arrays, about = goldens.arrays("decision"), goldens.json("decision")
    training = DecisionTraining(learning_rate=rate, dropout=0.0, precision=precision, adam="tensorflow")
    # Newer releases of jax warn about the old place, older ones do not know the new one.
    enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable_x64(precision == "float64"):
        features = jnp.asarray(goldens.arrays("e2e_ov32/e2e")["flow_feature"].reshape(-1, 4, 8, 384)[:16], precision)
        confidence = jnp.asarray(arrays["train_Y"][:, 0], precision)
        state = start(jax.tree.map(lambda leaf: jnp.array(leaf, precision), params["decision"]), training, 100)
        losses = []
        for _ in range(3):
            state, loss = train_step(
                state, features, confidence, config=DecisionConfig(), training=training, steps_per_epoch=100
            )
            losses.append(float(loss))
        after = squared_error(state.params, features, confidence, config=DecisionConfig(), precision=precision)
        losses.append(float(after))
    assert after.dtype == precision
    np.testing.assert_allclose(losses, arrays[f"{name}_losses_before_step1_2_3_and_after3"], rtol=2e-5)
    for layer, array in flat(state.params).items():
        key = f"{name}_after3_{layer}"
        # relative to the parameter's own scale: single entries pass through zero
        expected = arrays[key]
        got = stored(np.asarray(array), about[key]["stored"])
        assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max(), layer
    if name == "lr0.002":
        adam = state.optimizer[0]
        for slot, moments in (("slot_Adam_", adam.mu), ("slot_Adam_1_", adam.nu)):
            for layer, array in flat(moments).items():
                expected = arrays[slot + layer]
                got = stored(np.asarray(array), about[slot + layer]["stored"])
                assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max(), slot + layer


def small_set():
    """A small network's configuration and fresh parameters, and 64 samples for it."""
    config = DecisionConfig(grid=(2, 3), conv_width=4, hidden=(32, 32, 8))
    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(64, 2, 3, 5)), jnp.float32)
    return config, fresh_decision(config, 5), features, jnp.asarray(rng.uniform(40, 100, 64), jnp.float32)


def test_optax_and_tensorflow_adam_differ_by_rounding_alone():
    config, params, features, confidence = small_set()
    after = {}
    for adam in ("optax", "tensorflow"):
        training = DecisionTraining(dropout=0.0, adam=adam)
        state = start(jax.tree.map(jnp.copy, params), training, 100)
        for _ in range(20):
            state, loss = train_step(state, features, confidence, config=config, training=training, steps_per_epoch=100)
        after[adam] = float(loss), flat(state.params)
    assert after["optax"][0] == pytest.approx(after["tensorflow"][0], rel=1e-3)
    assert any((after["optax"][1][name] != array).any() for name, array in after["tensorflow"][1].items())


def test_bfloat16_gradients_point_the_same_way():
    config, params, features, confidence = small_set()
    loss_of = partial(squared_error, features=features, confidence=confidence, config=config)
    (loss, gradients), (rough, rough_gradients) = (
        jax.jit(jax.value_and_grad(partial(loss_of, precision=precision)))(params)
        for precision in ("float32", "bfloat16")
    )
    assert rough.dtype == jnp.float32 and rough != loss and float(rough) == pytest.approx(float(loss), rel=1e-2)
    for name, rough_gradient in flat(rough_gradients).items():
        gradient = flat(gradients)[name]
        assert rough_gradient.dtype == jnp.float32
        assert jnp.linalg.norm(rough_gradient - gradient) < 0.1 * jnp.linalg.norm(gradient), name


@pytest.mark.slow  # in the default run: the frame step against the original, and a sample's numbers by hand, below
@pytest.mark.parametrize("size", [(256, 512), (1024, 2048)])
def test_samples_equal_gentestcase(goldens, params, size):
    name = f"gentestcase_{size[0]}x{size[1]}"
    arrays, about = goldens.arrays(name), goldens.json(name)
    config = DVSNetConfig.cityscapes(
        overlap=0,
        input_size=size,
        segmentation=DeepLabFastConfig(mean=DRSLEEP_MEAN_BGR),
        decision=DecisionConfig(grid=arrays["X"].shape[1:3]),  # the feature's own
    )
    features, confidence, labels = [], [], []
    for key, current in about["pairs_key_current"]:
        pair = (goldens.image(f"e2e/frame_00000{frame}")[None] for frame in (key, current))
        sample = jax.device_get(pair_samples(params, *pair, config=config))
        features.append(sample.feature)
        confidence.append(sample.confidence)
        labels.append(stored(sample.segmented, about["current_seg_sub"]))
    features = np.concatenate(features)
    assert np.abs(features - arrays["X"]).max() <= 1e-4 * about["X_stats"][1]
    np.testing.assert_allclose(np.concatenate(confidence), arrays["Y"], atol=0.05)
    assert (np.stack(labels) != arrays["current_seg_sub"]).mean() <= 1 / 20_000


def test_identical_frames_agree_and_padding_does_not_count():
    frames = video(2, height=70, width=100)
    config = TINY.replace(overlap=0)
    params = tiny_params()
    same = pair_samples(params, frames[0], frames[0], config=config)
    assert same.confidence.shape == (4,) and same.feature.shape[0] == 4
    other = pair_samples(params, frames[0], frames[1], config=config)
    # by hand, on the pixels of the frame alone
    from dvsnet_jax.video import region_grid

    grid = region_grid(config, 70, 100)
    for region, (top, left) in enumerate(grid.corners):
        inside = np.s_[: min(grid.region_height, 70 - top), : min(grid.region_width, 100 - left)]
        agree = (np.asarray(other.segmented[region])[inside] == np.asarray(other.warped[region])[inside]).mean()
        assert float(other.confidence[region]) == pytest.approx(100 * agree, abs=1e-3)


def test_batches_go_through_everything_and_resume():
    training = DecisionTraining(batch_size=4, seed=3)
    first = list(islice(batches(10, training), 9))
    for epoch in range(3):
        assert set(np.concatenate(first[3 * epoch : 3 * epoch + 3])) == set(range(10))
    np.testing.assert_array_equal(np.stack(list(islice(batches(10, training, first_step=5), 4))), np.stack(first[5:]))
    assert len(next(batches(3, training))) == 4  # fewer samples than a batch
