"""The weights that come with the package: whole, of the street preset, and refused where damaged."""

from __future__ import annotations

from importlib import resources

import jax
import numpy as np
import pytest
from tiny import TINY, tiny_params

from dvsnet_jax import CarriedMotionConfig, DVSNetConfig, checkpoints, networks
from dvsnet_jax.checkpoints import bundled
from dvsnet_jax.checkpoints.bundled import read_bundle, write_bundle
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.weights import load_weights
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.protocols import SegmentationFunction
from dvsnet_jax.training.restoring import restore


def test_bundled_weights_are_those_of_the_street_preset():
    params, config = checkpoints.load_bundled()
    street = DVSNetConfig.street()
    assert (config.segmentation, config.flow, config.decision) == (street.segmentation, street.flow, street.decision)
    wanted = networks.abstract_params(config)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), params) == jax.tree.map(lambda a: (a.shape, a.dtype), wanted)
    size = (resources.files("dvsnet_jax") / "weights" / checkpoints.BUNDLE).stat().st_size
    assert size <= 20e6


def test_the_weights_for_carried_motion_share_the_segmentation_network():
    params, config = checkpoints.load_bundled("carried")
    paper, before = checkpoints.load_bundled()
    assert config.flow == CarriedMotionConfig() and before.flow == DVSNetConfig.street().flow
    assert (config.segmentation, config.regions, config.overlap) == (before.segmentation, (2, 2), 32)
    jax.tree.map(np.testing.assert_array_equal, params["segmentation"], paper["segmentation"])
    wanted = networks.abstract_params(config)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), params) == jax.tree.map(lambda a: (a.shape, a.dtype), wanted)
    size = (resources.files("dvsnet_jax") / "weights" / checkpoints.CARRIED).stat().st_size
    assert size <= 1e5


def test_the_large_weights_are_those_of_their_preset_and_carry_motion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params, config = checkpoints.load_bundled("carried", "street-large")
    assert config.segmentation == DVSNetConfig.street_large().segmentation and config.takes_motion
    wanted = networks.abstract_params(config)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), params) == jax.tree.map(lambda a: (a.shape, a.dtype), wanted)
    sizes = [each.stat().st_size for each in (resources.files("dvsnet_jax") / "weights").iterdir()]
    assert sum(sizes) <= 35e6
    assert (
        checkpoints.load("street-large")[1]
        == config
        == load_weights("street-large", None, "auto")[1]
        == restore("street-large")[1]
    )
    with pytest.raises(InputError, match="street-large has no flow network, it carries motion"):
        checkpoints.load_bundled(name="street-large")
    with pytest.raises(UsageError, match=r"street-large has none, it carries motion .*; leave it out, or take street"):
        load_weights("street-large", None, "paper")


def test_the_weights_are_loaded_by_name_unless_something_is_there_by_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params, config = checkpoints.load("street")
    bundled_params, bundled_config = checkpoints.load_bundled("carried")
    assert config == bundled_config == checkpoints.load_config("street")
    jax.tree.map(np.testing.assert_array_equal, params, bundled_params)
    checkpoints.save("street", tiny_params(), TINY)
    assert checkpoints.load("street")[1] == TINY == checkpoints.load_config("street")
    with pytest.raises(InputError, match="no such checkpoint"):
        checkpoints.load("streets")


def test_commands_and_training_take_them_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_weights("street", None)[1] == checkpoints.load_bundled()[1]
    assert load_weights("street", None, "dis")[1] == checkpoints.load_bundled("carried")[1]
    assert restore("street")[1] == checkpoints.load_bundled()[1]
    with pytest.raises(UsageError, match="--decision-from goes with"):
        load_weights("street", "model", "auto")
    with pytest.raises(InputError, match=r"street: has a segmentation network of its own; use checkpoints\.load"):
        checkpoints.load_accelerator("street", SegmentationFunction(function=lambda params, x: x, num_classes=3), None)


def test_bundle_round_trip_rounds_to_half_precision(tmp_path):
    write_bundle(tmp_path / "b.npz", tiny_params(), TINY)
    params, config = read_bundle((tmp_path / "b.npz").read_bytes(), source="b")
    assert config == TINY
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(np.asarray(a).astype(np.float16), np.asarray(b)),
        jax.device_get(tiny_params()), params,
    )  # fmt: skip


def test_damaged_bundles_are_refused(tmp_path):
    write_bundle(tmp_path / "b.npz", tiny_params(), TINY)
    content = (tmp_path / "b.npz").read_bytes()
    for broken in (content[:-100], b"no zip", b""):
        with pytest.raises(InputError, match="damaged"):
            read_bundle(broken, source="b")
    with np.load(tmp_path / "b.npz") as file:
        arrays = {name: file[name] for name in file.files}
    name = next(name for name in arrays if name.startswith("flow"))
    np.savez(tmp_path / "c.npz", **{**arrays, name: arrays[name] + 1})
    with pytest.raises(InputError, match="checksum"):
        read_bundle((tmp_path / "c.npz").read_bytes(), source="c")


def test_numbers_past_half_precision_are_not_bundled(tmp_path):
    params = tiny_params()
    params = {**params, "decision": jax.tree.map(lambda a: a * 0 + 1e6, params["decision"])}
    with pytest.raises(InputError, match="65504"):
        write_bundle(tmp_path / "b.npz", params, TINY)
    assert not (tmp_path / "b.npz").exists()


def test_what_is_no_dvsnet_is_refused(tmp_path):
    write_bundle(tmp_path / "b.npz", {"a": np.zeros(3, np.float32)}, FlowNet2Config())
    with pytest.raises(InputError, match="b: holds a FlowNet2Config, expected all of DVSNet"):
        read_bundle((tmp_path / "b.npz").read_bytes(), source="b")


def test_an_incomplete_installation_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled.resources, "files", lambda package: tmp_path)
    with pytest.raises(InputError, match=r"street\.npz: the package's weights are missing; install dvsnet-jax again"):
        checkpoints.load_bundled()
