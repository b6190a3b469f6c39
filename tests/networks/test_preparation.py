"""Parameters prepared for inference: nothing is approximated, whatever the network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video

from dvsnet_jax import DVSNetConfig, FixedInterval, SegmentationFunction, init_state, networks, prepare, segment_frame
from dvsnet_jax.benchmarks.multiply_adds import count_parameters, multiply_adds
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.config import DeepLabFastConfig, DeepLabLiteConfig, DeepLabV2Config
from dvsnet_jax.networks import preparation
from dvsnet_jax.networks.layers import gpu_order
from dvsnet_jax.networks.preparation import is_prepared
from dvsnet_jax.protocols import FlowFunction

NETWORKS = {
    "fast": DeepLabFastConfig(num_classes=5, blocks=(1, 1, 2, 1), width=4, head_width=8),
    "v2": DeepLabV2Config(num_classes=5, blocks=(1, 1, 2, 1), width=4),
    "lite": DeepLabLiteConfig(num_classes=5, decoder_widths=(8, 8, 8)),
}


def with_odd_norms(layers, seed=0):
    """Every batch norm far from the identity, and biases that are not 0."""
    rng = np.random.default_rng(seed)
    drawn = {
        "beta": lambda shape: rng.normal(0, 0.3, shape),
        "gamma": lambda shape: rng.uniform(0.5, 1.5, shape),
        "moving_mean": lambda shape: rng.normal(0, 0.3, shape),
        "moving_variance": lambda shape: rng.uniform(0.5, 2, shape),
        "biases": lambda shape: rng.normal(0, 0.3, shape),
    }
    return {
        name: {
            leaf: drawn[leaf](array.shape).astype(np.float32) if leaf in drawn else array
            for leaf, array in layer.items()
        }
        for name, layer in layers.items()
    }


def made(name):
    config = TINY.replace(segmentation=NETWORKS[name])
    params = seeded_params(config)
    return config, {**params, "segmentation": with_odd_norms(params["segmentation"])}


def scores(params, config, images):
    return np.asarray(jax.jit(networks.segmentation_scores, static_argnames="config")(params, images, config=config))


@pytest.mark.optimized
@pytest.mark.parametrize("name", NETWORKS)
def test_scores_are_the_same_to_rounding(name):
    config, params = made(name)
    images = jnp.asarray(np.random.default_rng(1).uniform(0, 255, (2, 64, 112, 3)), jnp.float32)
    plain, prepared = scores(params, config, images), scores(prepare(params, config), config, images)
    assert plain.std() > 0
    np.testing.assert_allclose(prepared, plain, atol=5e-5 * plain.std() + 1e-6 * np.abs(plain).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_no_norm_is_left_and_no_other_room_is_touched(name):
    config, params = made(name)
    prepared = prepare(params, config)
    assert is_prepared(prepared["segmentation"]) and not is_prepared(params["segmentation"])
    assert all(set(layer) <= {"weights", "biases"} for layer in prepared["segmentation"].values())
    for room in ("flow", "decision"):
        jax.tree.map(np.testing.assert_array_equal, prepared[room], params[room])
    jax.tree.map(np.testing.assert_array_equal, prepare(prepared, config), prepared)


def test_what_is_prepared_does_not_follow_the_users_arrays():
    """Put on a CPU from an address that 64 divides, an array would be numpy's memory."""
    memory = np.zeros(128, np.float32)
    weights = memory[-memory.ctypes.data % 64 // 4 :][:16]
    config = TINY.replace(segmentation=SegmentationFunction(function=lambda params, images: images, num_classes=3))
    for precision in ("float32", "bfloat16"):
        prepared = prepare({**seeded_params(TINY), "segmentation": {"weights": weights}}, config, precision=precision)
        weights[:] += 1
        assert float(prepared["segmentation"]["weights"][0]) == float(weights[0]) - 1


def test_shapes_without_parameters():
    config, params = made("fast")
    abstract = jax.eval_shape(lambda params: prepare(params, config), params)
    jax.tree.map(lambda a, b: np.testing.assert_equal((a.shape, a.dtype), (b.shape, b.dtype)), abstract,
                 prepare(params, config))  # fmt: skip


def test_what_is_saved_at_the_originals_size():
    config = DVSNetConfig.cityscapes()
    prepared = jax.eval_shape(lambda params: prepare(params, config), networks.abstract_params(config))
    image = jax.ShapeDtypeStruct((1, 576, 1088, 3), jnp.float32)

    def cost(params):
        return multiply_adds(lambda params, image: networks.segmentation_scores(params, image, config), params, image)

    assert cost(prepared) == pytest.approx(125e9, rel=0.01) and cost(networks.abstract_params(config)) > 158e9
    assert count_parameters(prepared["segmentation"]["head"]) == 2048 * 28 * 19 + 19


def test_bfloat16_keeps_routes_and_nearly_all_labels():
    config = TINY.replace(policy=FixedInterval(2))
    clip = video(3)
    labels = {}
    for precision in ("float32", "bfloat16"):
        params = prepare(tiny_params(), config, precision=precision)
        assert {leaf.dtype for leaf in jax.tree.leaves(params["segmentation"])} == {jnp.dtype(precision)}
        assert {leaf.dtype for leaf in jax.tree.leaves((params["flow"], params["decision"]))} == {jnp.dtype("float32")}
        state = init_state(params, clip[0], config=config)
        assert state.key_scores.dtype == jnp.float32
        for frames in clip:
            state, result = segment_frame(params, state, frames, config=config)
        labels[precision] = np.asarray(result.labels)
    assert 0.97 < (labels["float32"] == labels["bfloat16"]).mean() < 1


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"'float16'.*'float32' or 'bfloat16'"):
        prepare(tiny_params(), TINY, precision="float16")


def test_a_network_of_the_users_own_is_left_alone():
    own = TINY.replace(segmentation=SegmentationFunction(function=lambda params, images: images, num_classes=3))
    params = {**tiny_params(), "segmentation": {"anything": np.ones(3, np.float32), "moving_variance": [np.ones(1)]}}
    prepared = prepare(params, own, precision="bfloat16")
    jax.tree.map(np.testing.assert_array_equal, prepared["segmentation"], params["segmentation"])


def layouts(tree):
    return {
        leaf.shape: leaf.format.layout.major_to_minor for leaf in jax.tree.leaves(tree) if leaf.ndim in (3, 4)
    }  # fmt: skip


@pytest.fixture
def like_a_gpu(monkeypatch):
    monkeypatch.setattr(preparation.jax, "default_backend", lambda: "gpu")


@pytest.mark.parametrize(
    ("shape", "order"),
    [  # as XLA lays them for an H100 where it may choose (Layout.AUTO, jax 0.10.2)
        ((3, 3, 256, 256), (3, 0, 1, 2)), ((5, 5, 24, 48), (3, 0, 1, 2)), ((4, 4, 24, 146), (3, 0, 1, 2)),
        ((4, 4, 2, 2), (3, 0, 1, 2)), ((3, 3, 38, 19), (3, 0, 1, 2)), ((3, 3, 74, 19), (2, 0, 1, 3)),
        ((3, 3, 38, 2), (2, 0, 1, 3)), ((5, 5, 672), (2, 0, 1)), ((3, 3, 32), (2, 0, 1)),
        ((1, 1, 512, 2048), None), ((7, 7, 3, 64), None), ((3, 3, 3, 32), None), ((7, 7, 6, 24), None),
        ((2048, 532), None), ((19,), None),
    ],
)  # fmt: skip
def test_how_kernels_lie_on_a_gpu(shape, order):
    assert gpu_order(shape) == order


def test_kernels_of_our_networks_lie_as_a_gpu_reads_them(like_a_gpu):
    street = DVSNetConfig.street()
    for config in (TINY, street):
        prepared = prepare(tiny_params() if config is TINY else seeded_params(street), config)
        for part in prepared.values():
            for shape, order in layouts(part).items():
                assert order == (gpu_order(shape) or tuple(range(len(shape))))
    assert layouts(prepared["segmentation"])[5, 5, 672] == (2, 0, 1)  # depthwise
    assert layouts(prepared["segmentation"])[1, 1, 32, 16] == (0, 1, 2, 3)  # a product of matrices


def test_arrays_of_the_users_own_networks_lie_as_they_were_on_a_gpu_too(like_a_gpu):
    mine = {"kernel": np.ones((3, 3, 16, 32), np.float32), "table": jnp.ones((2, 2, 2, 2)), "deep": jnp.ones((3, 3, 8))}
    left = {(3, 3, 16, 32): (0, 1, 2, 3), (2, 2, 2, 2): (0, 1, 2, 3), (3, 3, 8): (0, 1, 2)}
    segmentation = SegmentationFunction(function=lambda params, images: images, num_classes=3)
    flow = FlowFunction(function=lambda params, current, key: None, feature_channels=8)
    prepared = prepare({**tiny_params(), "segmentation": mine}, TINY.replace(segmentation=segmentation))
    assert layouts(prepared["segmentation"]) == left and (3, 0, 1, 2) in layouts(prepared["flow"]).values()
    prepared = prepare({**tiny_params(), "flow": mine}, TINY.replace(flow=flow))
    assert layouts(prepared["flow"]) == left and (3, 0, 1, 2) in layouts(prepared["segmentation"]).values()
