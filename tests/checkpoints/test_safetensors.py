"""Our own weights as one safetensors file: there and back, in every command, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import CARRIED, SIMPLE, TINY, carried_params

from dvsnet_jax import DVSNetConfig, checkpoints
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.checkpoints.own.weight_files import read_weights, write_weights
from dvsnet_jax.cli import main
from dvsnet_jax.errors import InputError
from dvsnet_jax.policies import DynamicTarget

safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is in the extra import")
CONFIG = TINY.replace(policy=DynamicTarget(95.0))


@pytest.fixture(scope="module")
def params():
    return checkpoints.seeded_params(CONFIG)


@pytest.fixture
def file(params, tmp_path):
    checkpoints.save_safetensors(tmp_path / "tiny.safetensors", params, CONFIG)
    return tmp_path / "tiny.safetensors"


def metadata(file):
    with file.open("rb") as stream:
        return json.loads(
            json.loads(stream.read(int.from_bytes(stream.read(8), "little")))["__metadata__"]["dvsnet_jax"]
        )


def test_there_and_back_under_names_that_stay(file, params):
    again, config = checkpoints.load(file)
    assert config == CONFIG == checkpoints.load_config(file)
    jax.tree.map(np.testing.assert_array_equal, again, params)
    arrays = safetensors.load_file(file)  # by the library alone
    assert arrays.keys() == flatten(params).keys()
    assert {"segmentation/conv1/weights", "flow/predict_flow2/biases", "decision/fully_connected_3/biases"} <= set(
        arrays
    )
    assert json.loads(metadata(file)["config"])["version"] == 1


def test_a_number_alone_keeps_its_shape(tmp_path):
    """Batch norms of PyTorch count their batches in one."""
    arrays = {
        "counted": np.int32(7),
        "one": np.ones(1, np.float32),
        "turned": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
    }
    write_weights(tmp_path / "own.safetensors", arrays)
    again = read_weights(tmp_path / "own.safetensors")
    assert {name: array.shape for name, array in again.items()} == {"counted": (), "one": (1,), "turned": (3, 2)}
    jax.tree.map(np.testing.assert_array_equal, again, arrays)


def test_the_commands_write_read_and_use_it(file, params, tmp_path, capsys):
    folder, again = str(tmp_path / "weights"), str(tmp_path / "again.safetensors")
    assert main(["import", str(file), folder]) == 0
    assert main(["export", again, "--format", "safetensors", "--weights", folder]) == 0
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()
    assert "keep.json" not in capsys.readouterr().err
    Path(folder, "keep.json").write_text("{}")
    assert main(["export", again, "--format", "safetensors", "--weights", folder]) == 0
    assert "keep.json, by which 'dvsnet segment --keep' goes, is not in it" in capsys.readouterr().err
    assert main(["info", "--weights", again]) == 0
    for words, said in (
        (["export", again, "--format", "safetensors", "--size", "64x96"], "leave out --size"),
        (["import", str(file), folder, "--network", "FlowNet2"], "leave out --network"),
        (["import", folder, folder, "--format", "safetensors"], "no file that ends in .safetensors"),
    ):
        assert main(words) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert main(["export", str(tmp_path / "w.npz"), "--format", "safetensors", "--weights", folder]) == 1
    assert "expected a file that ends in .safetensors" in capsys.readouterr().err


def test_of_a_network_of_ones_own_it_has_the_name_alone(tmp_path):
    file = tmp_path / "own.safetensors"
    checkpoints.save_safetensors(file, carried_params(), CARRIED)
    assert not [name for name in safetensors.load_file(file) if name.startswith("segmentation/")]
    params, config = checkpoints.load_accelerator(file, CARRIED.segmentation, carried_params()["segmentation"])
    assert config == CARRIED
    jax.tree.map(np.testing.assert_array_equal, params["decision"], carried_params()["decision"])
    with pytest.raises(InputError, match="FlowFunction"):
        checkpoints.save_safetensors(file, {}, SIMPLE)


def changed(file, **said):
    """The file with other metadata; None takes them out."""
    data = metadata(file)
    for name, value in said.items():
        data = {key: kept for key, kept in data.items() if key != name} | ({} if value is None else {name: value})
    rewritten(file, safetensors.load_file(file), data)


def rewritten(file, arrays, data):
    safetensors.save_file(arrays, file, metadata={"dvsnet_jax": json.dumps(data)})


def wrong_weights(file):
    arrays = safetensors.load_file(file)
    del arrays["flow/conv1/weights"]
    arrays["flow/conv0/weights"] = np.zeros(3, np.float32)
    from dvsnet_jax.checkpoints import safetensors_file

    data = metadata(file)
    rewritten(file, arrays, data | {"sha256": safetensors_file._sum(data["config"], arrays)})


def flipped(file):
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda file: file.unlink(), "there is no such file"),
        (lambda file: file.write_bytes(b""), "is no safetensors file, or a damaged one"),
        (lambda file: file.write_bytes(file.read_bytes()[:-100]), "is no safetensors file, or a damaged one"),
        (lambda file: file.write_bytes(b"\x80\x04\x95" + bytes(60)), "is no safetensors file, or a damaged one"),
        (flipped, "its checksum does not fit"),
        (lambda file: safetensors.save_file(safetensors.load_file(file), file), "holds weights of another program"),
        (lambda file: changed(file, config=None), "its configuration cannot be read .KeyError"),
        (lambda file: changed(file, config="{}"), "its checksum does not fit"),
        (wrong_weights, r"2 are missing, unknown or of another shape or type \(flow/conv0/weights, flow/conv1/weig"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(file, damage, said):
    damage(file)
    with pytest.raises(InputError, match=said) as told:
        checkpoints.load(file)
    assert "\n" not in str(told.value)


def test_another_configuration_and_a_newer_one_are_refused(file, params, tmp_path):
    with pytest.raises(InputError, match="weights for another configuration"):
        checkpoints.load(file, config=DVSNetConfig.cityscapes())
    from dvsnet_jax.checkpoints import safetensors_file

    said = json.dumps({**json.loads(metadata(file)["config"]), "version": 99})
    changed(file, config=said, sha256=safetensors_file._sum(said, safetensors.load_file(file)))
    with pytest.raises(InputError, match="has version 99, and this dvsnet-jax reads up to 1"):
        checkpoints.load(file)


def test_where_motion_comes_from_is_kept_and_told_where_it_cannot_be(file, tmp_path, capsys):
    export = ["export", str(tmp_path / "out.safetensors"), "--format", "safetensors", "--motion", "network"]
    assert main([*export, "--weights", "street"]) == 0
    assert checkpoints.load_config(tmp_path / "out.safetensors").searches_motion
    capsys.readouterr()
    (tmp_path / "out.safetensors").unlink()
    assert main([*export, "--weights", str(file)]) == 2
    assert "these weights find motion by their own flow network" in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()
