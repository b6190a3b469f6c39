"""The importer refuses rather than skips: unknown, twice, unset, wrong shape or type, not finite; all at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY

from dvsnet_jax import networks
from dvsnet_jax.checkpoints import from_tensorflow, seeded_params
from dvsnet_jax.checkpoints.foreign.original_names import config_from_shapes, from_original, is_bookkeeping, to_original
from dvsnet_jax.checkpoints.matching import flatten, match, unflatten
from dvsnet_jax.checkpoints.seeded import seeded_variables
from dvsnet_jax.config import DeepLabFastConfig, DVSNetConfig
from dvsnet_jax.errors import InputError


@pytest.fixture(scope="module")
def originals() -> dict[str, np.ndarray]:
    """The tiny network's variables under their original names."""
    shapes = {name: leaf.shape for name, leaf in flatten(networks.abstract_params(TINY)).items()}
    return seeded_variables({to_original(name): shape for name, shape in shapes.items()})


def assert_same(params, expected) -> None:
    assert jax.tree.structure(params) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, params, expected)


def refusal(variables, config=TINY) -> str:
    with pytest.raises(InputError) as error:
        from_tensorflow(variables, config)
    return str(error.value)


def test_every_variable_finds_its_place(originals):
    params = from_tensorflow(originals, TINY)
    assert_same(params, seeded_params(TINY))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))


def test_names_as_a_graph_has_them(originals):
    assert_same(from_tensorflow({f"{name}:0": value for name, value in originals.items()}, TINY), seeded_params(TINY))


def test_the_result_does_not_share_memory(originals):
    variables = {name: value.copy() for name, value in originals.items()}
    params = from_tensorflow(variables, TINY)
    for value in variables.values():
        value[...] = 0
    assert_same(params, seeded_params(TINY))


@pytest.mark.parametrize("dtype", [np.float64, jnp.bfloat16, np.float16])
def test_other_widths_become_float32(originals, dtype):
    name = "FlowNets/conv1/biases"
    params = from_tensorflow({**originals, name: originals[name].astype(dtype)}, TINY)
    assert params["flow"]["conv1"]["biases"].dtype == jnp.float32
    np.testing.assert_allclose(params["flow"]["conv1"]["biases"], originals[name], rtol=1e-2)


def test_the_optimizers_variables_are_passed_over(originals, goldens):
    training = goldens.json("variables")["Decision_training_graph_names_only"]
    slots = {name: np.zeros(()) for name in training if is_bookkeeping(name)}
    assert len(slots) == 22
    slots |= {"global_step": np.int64(7), "conv1/weights/Momentum": np.zeros(3), "beta1_power_1": np.float32(0.9)}
    assert_same(from_tensorflow({**originals, **slots}, TINY), seeded_params(TINY))


@pytest.mark.parametrize(
    "name",
    ["Adam", "Momentum", "conv1/weights/Adamant", "my_global_step", "conv1/weights/ExponentialMovingAverage", "Adam/w"],
)
def test_only_known_forms_are_passed_over(name):
    assert not is_bookkeeping(name)


def test_an_unknown_name_is_refused(originals):
    message = refusal({**originals, "extra/weights": np.zeros((3, 2), np.float32)})
    assert message.splitlines()[1:] == ["  unknown:", "    + extra/weights [3, 2]"]


def test_a_parameter_left_unset_is_refused(originals):
    del (left := dict(originals))["FlowNets/conv1/weights"]
    assert refusal(left).splitlines()[1:] == ["  missing:", "    - flow/conv1/weights [7, 7, 6, 4]"]


def test_a_name_mapped_twice_is_refused(originals):
    message = refusal({**originals, "conv1/weights:0": originals["conv1/weights"]})
    assert message.splitlines()[1:] == [
        "  mapped twice:",
        "    - segmentation/conv1/weights [7, 7, 3, 4]",
        "    + conv1/weights [7, 7, 3, 4]",
        "    + conv1/weights:0 [7, 7, 3, 4]",
    ]


@pytest.mark.parametrize("came", [np.zeros((7, 7, 6, 3), np.float32), np.zeros((7, 7, 6, 4), np.int32), b"weights"])
def test_a_wrong_shape_or_type_is_refused(originals, came):
    message = refusal({**originals, "FlowNets/conv1/weights": came})
    lines = message.splitlines()[1:]
    assert lines[:2] == ["  of another shape or type:", "    - flow/conv1/weights [7, 7, 6, 4]"]
    assert lines[2].startswith("    + FlowNets/conv1/weights [") and len(lines) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_value_that_is_not_finite_is_refused(originals, value):
    biases = originals["decision/Conv/biases"].astype(np.float64)
    biases[2] = value  # 1e300 is finite, but not as a float32
    message = refusal({**originals, "decision/Conv/biases": biases})
    assert message.splitlines()[1] == "  with values that are not finite:"
    assert message.endswith("+ decision/Conv/biases [4] float64: 1 of 4")


def test_one_message_says_everything(originals):
    wrong = dict(originals)
    del wrong["conv1/weights"]
    wrong |= {
        "stranger": np.zeros(1, np.float32),
        "fc_out/weights": np.zeros((1, 1, 8, 6), np.float32),
        "decision/Conv/biases": np.full(4, np.nan, np.float32),
        "bn_conv1/beta:0": wrong["bn_conv1/beta"],
    }
    message = refusal(wrong)
    for part in ("missing", "unknown", "mapped twice", "of another shape", "not finite", "-: wanted, +: what came"):
        assert part in message
    assert "- segmentation/fc_out/weights [1, 1, 8, 5]\n    + fc_out/weights [1, 1, 8, 6]" in message


def test_a_quite_different_file_does_not_fill_the_terminal():
    message = refusal({f"other/{index}": np.zeros(1, np.float32) for index in range(500)})
    assert "… and 460 more such lines" in message
    assert len(message.splitlines()) < 100


def test_an_empty_file_is_refused():
    assert "missing" in refusal({})


def test_match_serves_other_networks_too():
    target = {"conv1": {"weights": jax.ShapeDtypeStruct((2,), jnp.float32)}}
    variables = {"FlowNet2/FlowNetCSS/conv1/weights": np.ones(2), "FlowNet2/fuse": np.ones(1)}
    params = match(
        variables,
        target,
        rename=lambda name: name.removeprefix("FlowNet2/FlowNetCSS/"),
        ignore=lambda name: name == "FlowNet2/fuse",
    )
    np.testing.assert_array_equal(params["conv1"]["weights"], np.ones(2, np.float32))


def test_flatten_and_unflatten():
    tree = {"a": {"b": {"c": 1}, "d": 2}, "e": 3}
    assert flatten(tree) == {"a/b/c": 1, "a/d": 2, "e": 3}
    assert unflatten(flatten(tree)) == tree


def test_the_configuration_is_read_from_the_shapes(originals):
    assert config_from_shapes(originals) == TINY.replace(overlap=64)


def test_what_is_not_there_keeps_its_default():
    assert config_from_shapes({}) == DVSNetConfig.cityscapes()


def test_shapes_of_no_network_are_refused():
    with pytest.raises(InputError, match="num_classes is 1"):
        config_from_shapes({"fc_out/weights": np.zeros((1, 1, 256, 1), np.float32)})


@pytest.mark.parametrize("lettered", [True, False])
def test_resnet_50_as_caffe_letters_it_or_as_deeplab_numbers_it(lettered):
    config = TINY.replace(segmentation=DeepLabFastConfig(num_classes=5, blocks=(3, 4, 6, 3), width=4, head_width=8))
    shapes = {to_original(name): leaf.shape for name, leaf in flatten(networks.abstract_params(config)).items()}
    variables = seeded_variables(shapes)
    if lettered:
        for name in [name for name in variables if name.startswith(("res3b", "bn3b", "res4b", "bn4b"))]:
            stage, _, rest = name.partition("_")
            head, _, number = stage.partition("b") if stage.startswith("res") else stage.rpartition("b")
            letter = "abcdefgh"[int(number)]
            variables[f"{head}{letter}_{rest}"] = variables.pop(name)
        assert "res4f_branch2c/weights" in variables and "bn4c_branch2c/beta" in variables
    found = config_from_shapes(variables)
    assert found.segmentation == config.segmentation
    assert_same(from_tensorflow(variables, found), seeded_params(config))


def test_letters_stay_in_a_short_stage():
    assert from_original("res2b_branch2a/weights", DVSNetConfig()) == "segmentation/res2b_branch2a/weights"
    assert from_original("res4b_branch2a/weights", DVSNetConfig()) == "segmentation/res4b1_branch2a/weights"
    assert from_original("res4b7_branch2a/weights", DVSNetConfig()) == "segmentation/res4b7_branch2a/weights"
