"""The decision feature of any layer of the flow network, and decision networks trained for each."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from recipes import varied_params
from tiny import TINY, tiny_params, video
from tiny_files import write_labelled

from dvsnet_jax import FlowFunction, FlowNet2sConfig, checkpoints, networks, preprocessing
from dvsnet_jax.config import FLOW_FEATURES
from dvsnet_jax.config_json import from_json, to_json
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks import FlowNet2s
from dvsnet_jax.training.accelerate import Acceleration
from dvsnet_jax.training.decision.feature_ablation import learn_from_layers


def reading(layer):
    return TINY.replace(flow=dataclasses.replace(TINY.flow, feature=layer))


@pytest.mark.parametrize("layer", FLOW_FEATURES)
def test_the_decision_network_reads_that_layer(layer):
    config = reading(layer)
    assert config.flow.feature_channels == TINY.flow.channels[FLOW_FEATURES.index(layer)]
    weights = networks.abstract_params(config)["decision"]["Conv"]["weights"]
    assert weights.shape[2] == config.flow.feature_channels
    current, key = video(2, height=64, width=96)[:, :, :32, :48]
    pair = np.concatenate([preprocessing.unit_bgr(current), preprocessing.unit_bgr(key)], axis=-1)
    _, seen = jax.jit(FlowNet2s(TINY.flow, 5).apply)({"params": tiny_params()["flow"]}, pair)
    flow_and_feature = jax.jit(networks.flow_and_feature, static_argnums=3)
    out = flow_and_feature(tiny_params(), current, key, config)
    np.testing.assert_allclose(out.feature, seen[layer], atol=2e-6)  # compiled apart: up to rounding
    # Whatever it reads, the flow is the same.
    np.testing.assert_array_equal(out.flow, flow_and_feature(tiny_params(), current, key, TINY).flow)


def test_the_layer_is_stored_and_the_originals_is_the_default():
    written = to_json(reading("conv4_1"))
    assert from_json(written) == reading("conv4_1") and from_json(json.loads(json.dumps(written))) == from_json(written)
    del written["flow"]["feature"]  # as older checkpoints have it
    assert from_json(written).flow.feature == "conv6_1" == FlowNet2sConfig().feature
    written["flow"]["feature"] = "conv4"
    with pytest.raises(InputError, match=r"config\.flow\.feature is 'conv4'"):
        from_json(written)
    with pytest.raises(ValueError, match="feature is 'conv7'; it is one of conv1, conv2"):
        FlowNet2sConfig(feature="conv7")


def test_other_flow_networks_have_no_such_layers(tmp_path):
    config = TINY.replace(flow=FlowFunction(function=lambda params, current, key: None, feature_channels=4))
    with pytest.raises(InputError, match="flow network is FlowFunction, expected FlowNet2-s"):
        learn_from_layers(tiny_params(), config, [], [], tmp_path, Acceleration())


def arguments(tmp_path, *layers: str) -> list[str]:
    checkpoints.save(tmp_path / "weights", varied_params(), TINY)
    frames = video(6, height=64, width=96)[:, 0]
    data = write_labelled(tmp_path / "data", frames, frames[..., 0] % 5)
    return [
        "--weights", str(tmp_path / "weights"), "--data", data, "--train", f"frames:{tmp_path / 'data' / 'frames'}",
        "--save-dir", str(tmp_path / "runs"), "--layers", *layers, "--pairs", "8", "--epochs", "2",
        "--hidden", "8", "8", "4", "--shares", "0.5", "--runs", "2", "--json", str(tmp_path / "features.jsonl"),
    ]  # fmt: skip


def recipe():
    path = Path(__file__).parents[2] / "eval" / "feature_ablation.py"
    spec = importlib.util.spec_from_file_location("eval_feature_ablation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.slow
def test_recipe(tmp_path, capsys):
    assert recipe()(arguments(tmp_path, "conv3_1")) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[:2] for row in rows] == [
        ["decision feature", "channels"], ["conv3_1", "8"], ["mean of the training set", "–"],
        ["line on flow magnitude", "–"],
    ]  # fmt: skip
    records = [json.loads(line) for line in (tmp_path / "features.jsonl").read_text().splitlines()]
    (cell,) = (record for record in records if record["is"] == "at share")
    assert rows[1][2] == f"{cell['mae']:.2f}"
    assert rows[1][4].startswith(f"{cell['mean_iou']:.2%} ({cell['kept']:.1%})")


def test_all_layers_learn_from_the_same_pairs_once(tmp_path, capsys):
    given, runs = arguments(tmp_path, "conv3_1", "conv6_1"), tmp_path / "runs"
    assert recipe()(given) == 0
    printed = capsys.readouterr().out
    first, second = (np.load(runs / layer / "decision-data/train/Y.npy") for layer in ("conv3_1", "conv6_1"))
    np.testing.assert_array_equal(first, second)
    features = [np.load(runs / layer / "decision-data/train/X.npy") for layer in ("conv3_1", "conv6_1")]
    assert features[0].shape == features[1].shape and not np.array_equal(*features)
    made = {file: file.stat().st_mtime_ns for file in runs.rglob("*.npy")}
    assert recipe()(given) == 0
    assert capsys.readouterr().out == printed
    assert made == {file: file.stat().st_mtime_ns for file in runs.rglob("*.npy")}
