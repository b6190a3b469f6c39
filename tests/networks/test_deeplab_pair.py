"""Two DeepLab-Lites as one: the mean of their scores, in inference, in files and on the command line."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
from recipes import recipe
from tiny_lite import have_few_blocks, random_arrays

from dvsnet_jax import CarriedMotionConfig, DeepLabPairConfig, DVSNetConfig, LocalDecisionConfig, checkpoints, networks
from dvsnet_jax.checkpoints import bundled
from dvsnet_jax.checkpoints.matching import flatten, unflatten
from dvsnet_jax.config import DeepLabLiteConfig
from dvsnet_jax.config_json import from_json, to_json
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks.deeplab_pair import enlarged_size
from dvsnet_jax.ops.resize import resize_half_pixel
from dvsnet_jax.training import warm_start

FIRST = DeepLabLiteConfig(num_classes=5, decoder_widths=(8, 6, 4))
SECOND = DeepLabLiteConfig(num_classes=5, decoder_widths=(10, 8, 6), trunk="lite2")
PAIR = DeepLabPairConfig(first=FIRST, second=SECOND)
WHOLE = DVSNetConfig(
    segmentation=PAIR, flow=CarriedMotionConfig(), decision=LocalDecisionConfig(grid=(2, 2), width=2), overlap=16
)
QUICK = {"xla_backend_optimization_level": 0}  # to compile, which is all the time these tests take


@pytest.fixture(autouse=True)
def few(monkeypatch):
    have_few_blocks(monkeypatch, "lite0", "lite2")


def seeded(config):
    return random_arrays(networks.abstract_params(config))


def test_scores_are_the_mean_of_both_the_seconds_of_an_enlarged_image():
    params = seeded(WHOLE)["segmentation"]
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 84, 3)).astype(np.uint8)

    @jax.jit
    def both(params, images):
        first, _ = networks.training_scores(params["first"], images, FIRST, update_moments=False)
        larger = resize_half_pixel(images.astype(np.float32), (96, 128))  # 84 × 1.5 = 126
        second, _ = networks.training_scores(params["second"], larger, SECOND, update_moments=False)
        return (first + resize_half_pixel(second, first.shape[1:3])) / 2

    scores = jax.jit(lambda p, x: networks.segmentation_scores({"segmentation": p}, x, WHOLE), compiler_options=QUICK)
    expected = np.asarray(both(params, images))
    assert expected.shape == (2, 16, 21, 5) and expected.std((0, 1, 2)).min() > 0.05
    np.testing.assert_allclose(scores(params, images), expected, atol=2e-4)
    folded = networks.prepare({**seeded(WHOLE)}, WHOLE)["segmentation"]
    assert len(flatten(folded)) < len(flatten(params))
    np.testing.assert_allclose(scores(folded, images), expected, atol=2e-3)


def test_the_enlarged_sides_are_multiples_of_32():
    assert [enlarged_size(224, 272, 1.5), enlarged_size(576, 1088, 1.5), enlarged_size(20, 64, 1)] == [
        (352, 416), (864, 1632), (32, 64),
    ]  # fmt: skip


def test_a_pair_is_of_two_that_have_the_same_classes():
    assert WHOLE.num_classes == 5 and from_json(json.loads(json.dumps(to_json(WHOLE)))) == WHOLE
    with pytest.raises(ValueError, match="a pair of 5 and 19 classes"):
        DeepLabPairConfig(first=FIRST, second=DeepLabLiteConfig())
    with pytest.raises(ValueError, match=r"enlarged is 0\.5, expected 1 to 4"):
        DeepLabPairConfig(first=FIRST, second=SECOND, enlarged=0.5)


def test_a_pair_is_not_trained_as_one(monkeypatch):
    params = seeded(WHOLE)
    with pytest.raises(ValueError, match="a pair of networks, which are trained one by one"):
        networks.training_scores(params["segmentation"], np.zeros((1, 64, 64, 3), np.uint8), PAIR, update_moments=True)
    monkeypatch.setattr(warm_start, "restore", lambda path: (params, WHOLE))
    with pytest.raises(InputError, match=r"weights: has a pair of segmentation networks.*train/pair\.py"):
        warm_start.begin("weights", lambda classes: WHOLE, 5, seed=0)


@pytest.fixture
def street(tmp_path, monkeypatch):
    """Parameters of a pair, as float16 holds them, and of the package's file of the first network alone."""
    params = jax.tree.map(lambda array: array.astype(np.float16).astype(np.float32), seeded(WHOLE))
    monkeypatch.setattr(bundled.resources, "files", lambda package: tmp_path)
    (tmp_path / "weights").mkdir()
    first = {**params, "segmentation": params["segmentation"]["first"]}
    bundled.write_bundle(tmp_path / "weights" / bundled.BUNDLE, first, WHOLE.replace(segmentation=FIRST))
    return params, first


def bundled_again(params, tmp_path):
    """The pair as it comes with the package, and what its file holds of the segmentation networks, flat."""
    rest = bundled.without_bundled(params, WHOLE)
    bundled.write_bundle(tmp_path / "weights" / bundled.LARGE, rest, WHOLE)
    restored, config = bundled.load_bundled("carried", "street-large")
    assert config == WHOLE
    return restored, flatten(rest["segmentation"])


def test_the_packages_file_has_what_the_other_lacks(street, tmp_path):
    params, first = street
    restored, held = bundled_again(params, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, restored, params)
    assert {name.split("/")[0] for name in held} == {"second"}
    rest = bundled.without_bundled(first, WHOLE.replace(segmentation=FIRST))
    assert set(rest) == {"flow", "decision"} and rest["flow"] == {}


def test_the_first_of_the_packages_pair_may_be_another(street, tmp_path):
    """As where it was trained on with its first blocks left as they were: those lie in one file alone."""
    params, first = street
    name, *_ = flatten(first["segmentation"])
    flat = flatten(params["segmentation"])
    other = {**params, "segmentation": unflatten(flat | {f"first/{name}": np.ones_like(flat[f"first/{name}"])})}
    restored, held = bundled_again(other, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, restored, other)
    assert [each for each in held if each.startswith("first/")] == [f"first/{name}"]
    alone = {**other, "segmentation": other["segmentation"]["first"]}
    with pytest.raises(InputError, match=rf"{name}: is not as in street\.npz"):
        bundled.without_bundled(alone, WHOLE.replace(segmentation=FIRST))


def test_the_recipe_pairs_two_checkpoints(tmp_path, capsys):
    pair_up = recipe("pair")
    seven = DeepLabLiteConfig(num_classes=7, decoder_widths=(8, 6, 4))
    configs = {name: WHOLE.replace(segmentation=each) for name, each in (("a", FIRST), ("b", SECOND), ("c", seven))}
    configs["a"] = configs["a"].replace(class_offsets=(1.0,) * 5)  # of that network alone
    for name, config in configs.items():
        checkpoints.save(tmp_path / name, seeded(config), config)
    assert pair_up([str(tmp_path / "a"), str(tmp_path / "b"), "--save-dir", str(tmp_path / "p")]) == 0
    params, config = checkpoints.load(tmp_path / "p")
    assert config == WHOLE
    jax.tree.map(np.testing.assert_array_equal, params["segmentation"]["second"], seeded(configs["b"])["segmentation"])
    jax.tree.map(np.testing.assert_array_equal, params["segmentation"]["first"], seeded(configs["a"])["segmentation"])
    for pair, says in (
        (("p", "b"), "p: has a DeepLabPairConfig, and a pair is of two"),
        (("a", "c"), "a pair of 5 and 7 classes"),
    ):
        assert pair_up([*(str(tmp_path / each) for each in pair), "--save-dir", str(tmp_path / "q")]) == 1
        assert says in capsys.readouterr().err
    assert not (tmp_path / "q").exists()
