"""The FlowNet2 family: sizes, names, the conventions, any image size, gradients, and what estimate_flow refuses."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax import flow as flow_module
from dvsnet_jax.checkpoints.foreign.flownet2_tf import from_flownet2_tf
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.errors import InputError
from dvsnet_jax.flow import abstract_flow_params, estimate_flow, init_flow_params
from dvsnet_jax.flownet_config import FLOWNET2_TF, NVIDIA, FlowConvention, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import full_flow, normalised, pair_flow
from dvsnet_jax.networks.flownet.stack import magnitude
from dvsnet_jax.ops.resize import resize_align_corners, resize_half_pixel

compiled = jax.jit(pair_flow, static_argnums=3)

NETWORKS = ("FlowNetS", "FlowNetC", "FlowNetCS", "FlowNetCSS", "FlowNetSD", "FlowNet2")
CONVENTIONS = {"flownet2-tf": FLOWNET2_TF, "nvidia": NVIDIA}
COUNTS = {
    # parity.md gives flownet2-tf's FlowNet2 52 fewer, having left out the biases of fuse_deconv1, fuse_deconv0 and
    # fuse_upsample_flow*: those are among its variables (goldens/variables.json) and in its outputs.
    "FlowNetS": (38_675_546, 38_676_506),
    "FlowNetC": (39_174_330, 39_175_298),
    "FlowNetCS": (77_868_692, 77_870_620),
    "FlowNetCSS": (116_563_054, 116_565_942),
    "FlowNetSD": (45_370_698, 45_371_666),
    "FlowNet2": (162_514_926 + 52, 162_518_834),
}


def count(tree) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def tiny(network: str, convention: FlowConvention = FLOWNET2_TF) -> FlowNet2Config:
    return FlowNet2Config(network=network, convention=convention, width=1 / 16)


@cache
def tiny_params(config: FlowNet2Config):
    """Random ones with flows of a few pixels, biases too: fresh biases are 0, and so would prove nothing."""
    leaves, tree = jax.tree.flatten(abstract_flow_params(config))
    rng = np.random.default_rng(0)
    scale = [0.1 if len(x.shape) == 1 else np.sqrt(2 / math.prod(x.shape[:3])) for x in leaves]
    values = [rng.normal(0, s, x.shape).astype(np.float32) for x, s in zip(leaves, scale, strict=True)]
    return jax.tree.unflatten(tree, values)


def pair(height: int, width: int, batch: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (batch, height // 8 + 2, width // 8 + 2, 3))
    big = np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)
    return big[:, :height, :width], big[:, 2 : 2 + height, 3 : 3 + width]


@pytest.mark.parametrize("network", NETWORKS)
def test_exact_parameter_counts(network):
    for convention, expected in zip((FLOWNET2_TF, NVIDIA), COUNTS[network], strict=True):
        assert count(abstract_flow_params(FlowNet2Config(network=network, convention=convention))) == expected


def test_parameter_counts_of_the_parts():
    params = abstract_flow_params(FlowNet2Config())["FlowNet2"]
    assert count(params["FlowNetCSS"]["FlowNetS"]) == 38_694_362  # 12 input channels
    fusion = {name: layer for name, layer in params.items() if name not in ("FlowNetCSS", "FlowNetSD")}
    assert count(fusion) == 581_174 + 52
    assert count([layer["biases"] for name, layer in fusion.items() if "deconv" in name or "upsample" in name]) == 52


@pytest.mark.parametrize("network", NETWORKS)
def test_parameters_are_flownet2_tfs_variables(goldens, network):
    listed = dict(goldens.json("variables")[f"FlowNet2_family_{network.removeprefix('FlowNet')}"])
    listed.pop("global_step")
    params = flatten(abstract_flow_params(FlowNet2Config(network=network)))
    assert {name: list(leaf.shape) for name, leaf in params.items()} == listed


def test_imports_flownet2_tfs_variables_and_refuses_others():
    config = tiny("FlowNetCS")
    params = tiny_params(config)
    variables = {f"{name}:0": value for name, value in flatten(params).items()}
    bookkeeping = {"global_step:0": np.int64(7), "FlowNetCS/FlowNetC/conv1/weights/Adam:0": np.zeros((7, 7, 3, 4))}
    imported = from_flownet2_tf(variables | bookkeeping | {"beta1_power": np.float32(0.9)}, config)
    jax.tree.map(np.testing.assert_array_equal, imported, params)

    variables["FlowNetCS/FlowNetX/conv1/weights"] = variables.pop("FlowNetCS/FlowNetS/conv1/weights:0")
    variables["FlowNetCS/FlowNetS/conv2/biases:0"] = np.zeros(3, np.float32)
    with pytest.raises(InputError) as caught:
        from_flownet2_tf(variables, config, source="the file")
    for part in ("the file", "missing", "- FlowNetCS/FlowNetS/conv1/weights", "unknown", "FlowNetX", "another shape"):
        assert part in str(caught.value)


QUICK = {("FlowNetS", "flownet2-tf"), ("FlowNetC", "nvidia"), ("FlowNetSD", "flownet2-tf")}


@pytest.mark.parametrize(
    ("network", "convention"),
    [
        pytest.param(network, convention, marks=[] if (network, convention) in QUICK else pytest.mark.slow)
        for network in NETWORKS
        for convention in CONVENTIONS
    ],
)
def test_any_size_and_every_pair_for_itself(network, convention):
    config = tiny(network, CONVENTIONS[convention])
    params = tiny_params(config)
    first, second = pair(50, 75, batch=2)
    flow = estimate_flow(params, first, second, config=config)
    assert flow.shape == (2, 50, 75, 2) and flow.dtype == jnp.float32
    assert np.isfinite(flow).all() and np.abs(flow[0] - flow[1]).max() > 0.01
    turned = estimate_flow(params, first[::-1], second[::-1], config=config)
    np.testing.assert_allclose(flow[::-1], turned, atol=1e-4)


def test_multiples_of_64_are_left_alone_and_others_are_rescaled():
    config = tiny("FlowNetC")
    params = tiny_params(config)
    _, seen = compiled(params, *pair(64, 128), config)
    np.testing.assert_array_equal(seen["images"][..., :3], normalised(*pair(64, 128), FLOWNET2_TF)[0])

    # Images that are constant along an axis enlarge to the same content, so the network predicts the same; what
    # differs is the rescaling of the flow: x by 96 / 128, y by 40 / 64.
    grey = np.full((1, 64, 128, 3), 100, np.uint8), np.full((1, 64, 128, 3), 180, np.uint8)
    full, _ = compiled(params, *grey, config)
    small, _ = compiled(params, grey[0][:, :40, :96], grey[1][:, :40, :96], config)
    expected = resize_half_pixel(full, (40, 96)) * jnp.asarray([96 / 128, 40 / 64])
    assert np.ptp(np.asarray(full)) > 0.01
    np.testing.assert_allclose(small, expected, atol=1e-5)


def test_tiny_images_go_through():
    config = tiny("FlowNetS")
    assert estimate_flow(tiny_params(config), *pair(2, 3), config=config).shape == (1, 2, 3, 2)


def test_channel_order_mean_and_unit():
    rng = np.random.default_rng(3)
    first = rng.integers(0, 256, (2, 8, 8, 3), np.uint8)
    second = rng.integers(0, 2, (2, 8, 8, 3), np.uint8)  # as good as black: flownet2-tf takes it for 0..1
    a, b = normalised(first, second, FLOWNET2_TF)
    np.testing.assert_allclose(a, first[..., ::-1] / 255, atol=1e-7)
    np.testing.assert_allclose(b, second[..., ::-1], atol=1e-7)
    _, b = normalised(first, second, dataclasses.replace(FLOWNET2_TF, unit_scale="always"))
    np.testing.assert_allclose(b, second[..., ::-1] / 255, atol=1e-7)

    a, b = normalised(first, second, NVIDIA)
    mean = np.stack([first, second], 1).astype(np.float64).mean((1, 2, 3))[:, None, None]
    np.testing.assert_allclose(a, (first - mean) / 255, atol=1e-6)
    np.testing.assert_allclose(b, (second - mean) / 255, atol=1e-6)


def test_what_predictions_are_in_pixels():
    """predict_flow2 → flow: the gain, and the way to the images' size, of each network."""
    own = dataclasses.replace(NVIDIA, sd_gain=3.0, enlarging="align_corners", last_enlarging="nearest")
    predicted = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    for network in ("FlowNetS", "FlowNetC", "FlowNetCS"):
        flow = full_flow(predicted, tiny(network, own))
        np.testing.assert_allclose(flow, 20 * resize_align_corners(predicted, (8, 12)), rtol=1e-6)
    np.testing.assert_allclose(full_flow(predicted, tiny("FlowNetCSS", own))[0, :, :, 1], 20 * np.kron(
        predicted[0, :, :, 1], np.ones((4, 4))))  # fmt: skip
    flow = full_flow(predicted, tiny("FlowNetSD", own))
    np.testing.assert_allclose(flow, 3 * resize_align_corners(predicted, (8, 12)), rtol=1e-6)
    own = dataclasses.replace(own, enlarging="half_pixel")
    flow = full_flow(predicted, tiny("FlowNetS", own))
    np.testing.assert_allclose(flow, 20 * resize_half_pixel(predicted, (8, 12)), rtol=1e-6)
    assert full_flow(predicted, tiny("FlowNet2", own)) is predicted


@pytest.mark.parametrize(
    ("network", "change"),
    [
        ("FlowNetCS", {"warp_outside": "border"}),
        ("FlowNetCS", {"enlarging": "half_pixel"}),
        ("FlowNetSD", {"sd_skip": "conv2_1"}),
        pytest.param("FlowNet2", {"stacked_sd_gain": 1.0}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_convention_reaches_the_networks_inside(network, change):
    params, images = tiny_params(tiny(network)), pair(64, 64)
    plain = estimate_flow(params, *images, config=tiny(network))
    other = estimate_flow(params, *images, config=tiny(network, dataclasses.replace(FLOWNET2_TF, **change)))
    assert np.abs(other - plain).max() > 1e-3


def test_biases_are_where_the_convention_has_them():
    biased = dataclasses.replace(FLOWNET2_TF, deconv_biases=True, upsample_biases=("FlowNetC", "FlowNetSD"))
    layers = abstract_flow_params(tiny("FlowNetC", biased))["FlowNetC"]
    assert set(layers["deconv5"]) == set(layers["upsample_flow6to5"]) == {"weights", "biases"}
    layers = abstract_flow_params(tiny("FlowNetS", biased))["FlowNetS"]
    assert set(layers["deconv5"]) == {"weights", "biases"} and set(layers["upsample_flow6to5"]) == {"weights"}


@pytest.mark.parametrize(
    ("network", "convention"),
    [("FlowNetC", "flownet2-tf"), pytest.param("FlowNet2", "nvidia", marks=pytest.mark.slow)],
)
def test_gradients_reach_every_parameter_and_are_finite(network, convention):
    config = tiny(network, CONVENTIONS[convention])
    params = tiny_params(config)
    # One image twice: where warped and first image are equal, the originals' brightness error has no gradient.
    first, _ = pair(64, 64)

    def loss(params):
        flow, seen = pair_flow(params, first, first, config)
        levels = [value for name, value in seen.items() if "predict_flow" in name]
        return jnp.mean(flow**2) + sum(jnp.mean(level**2) for level in levels)

    for name, gradient in flatten(jax.jit(jax.grad(loss))(params)).items():
        assert np.isfinite(gradient).all(), name
        assert np.abs(gradient).max() > 0, name


@pytest.mark.slow
def test_gradient_against_a_finite_difference():
    config = tiny("FlowNetC", NVIDIA)
    params = tiny_params(config)
    first, second = pair(64, 64)
    loss = jax.jit(lambda params: jnp.mean(jnp.sin(pair_flow(params, first, second, config)[0])))
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(4)
    direction = [rng.standard_normal(leaf.shape).astype(np.float32) * 0.02 for leaf in leaves]
    moved = [
        loss(jax.tree.unflatten(tree, [x + s * 0.02 * d for x, d in zip(leaves, direction, strict=True)]))
        for s in (1, -1)
    ]
    numeric = (moved[0] - moved[1]) / 0.04
    gradient = jax.jit(jax.grad(loss))(params)
    analytic = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), direction, strict=True))
    np.testing.assert_allclose(analytic, numeric, rtol=0.02)


def test_magnitude_has_a_gradient_at_zero():
    x = jnp.zeros((1, 1, 2, 3)).at[0, 0, 1].set(jnp.array([3.0, 0.0, 4.0]))
    np.testing.assert_allclose(magnitude(x)[..., 0], [[[0, 5]]])
    gradient = jax.grad(lambda x: magnitude(x).sum())(x)
    np.testing.assert_allclose(gradient[0, 0], [[0, 0, 0], [0.6, 0, 0.8]])


def test_fresh_parameters_are_those_of_the_configuration():
    config = tiny("FlowNetCS", NVIDIA)
    params = init_flow_params(jax.random.key(0), config)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params)
    assert shapes == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), abstract_flow_params(config))
    weights = params["FlowNetCS"]["FlowNetS"]["conv1"]["weights"]
    assert 0.5 < float(weights.std() / np.sqrt(2 / (7 * 7 * 12))) < 1.5


def test_compiled_once_for_each_size_and_configuration():
    config = tiny("FlowNetS", NVIDIA)
    params = tiny_params(config)
    before = flow_module._estimate._cache_size()
    for seed in (0, 1):
        estimate_flow(params, *pair(64, 64, seed=seed), config=tiny("FlowNetS", NVIDIA))
    assert flow_module._estimate._cache_size() == before + 1


def test_network_and_convention_by_name():
    config = FlowNet2Config(network="FlowNetS")
    with pytest.raises(ValueError, match=r"params are not those of .*FlowNetS"):
        estimate_flow(tiny_params(tiny("FlowNetS")), *pair(64, 64), network="FlowNetS")
    with pytest.raises(ValueError, match="leave network and convention out"):
        estimate_flow({}, *pair(64, 64), network="FlowNetS", config=config)
    with pytest.raises(ValueError, match="'FlowNetS2'"):
        estimate_flow({}, *pair(64, 64), network="FlowNetS2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"FlowNet2/FlowNetCSS"):
        estimate_flow({}, *pair(64, 64))


def test_refuses_the_parameters_of_another_convention():
    config = tiny("FlowNetC", NVIDIA)
    with pytest.raises(ValueError, match=r"- FlowNetC/deconv2/biases \[4\]"):
        estimate_flow(tiny_params(tiny("FlowNetC")), *pair(64, 64), config=config)
    with pytest.raises(ValueError, match=r"\+ FlowNetC/deconv2/biases \[4\]"):
        estimate_flow(tiny_params(config), *pair(64, 64), config=tiny("FlowNetC"))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 65, 3), np.uint8), "one size"),
        (np.zeros((1, 64, 64, 3), np.uint8), np.zeros((2, 64, 64, 3), np.uint8), "one size"),
        (np.zeros((1, 64, 1, 3), np.uint8), np.zeros((1, 64, 1, 3), np.uint8), "2×2"),
        (np.zeros((1, 1, 64, 3), np.uint8), np.zeros((1, 1, 64, 3), np.uint8), "2×2"),
        (np.zeros((0, 64, 64, 3), np.uint8), np.zeros((0, 64, 64, 3), np.uint8), "at least one image"),
        (np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8), "batch axis"),
        (np.zeros((1, 64, 64, 4), np.uint8), np.zeros((1, 64, 64, 4), np.uint8), "3"),
        (np.zeros((1, 64, 64, 3), np.float32), np.zeros((1, 64, 64, 3), np.float32), "first is float32"),
        (np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64, 3), np.int32), "second is int32"),
        ("first.png", np.zeros((1, 64, 64, 3), np.uint8), "first is str"),
        (np.zeros((1, 64, 64, 3), np.uint8), None, "second is NoneType"),
    ],
    ids=str,
)
def test_refuses_bad_pairs(first, second, message):
    with pytest.raises(ValueError, match=message):
        estimate_flow({}, first, second)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FlowNet2Config(network="RAFT"), "FlowNetCSS"),  # type: ignore[arg-type]
        (lambda: FlowNet2Config(width=0), "width"),
        (lambda: FlowNet2Config(width=float("nan")), "width"),
        (lambda: dataclasses.replace(NVIDIA, channel_order="GBR"), "channel_order"),
        (lambda: dataclasses.replace(NVIDIA, mean="imagenet"), "mean"),
        (lambda: dataclasses.replace(NVIDIA, unit_scale="never"), "unit_scale"),
        (lambda: dataclasses.replace(NVIDIA, warp_outside="wrap"), "warp_outside"),
        (lambda: dataclasses.replace(NVIDIA, enlarging="bicubic"), "enlarging"),
        (lambda: dataclasses.replace(NVIDIA, last_enlarging="bicubic"), "last_enlarging"),
        (lambda: dataclasses.replace(NVIDIA, sd_skip="conv3"), "sd_skip"),
        (lambda: dataclasses.replace(NVIDIA, upsample_biases=("FlowNet2",)), "upsample_biases"),
    ],
)
def test_configuration_refuses(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_convention_is_never_guessed():
    with pytest.raises(TypeError, match="missing"):
        FlowConvention()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="FLOWNET2_TF, NVIDIA"):
        FlowNet2Config(convention="nvidia")  # type: ignore[arg-type]
