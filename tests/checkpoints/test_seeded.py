"""Weights made from names: bit for bit what the golden outputs of the originals were made with."""

from __future__ import annotations

import zlib

import jax
import numpy as np
import pytest
from tiny import TINY

from dvsnet_jax import networks
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.checkpoints.foreign.original_names import from_original, to_original
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.checkpoints.seeded import seeded_array, seeded_variables
from dvsnet_jax.config import DVSNetConfig

SPECIAL = ("conv1/weights", "res2a_branch2c/weights", "FlowNets/predict_scale/weights", "FlowNets/deconv2/weights")
NETWORKS = ("DeepLab_Fast", "FlowNets", "Decision")


def check(name: str, expected: dict) -> None:
    array = seeded_array(name, expected["shape"])
    assert array.dtype == np.float32
    assert zlib.crc32(array.tobytes()) == expected["crc32_f32_le"], name


def test_a_sample_is_bit_for_bit_the_goldens(goldens):
    names = goldens.json("weights_check")
    for name in [*list(names)[::9], *SPECIAL]:
        check(name, names[name])


@pytest.mark.slow
def test_every_variable_is_bit_for_bit_the_goldens(goldens):
    for name, expected in goldens.json("weights_check").items():
        check(name, expected)


def test_the_networks_have_the_originals_variables(goldens):
    config = DVSNetConfig.cityscapes()
    ours = {name: list(leaf.shape) for name, leaf in flatten(networks.abstract_params(config)).items()}
    variables = goldens.json("variables")
    theirs = {from_original(name, config): shape for network in NETWORKS for name, shape in variables[network]}
    assert ours == theirs
    assert {to_original(name) for name in ours} == {name for network in NETWORKS for name, _ in variables[network]}


def test_seeded_params_are_the_networks_own(goldens):
    params = seeded_params(TINY)
    abstract = networks.abstract_params(TINY)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), params) == jax.tree.map(lambda x: (x.shape, x.dtype), abstract)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))
    expected = seeded_variables({"FlowNets/conv1/weights": (7, 7, 6, 4), "decision/Conv/biases": (4,)})
    np.testing.assert_array_equal(params["flow"]["conv1"]["weights"], expected["FlowNets/conv1/weights"])
    np.testing.assert_array_equal(params["decision"]["Conv"]["biases"], expected["decision/Conv/biases"])
