"""Weights of flow networks from every kind of file."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from dvsnet_jax import checkpoints
from dvsnet_jax.checkpoints.foreign.nvidia import nvidia_name
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.config import DeepLabV2Config, DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FLOWNET2_TF, NVIDIA, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params


def made(config: FlowNet2Config) -> dict:
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: rng.random(a.shape, np.float32), abstract_flow_params(config))


def assert_equal(a, b):
    a, b = flatten(a), flatten(b)
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("convention", [FLOWNET2_TF, NVIDIA])
def test_our_own_checkpoint_keeps_the_convention(tmp_path, convention):
    config = FlowNet2Config(network="FlowNetC", width=1 / 64, convention=convention)
    params = made(config)
    checkpoints.save(tmp_path / "w", params, config)
    loaded, stored = checkpoints.load_flow(tmp_path / "w")
    assert stored == config
    assert_equal(loaded, params)
    with pytest.raises(InputError, match="holds FlowNetC, not FlowNet2"):
        checkpoints.load_flow(tmp_path / "w", network="FlowNet2")
    with pytest.raises(InputError, match="holds the weights of FlowNetC alone"):
        checkpoints.load(tmp_path / "w")


def test_a_dvsnet_checkpoint_gives_its_flow_network(tmp_path):
    from tiny import TINY, tiny_params

    from dvsnet_jax import networks

    flow = FlowNet2Config(network="FlowNetS", width=1 / 64)
    config: DVSNetConfig = TINY.replace(flow=flow)
    shapes = networks.abstract_params(config)
    checkpoints.save(tmp_path / "w", jax.tree.map(lambda a: np.ones(a.shape, a.dtype), shapes), config)
    loaded, stored = checkpoints.load_flow(tmp_path / "w")
    assert stored == flow and set(loaded) == {"FlowNetS"}
    checkpoints.save(tmp_path / "v", tiny_params(), TINY)
    with pytest.raises(InputError, match="FlowNet2s, which serves DVSNet alone"):
        checkpoints.load_flow(tmp_path / "v")


def test_nvidias_file(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    config = FlowNet2Config(network="FlowNetS", convention=NVIDIA)
    params = made(config)
    state = {
        nvidia_name(name): torch.from_numpy(np.ascontiguousarray(a.transpose(3, 2, 0, 1)) if a.ndim == 4 else a)
        for name, a in flatten(params).items()
    }
    torch.save({"epoch": 0, "state_dict": state}, tmp_path / "FlowNet2-S_checkpoint.pth.tar")
    loaded, stored = checkpoints.load_flow(tmp_path / "FlowNet2-S_checkpoint.pth.tar", network="FlowNetS")
    assert stored == config
    assert_equal(loaded, params)
    with pytest.raises(InputError, match=r"say which one its weights are of \(--network\)"):
        checkpoints.load_flow(tmp_path / "FlowNet2-S_checkpoint.pth.tar")
    with pytest.raises(InputError, match="FlowNetX is no network"):
        checkpoints.load_flow(tmp_path / "FlowNet2-S_checkpoint.pth.tar", network="FlowNetX")
    with pytest.raises(InputError, match="conv_redir"):
        checkpoints.load_flow(tmp_path / "FlowNet2-S_checkpoint.pth.tar", network="FlowNetC")


def test_flownet2_tfs_checkpoint(tmp_path):
    tf = pytest.importorskip("tensorflow")
    config = FlowNet2Config(network="FlowNetS", convention=FLOWNET2_TF)
    params = made(config)
    values = flatten(params) | {"global_step": np.int64(7)}
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "flownet.ckpt"),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(v) for v in values.values()],
    )
    loaded, stored = checkpoints.load_flow(tmp_path / "flownet.ckpt", network="FlowNetS")
    assert stored == config
    assert_equal(loaded, params)


def test_from_tensorflow_takes_each_network_by_name():
    for network in ("FlowNetS", "FlowNetC", "FlowNetSD"):
        params = made(FlowNet2Config(network=network))
        assert_equal(checkpoints.from_tensorflow(flatten(params), network=network), params)
    with pytest.raises(InputError, match="FlowNetSD/conv0"):
        checkpoints.from_tensorflow(flatten(params), network="FlowNetS")
    with pytest.raises(ValueError, match="give the configuration"):
        checkpoints.from_tensorflow({})


def test_deeplab_v2s_variables_alone(goldens):
    listed = goldens.json("variables")["DrSleep_DeepLabResNetModel"]
    variables = {name: np.zeros(shape, np.float32) for name, shape, *_ in listed}
    params = checkpoints.from_tensorflow(variables, DeepLabV2Config())
    assert params["fc1_voc12_c3"]["biases"].shape == (21,)
    with pytest.raises(InputError, match="fc1_voc12_c0/biases"):
        checkpoints.from_tensorflow(variables, DeepLabV2Config(num_classes=19))
