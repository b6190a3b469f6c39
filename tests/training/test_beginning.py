"""What a training begins from and goes on from: weights, presets and states that do not fit are refused, by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import TINY, tiny_params

from dvsnet_jax import DVSNetConfig, checkpoints, networks
from dvsnet_jax.checkpoints import checksums
from dvsnet_jax.checkpoints.training_state import NAME, has_state, load_state, save_state
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.weights import load_seeded, load_weights
from dvsnet_jax.errors import InputError
from dvsnet_jax.training import restoring, warm_start


def test_a_decision_network_apart_goes_with_tensorflows_files_alone(tmp_path, monkeypatch):
    checkpoints.save(tmp_path / "ours", tiny_params(), TINY)
    with pytest.raises(InputError, match="ours: is no TensorFlow checkpoint and has a decision network; drop"):
        restoring.restore(tmp_path / "ours", decision_from="decision.ckpt")
    with pytest.raises(UsageError, match="ours is no TensorFlow checkpoint, and has a decision network of its own"):
        load_weights(str(tmp_path / "ours"), "decision.ckpt")
    with pytest.raises(UsageError, match="--decision-from goes with --weights, a TensorFlow checkpoint"):
        load_weights(None, "decision.ckpt")
    monkeypatch.setattr(checkpoints, "is_tensorflow", lambda path: True)
    monkeypatch.setattr(checkpoints, "import_tensorflow", lambda path, *, decision_from: (path, decision_from))
    assert restoring.restore("model.ckpt", decision_from="decision.ckpt") == ("model.ckpt", "decision.ckpt")


def test_weights_of_another_network_are_not_begun_with(monkeypatch):
    params = tiny_params()
    more = {**params, "segmentation": {**params["segmentation"], "conv9": {"weights": np.zeros((1, 1, 1, 1))}}}
    monkeypatch.setattr(warm_start, "restore", lambda path: (more, TINY))
    monkeypatch.setattr(networks, "init_params", lambda key, config: params)
    with pytest.raises(InputError, match=r"weights: has other layers than .*num_classes=7.*; this is another network"):
        warm_start.begin("weights", lambda classes: TINY, 7, seed=0)


def test_without_a_checkpoint_it_is_the_preset_with_cityscapes_classes(monkeypatch):
    monkeypatch.setattr(networks, "init_params", lambda key, config: "fresh")
    assert warm_start.begin_any(None, "street", 0) == ("fresh", DVSNetConfig.street(num_classes=19))
    monkeypatch.setattr(checkpoints, "seeded_params", lambda config: "seeded")
    assert load_seeded(None) == ("seeded", DVSNetConfig.cityscapes())  # what times are measured with


def test_what_is_no_state_of_a_training(tmp_path):
    like = {"w": np.zeros(3, np.float32)}
    save_state(tmp_path / "latest", {"w": np.arange(3, dtype=np.float32)}, {"steps": 7})
    assert has_state(tmp_path / "latest") and not has_state(tmp_path / "gone")
    state, record = load_state(tmp_path / "latest", like)
    assert state["w"].tolist() == [0, 1, 2] and record == {"steps": 7}
    with pytest.raises(InputError, match="gone: there is no state of a training here"):
        load_state(tmp_path / "gone", like)
    file = tmp_path / "latest" / "config" / NAME
    content = json.loads(file.read_text())
    for text, says in (
        (json.dumps({**content, "format": "other"}), "does not say that it is a"),
        ("[]", "does not say that it is a"),
        ("no JSON", "is not the state of a training"),
    ):
        file.write_text(text)
        checksums.write_checksums(tmp_path / "latest")
        with pytest.raises(InputError, match=f"latest: {says} .*; choose another folder"):
            load_state(tmp_path / "latest", like)


def test_a_training_under_way_is_no_weights_yet(tmp_path):
    save_state(tmp_path / "run" / "best", {"w": np.zeros(3, np.float32)}, {"steps": 7})
    with pytest.raises(InputError, match=r"best: is the state of a training under way, .* writes .*run/weights at its"):
        checkpoints.load(tmp_path / "run" / "best")


def test_a_state_that_memory_is_too_small_for_is_not_blamed_on_the_disk(tmp_path, monkeypatch):
    def full(folder):
        raise MemoryError

    monkeypatch.setattr(checksums, "write_checksums", full)
    with pytest.raises(MemoryError):
        save_state(tmp_path / "latest", {"w": np.ones(3, np.float32)}, {})
    assert not has_state(tmp_path / "latest")
