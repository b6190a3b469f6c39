"""The three networks against the original's own outputs, layer by layer, their exact sizes, and sizes that are none."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stored import stored
from tiny import TINY, tiny_params

from dvsnet_jax import DecisionConfig, DeepLabFastConfig, DVSNetConfig, FlowNet2sConfig, networks, preprocessing
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.checkpoints.seeded import seeded_array
from dvsnet_jax.config import DeepLabV2Config
from dvsnet_jax.networks.deeplab_fast import residual_units
from dvsnet_jax.ops.resize import resize_legacy
from dvsnet_jax.protocols import FlowOutput


@pytest.fixture(scope="module")
def params():
    return jax.device_put(seeded_params(DVSNetConfig.cityscapes()))


def count(tree) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def assert_layers(seen: dict, arrays: dict, about: dict, tolerance: float, least: int = 8) -> None:
    """Every stored layer within `tolerance` of its own standard deviation."""
    checked = 0
    for name, expected in arrays.items():
        if name not in seen:
            continue
        error = np.abs(stored(np.asarray(seen[name]), about[name]["stored"]) - expected).max()
        assert error <= tolerance * about[name]["std"], f"{name}: {error / about[name]['std']:.2e} of its deviation"
        checked += 1
    assert checked >= least, f"only {checked} layers of {sorted(arrays)} were found in {sorted(seen)}"


def test_exact_parameter_counts():
    sizes = {name: count(tree) for name, tree in networks.abstract_params(DVSNetConfig.cityscapes()).items()}
    assert sizes == {"segmentation": 57_362_112, "flow": 5_474_979, "decision": 4_538_485}
    without_scale = networks.abstract_params(DVSNetConfig.cityscapes())["flow"]
    del without_scale["predict_scale"]
    assert count(without_scale) == 5_462_306


def test_parameters_are_the_originals_variables(goldens):
    listed = goldens.json("variables")
    params = networks.abstract_params(DVSNetConfig.cityscapes())
    for room, prefix, original in (
        ("segmentation", "", "DeepLab_Fast"),
        ("flow", "FlowNets/", "FlowNets"),
        ("decision", "decision/", "Decision"),
    ):
        ours = {f"{prefix}{layer}/{leaf}": list(a.shape) for layer, d in params[room].items() for leaf, a in d.items()}
        assert ours == {name: shape for name, shape, *_ in listed[original] if name != "global_step"}


def test_dilations_of_the_trunk():
    units = residual_units(DeepLabFastConfig())
    dilation = {unit.name: unit.dilation for unit in units}
    assert [dilation[f"4b{i}"] for i in range(1, 23)] == [4, *[2, 2, 4] * 7]
    assert [dilation[name] for name in ("4a", "5a", "5b", "5c")] == [1, 4, 8, 16]
    assert [unit.name for unit in units if unit.stride == 2] == ["3a", "4a"]


@pytest.mark.parametrize("case", ["192x320", "152x200_b2", pytest.param("576x1088", marks=pytest.mark.slow)])
def test_deeplab_fast_equals_the_original(goldens, params, case):
    arrays, about = goldens.arrays(f"deeplab_{case}"), goldens.json(f"deeplab_{case}")
    image = goldens.image(f"misc/region_{case.removesuffix('_b2')}")
    images = np.stack([image, image[:, ::-1]]) if case.endswith("_b2") else image[None]
    inputs = preprocessing.bgr_minus_mean(jnp.asarray(images), DeepLabFastConfig().mean)
    network = networks.DeepLabFast(DeepLabFastConfig())
    _, seen = jax.jit(network.apply)({"params": params["segmentation"]}, inputs)
    # 1e-4 of the standard deviation, through 104 layers: the original's own TensorFlow differs by as much between
    # versions (5.2e-5 on fc_out, whose deviation is 3.0).
    assert_layers({**seen, "input": inputs}, arrays, about, 1e-4)
    full = np.asarray(resize_legacy(seen["fc_out"], images.shape[1:3]))
    clear = np.diff(np.sort(full, axis=-1)[..., -2:])[..., 0] > 1e-3
    assert (full.argmax(-1) == arrays["seg_pred"].reshape(full.shape[:3]))[clear].all()


FLOW_CASES = {
    "1x100x136": [(40, 80)],
    "1x96x128": [(40, 80)],
    "2x128x160": [(0, 0), (128, 352)],
    "4x96x160": [(0, 0), (0, 352), (160, 0), (160, 352)],
    "4x288x544": [(0, 0), (0, 544), (288, 0), (288, 544)],
}


@pytest.mark.parametrize("case", [*list(FLOW_CASES)[:-1], pytest.param("4x288x544", marks=pytest.mark.slow)])
def test_flow_network_equals_the_original(goldens, params, case):
    arrays, about = goldens.arrays(f"flownets_{case}"), goldens.json(f"flownets_{case}")
    names = (
        ("misc/region_576x1088", "misc/region_576x1088_key")
        if "288" in case
        else ("e2e/frame_000004", "e2e/frame_000003")
    )
    _, height, width = (int(part) for part in case.split("x"))
    current, key = (
        np.stack([goldens.image(name)[y : y + height, x : x + width] for y, x in FLOW_CASES[case]]) for name in names
    )
    pair = jnp.concatenate([preprocessing.unit_bgr(current), preprocessing.unit_bgr(key)], -1)
    network = networks.FlowNet2s(FlowNet2sConfig(), 19)
    flow, seen = jax.jit(network.apply)({"params": params["flow"]}, pair)
    # predict_scale varies little around its bias of 1, so that its deviation is small; the bound holds all the same.
    extra = {"flow": flow, "feature": seen["conv6_1"], "feature_4x8": resize_legacy(seen["conv6_1"], (4, 8))}
    assert_layers({**seen, **extra}, arrays, about, 1e-4)


def test_decision_network_equals_the_original(goldens, params):
    arrays = goldens.arrays("decision")
    features = goldens.arrays("e2e_ov32/e2e")["flow_feature"].reshape(-1, 4, 8, 384)
    apply = jax.jit(networks.DecisionNetwork(DecisionConfig()).apply)
    scores, seen = apply({"params": params["decision"]}, features)
    # Scores are about 90 and the layers before them add up to 3072 products: the original's own TensorFlow versions
    # differ by 3.1e-4. Every layer stays within 1e-4 of its deviation.
    np.testing.assert_allclose(scores, arrays["pred_features_e2e_ov32_all28"][:, 0], atol=5e-4)
    for ours, theirs in (
        ("conv", "conv"),
        ("fully_connected", "fc0"),
        ("fully_connected_1", "fc1"),
        ("fully_connected_2", "fc2"),
    ):
        expected, got = arrays[f"layer_{theirs}"], np.asarray(seen[ours])[:16]
        got = got[::4] if theirs == "conv" else got
        assert np.abs(got - expected).max() <= 1e-4 * expected.std(), ours
    noise = np.random.RandomState(21).standard_normal((5, 4, 8, 384)).astype(np.float32)
    np.testing.assert_allclose(
        apply({"params": params["decision"]}, noise)[0],
        arrays["pred_standard_normal_seed21_5"][:, 0],
        rtol=1e-5,
        atol=1e-4,
    )


def test_class_count_depth_and_width_are_free():
    config = DVSNetConfig(
        segmentation=DeepLabFastConfig(num_classes=7, blocks=(3, 4, 6, 3), width=8, head_width=16),
        flow=FlowNet2sConfig(channels=(8, 8, 16, 16, 16, 24)),
    )
    params = jax.eval_shape(lambda: networks.init_params(jax.random.key(0), config))
    image = jax.ShapeDtypeStruct((2, 80, 112, 3), jnp.float32)
    scores = jax.eval_shape(lambda p, x: networks.segmentation_scores(p, x, config), params, image)
    assert scores.shape == (2, 5, 7, 7)
    half = jax.ShapeDtypeStruct((2, 40, 56, 3), jnp.float32)
    out = jax.eval_shape(lambda p, x: networks.flow_and_feature(p, x, x, config), params, half)
    assert out.flow.shape == (2, 10, 14, 2) and out.scale.shape == (2, 10, 14, 7)
    assert "res4b5_branch2a" in params["segmentation"] and "res4b6_branch2a" not in params["segmentation"]


def test_fresh_parameters_change_nothing_by_scale():
    """The scale head starts at weights 0 and biases 1, so that training begins from plain warping."""
    pair = jax.random.uniform(jax.random.key(2), (1, 32, 48, 3), maxval=255.0)
    out = networks.flow_and_feature(networks.init_params(jax.random.key(1), TINY), pair, pair[:, ::-1], TINY)
    np.testing.assert_array_equal(out.scale, 1.0)
    assert np.abs(np.asarray(out.flow)).max() > 0


@pytest.mark.parametrize("size", [(32, 48), (35, 47)])
def test_flow_is_the_same_with_what_was_kept_of_the_key_image(size):
    params = tiny_params()
    current, key = jnp.asarray(np.random.default_rng(2).uniform(0, 255, (2, 3, *size, 3)), jnp.float32)
    features = networks.key_features(params, key, jnp.zeros((3, 4, 6, 3)), TINY)
    flow = jax.jit(lambda *given: networks.flow_and_feature(params, current, key, TINY, *given))
    for name, a, b in zip(FlowOutput._fields[:3], flow()[:3], flow(features)[:3], strict=True):
        assert np.abs(a).max() > 0, name
        np.testing.assert_allclose(b, a, atol=1e-5 * np.abs(a).max(), err_msg=name)


def test_deeplab_v2_equals_the_original(goldens):
    arrays, about = goldens.arrays("drsleep_deeplab_161x241"), goldens.json("drsleep_deeplab_161x241")
    config = DeepLabV2Config()
    image = goldens.image("misc/region_192x320")[None, :161, :241]
    inputs = preprocessing.bgr_minus_mean(jnp.asarray(image), config.mean)
    network = networks.DeepLabV2(config)
    shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)["params"]
    assert count(shapes) == 44_153_876
    weights = {
        layer: {leaf: seeded_array(f"{layer}/{leaf}", a.shape) for leaf, a in leaves.items()}
        for layer, leaves in shapes.items()
    }
    _, seen = jax.jit(network.apply)({"params": weights}, inputs)
    assert_layers(seen, arrays, about, 1e-4, least=6)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (DeepLabFastConfig, {"blocks": (1, 1, 1)}, "four block counts and widths of at least 1 are needed"),
        (DeepLabFastConfig, {"blocks": (1, 1, 0, 1)}, "four block counts and widths of at least 1 are needed"),
        (DeepLabFastConfig, {"head_width": 0}, "four block counts and widths of at least 1 are needed"),
        (DeepLabV2Config, {"blocks": (1, 1, 1, 1, 1)}, "four block counts and a width of at least 1 are needed"),
        (DeepLabV2Config, {"width": 0}, "four block counts and a width of at least 1 are needed"),
        (FlowNet2sConfig, {"channels": (4, 4, 8, 8, 8)}, "six channel counts of at least 2 are needed"),
        (FlowNet2sConfig, {"channels": (4, 4, 8, 8, 8, 1)}, "six channel counts of at least 2 are needed"),
    ],
)
def test_sizes_that_are_none(kind, given, says):
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=says) as raised:
        kind(**given)
    assert f"{name}={value}" in str(raised.value)


def test_what_is_no_policy():
    with pytest.raises(
        TypeError, match=r"policy is 'often', which lacks init, decide or targets; see dvsnet_jax\.policies"
    ):
        TINY.replace(policy="often")
