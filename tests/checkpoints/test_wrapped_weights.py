"""Weights as frameworks wrap them: each gives the same parameters, whoever reads them."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib

import jax
import numpy as np
import pytest

from dvsnet_jax.checkpoints.foreign.flow_weights import import_flow, is_torch, load_flow
from dvsnet_jax.checkpoints.foreign.nvidia import from_nvidia, nvidia_name
from dvsnet_jax.checkpoints.foreign.wrappers import without_wrappers
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.checkpoints.own.weight_files import read_state_dict
from dvsnet_jax.checkpoints.store import save
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.flownet_config import NVIDIA, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params

torch = pytest.importorskip("torch")


def before(prefix: str, state: dict) -> dict:
    return {f"{prefix}{name}": value for name, value in state.items()}


WRAPPED = {
    "alone.pth": lambda s: s,
    "trained.pth.tar": lambda s: {"state_dict": s, "epoch": 3, "best": torch.tensor(1.0)},
    "parallel.pth": lambda s: {"state_dict": before("module.", s)},
    "optimized.pt": lambda s: {"model": s, "optimizer": {"state": {0: {"mean": torch.ones(2)}}, "param_groups": []}},
    "tutorial.pth": lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}}, "loss": 0.1},
    "lightning.ckpt": lambda s: {"state_dict": before("model.", s), "pytorch-lightning_version": "2.0"},
    "compiled.pth": lambda s: before("_orig_mod.", s),
    "both.pth": lambda s: before("module._orig_mod.", s),
    "averaged.pth": lambda s: {"n_averaged": torch.tensor(3), **before("module.", s)},
    "deep.pth": lambda s: {"model": {"state_dict": s}},
    "called.pth": lambda s: {"generator": s},
    "noted.pth": lambda s: {"state_dict": s, "out": pathlib.Path("runs/a"), "when": datetime.datetime(2026, 11, 30)},
}


@pytest.fixture(scope="module")
def config() -> FlowNet2Config:
    return dataclasses.replace(FlowNet2Config(network="FlowNetS", convention=NVIDIA), width=1 / 16)


@pytest.fixture(scope="module")
def state(config):
    """Random weights under NVIDIA's names, in torch's layout."""
    rng, found = np.random.default_rng(0), {}
    for name, shape in flatten(abstract_flow_params(config)).items():
        array = rng.normal(0, 0.1, shape.shape).astype(np.float32)
        found[nvidia_name(name)] = torch.from_numpy(
            np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)
        )
    return found


@pytest.mark.parametrize("name", WRAPPED)
def test_flow_weights_are_found(tmp_path, config, state, name, monkeypatch):
    torch.save(WRAPPED[name](state), tmp_path / name)
    monkeypatch.setattr("dvsnet_jax.checkpoints.foreign.flow_weights.FlowNet2Config", lambda **_: config)
    assert is_torch(tmp_path / name)
    params, _ = import_flow(tmp_path / name, network="FlowNetS")
    expected = from_nvidia({name: value.numpy() for name, value in state.items()}, config)
    jax.tree.map(np.testing.assert_array_equal, params, expected)


@pytest.mark.parametrize("name", WRAPPED)
def test_state_dicts_of_other_networks_are_found(tmp_path, state, name):
    torch.save(WRAPPED[name](state), tmp_path / name)
    read = read_state_dict(tmp_path / name)
    assert read.keys() == state.keys() and all(torch.equal(read[each], state[each]) for each in state)


def test_of_several_sets_one_is_taken_and_told(tmp_path, state):
    torch.save({"params_ema": {name: 0 * value for name, value in state.items()}, "params": state}, tmp_path / "a.pth")
    with pytest.warns(InputNotice, match=r"a\.pth: holds several sets of weights; params is taken, not params_ema"):
        read = read_state_dict(tmp_path / "a.pth")
    assert all(torch.equal(read[each], state[each]) for each in state)


def test_what_is_no_wrapper_stays(state):
    assert without_wrappers({"classifier.4.weight": 1, "classifier.4.bias": 2}).keys() == {
        "classifier.4.weight", "classifier.4.bias"
    }  # fmt: skip
    assert without_wrappers({"module": 1, "n_averaged": 2}) == {"module": 1, "n_averaged": 2}
    assert without_wrappers({"flownetc.conv1.0.weight": 1}, ["flownetc.conv1.0.weight"]).keys() == {
        "flownetc.conv1.0.weight"
    }
    assert without_wrappers({"mine.flownetc.a": 1}, ["flownetc.a"]) == {"flownetc.a": 1}


def test_a_folder_of_ours_is_no_file_of_torch_whatever_its_name(tmp_path, config, state):
    params = from_nvidia({name: value.numpy() for name, value in state.items()}, config)
    save(tmp_path / "flow.pth.tar", params, config)
    assert not is_torch(tmp_path / "flow.pth.tar")
    again, loaded = load_flow(tmp_path / "flow.pth.tar")
    assert loaded == config
    jax.tree.map(np.testing.assert_array_equal, again, params)
    with pytest.raises(InputError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")


def test_a_dict_that_holds_itself_is_no_weights(tmp_path):
    content: dict = {"epoch": 3}
    content["model"] = content
    torch.save(content, tmp_path / "own.pth")
    with pytest.raises(InputError, match=r"own\.pth: "):
        read_state_dict(tmp_path / "own.pth")
