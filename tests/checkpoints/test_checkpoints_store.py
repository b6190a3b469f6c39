"""Our own checkpoints: there and back, whole or not at all, and every kind of damage refused."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from compiling import several_devices

from dvsnet_jax.checkpoints import load, load_config, save, save_safetensors, seeded_params
from dvsnet_jax.checkpoints.atomic_folder import aside, replacing, standing
from dvsnet_jax.checkpoints.checksums import write_checksums
from dvsnet_jax.config import (
    CarriedMotionConfig,
    DecisionConfig,
    DeepLabFastConfig,
    FlowNet2sConfig,
    LocalDecisionConfig,
)
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks import init_params, prepare
from dvsnet_jax.policies import DynamicTarget, ExpectedConfidence, FixedInterval

ROOT = Path(__file__).parents[2]
TINY = tiny.TINY.replace(policy=DynamicTarget(95.0))


@dataclass(frozen=True)
class MyPolicy(ExpectedConfidence):
    """A user's own."""


@pytest.fixture(scope="module")
def params():
    return seeded_params(TINY)


@pytest.fixture(scope="module")
def original(params, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "tiny"
    save(path, params, TINY)
    return path


@pytest.fixture
def stored(original, tmp_path) -> Path:
    """A checkpoint to break."""
    return Path(shutil.copytree(original, tmp_path / "tiny"))


@pytest.mark.parametrize("write", [save, save_safetensors])
def test_a_network_without_parameters_is_there_again(write, tmp_path):
    config = TINY.replace(flow=CarriedMotionConfig(), decision=LocalDecisionConfig())
    params = init_params(jax.random.key(0), config)
    assert params["flow"] == {}
    write(tmp_path / "tiny.safetensors", params, config)
    again, _ = load(tmp_path / "tiny.safetensors")
    assert jax.tree.structure(again) == jax.tree.structure(params)


def test_nothing_is_compiled_to_read_and_prepare_weights(tmp_path, compiled):
    """A program for every shape took a second and more of every start. (No other test has arrays of these shapes.)"""
    odd = DeepLabFastConfig(num_classes=3, blocks=(1, 1, 1, 1), width=3, head_width=7)
    config = TINY.replace(segmentation=odd, flow=FlowNet2sConfig(channels=(3, 5, 7, 9, 11, 13)))
    params = seeded_params(config)
    save(tmp_path / "odd", params, config)
    read, _ = load(tmp_path / "odd")
    for precision in ("float32", "bfloat16"):
        prepared = prepare(read, config, precision=precision)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(prepared))
    assert not compiled()
    jnp.negative(np.zeros((3, 5, 7, 9, 11, 13), np.float32))  # this does, and it is seen
    assert compiled()


def zeros(params):
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), params)  # nothing to compile


def assert_same(params, expected) -> None:
    assert jax.tree.structure(params) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, params, expected)


def edit_record(path: Path, change) -> None:
    file = path / "config" / "dvsnet.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    write_checksums(path)  # as whoever meant it would


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    return str(error.value)


# There and back


def test_there_and_back(stored, params):
    loaded, config = load(str(stored))
    assert config == TINY and hash(config) == hash(TINY)
    assert_same(loaded, params)
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(loaded))


def test_the_configuration_alone(stored):
    assert load_config(stored) == TINY


def test_numpy_params_and_any_order_of_the_names(tmp_path, params):
    mixed = {name: jax.tree.map(np.asarray, params[name]) for name in reversed(params)}
    save(tmp_path / "new" / "folder" / "tiny", mixed, TINY)
    assert_same(load(tmp_path / "new" / "folder" / "tiny")[0], params)


def test_nothing_is_left_beside_it(tmp_path, params):
    save(tmp_path / "tiny", params, TINY)
    save(tmp_path / "tiny", zeros(params), TINY)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]
    assert_same(load(tmp_path / "tiny")[0], zeros(params))


def test_readable_by_others_as_the_umask_says(stored):
    umask = os.umask(0)
    os.umask(umask)
    assert stored.stat().st_mode & 0o777 == 0o777 & ~umask


def test_through_a_link(stored, tmp_path, params):
    (tmp_path / "latest").symlink_to(stored)
    save(tmp_path / "latest", zeros(params), TINY)
    assert (tmp_path / "latest").is_symlink()
    assert_same(load(stored)[0], zeros(params))


def test_over_an_empty_folder(tmp_path, params):
    (tmp_path / "out").mkdir()
    save(tmp_path / "out", params, TINY)
    assert_same(load(tmp_path / "out")[0], params)


def test_it_is_quiet(stored, params, capfd):
    save(stored, params, TINY)
    load(stored)
    refusal(load, stored / "params")
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("absl").disabled


def test_saved_on_other_devices_and_loaded_on_the_default_one(tmp_path, params):
    """In a process of its own, as the number of devices is fixed when JAX starts."""
    code = """
import sys, jax
from test_checkpoints_store import TINY, seeded_params
from dvsnet_jax.checkpoints import load, save
from jax.sharding import Mesh, NamedSharding, PartitionSpec
assert len(jax.devices()) == 2
params = jax.device_put(seeded_params(TINY), NamedSharding(Mesh(jax.devices()[1:], ("x",)), PartitionSpec()))
save(sys.argv[1], params, TINY)
loaded, _ = load(sys.argv[1])
assert {device.id for leaf in jax.tree.leaves(loaded) for device in leaf.devices()} == {0}
"""
    flags = several_devices(2)
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "tiny")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **flags, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{Path(__file__).parent}"},
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_same(load(tmp_path / "tiny")[0], params)


def test_nothing_is_unpickled(stored, monkeypatch):
    import pickle

    def never(*_, **__):
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    load(stored)
    assert not [file for file in stored.rglob("*") if file.suffix in (".pkl", ".pickle", ".npy")]


# Whose weights they are


def test_free_fields_may_be_set_anew(stored, params):
    mine = TINY.replace(
        overlap=32, regions=(1, 1), policy=MyPolicy(80.0), routing="dense", chunk=3, input_size=(128, 256)
    )
    loaded, config = load(stored, config=mine)
    assert config is mine
    assert_same(loaded, params)


def test_weights_for_another_configuration(stored):
    asked = TINY.replace(
        segmentation=DeepLabFastConfig(num_classes=19, blocks=(1, 1, 2, 1), width=4, head_width=8),
        decision=DecisionConfig(conv_width=4, hidden=(8, 8, 4), grid=(2, 16)),
        policy=FixedInterval(3),
    )
    assert refusal(load, stored, config=asked).splitlines() == [
        f"{stored}: weights for another configuration. -: asked for, +: stored with the weights.",
        "    - segmentation.num_classes = 19",
        "    + segmentation.num_classes = 5",
        "    - decision.grid = (2, 16)",
        "    + decision.grid = (4, 8)",
    ]


def test_params_of_another_configuration_are_not_saved(tmp_path, params):
    message = refusal(save, tmp_path / "tiny", params, TINY.replace(flow=FlowNet2sConfig(channels=(4, 4, 8, 8, 8, 4))))
    assert "- flow/conv6/weights [3, 3, 8, 4]\n    + flow/conv6/weights [3, 3, 8, 8]" in message
    wrong = {**params, "decision": {"Conv": {"weights": params["decision"]["Conv"]["weights"].astype(jnp.bfloat16)}}}
    message = refusal(save, tmp_path / "tiny", {**wrong, "more": jnp.zeros(2)}, TINY)
    assert "- decision/Conv/biases [4]" in message and "+ more [2]" in message and "bfloat16" in message
    assert list(tmp_path.iterdir()) == []


def test_a_policy_of_ones_own_cannot_be_stored(stored, params):
    assert "config.policy is a MyPolicy" in refusal(save, stored, params, TINY.replace(policy=MyPolicy()))
    assert load(stored)[1] == TINY


# Whole or not at all


@pytest.mark.parametrize("what", ["file", "other folder", "damaged", "with more in it"])
def test_nothing_else_is_overwritten(tmp_path, stored, params, what):
    path = stored
    if what == "file":
        path = tmp_path / "notes.txt"
        path.write_text("precious")
    elif what == "other folder":
        path = tmp_path / "photos"
        path.mkdir()
        (path / "one.jpg").write_text("precious")
    elif what == "damaged":
        (path / "config" / "dvsnet.json").write_text("{")
    else:
        (path / "results.csv").write_text("precious")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert str(path) in refusal(save, path, params, TINY)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_full_disk_keeps_the_old_one(stored, params, capfd):
    """No file may grow beyond 20 kB: as far as a process can see, that is a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        message = refusal(save, stored, zeros(params), TINY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "cannot be written" in message and "\n" not in message
    assert capfd.readouterr() == ("", "")
    assert [entry.name for entry in stored.parent.iterdir()] == ["tiny"]
    assert_same(load(stored)[0], params)


def test_a_parent_that_is_a_file(tmp_path, params):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(save, tmp_path / "file" / "tiny", params, TINY)


@pytest.mark.parametrize("stop", [OSError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("at_move", [1, 2])
def test_an_error_while_moving_keeps_the_old_one(stored, params, monkeypatch, stop, at_move):
    moves = []

    def move(old: Path, new: Path) -> None:
        moves.append(new)
        if len(moves) == at_move:
            raise stop
        old.rename(new)

    monkeypatch.setattr("dvsnet_jax.checkpoints.atomic_folder._move", move)
    with pytest.raises(InputError if isinstance(stop, OSError) else KeyboardInterrupt):
        save(stored, zeros(params), TINY)
    monkeypatch.undo()
    assert [entry.name for entry in stored.parent.iterdir()] == ["tiny"]
    assert_same(load(stored)[0], params)


@pytest.mark.parametrize("at_move", [1, 2, 3])
def test_a_killed_process_leaves_a_whole_folder(tmp_path, at_move):
    """Killed before the old one moves aside, between the two moves, and before the old one is cleared away."""
    code = """
import os, sys
from pathlib import Path
from dvsnet_jax.checkpoints import atomic_folder
moves = []
def move(old, new):
    moves.append(new)
    if len(moves) == int(sys.argv[2]):
        os._exit(9)
    old.rename(new)
atomic_folder._move = move
if sys.argv[2] == "3":
    atomic_folder.shutil.rmtree = lambda *_, **__: os._exit(9)
with atomic_folder.replacing(Path(sys.argv[1])) as new:
    new.mkdir()
    (new / "content").write_text("new")
"""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "content").write_text("old")
    done = subprocess.run([sys.executable, "-c", code, str(folder), str(at_move)], cwd=ROOT)
    assert done.returncode == 9
    assert folder.exists() == (at_move != 2)
    assert aside(folder).exists() == (at_move != 1)
    assert (standing(folder) / "content").read_text() == ("new" if at_move == 3 else "old")
    with replacing(folder) as new:  # tidies up, but for the hidden folder of the process that was killed
        new.mkdir()
        (new / "content").write_text("newer")
    assert not aside(folder).exists()
    assert (folder / "content").read_text() == "newer"


def test_the_old_one_is_found_between_the_two_moves(stored, params):
    stored.rename(aside(stored))
    assert_same(load(stored)[0], params)
    save(stored, zeros(params), TINY)
    assert not aside(stored).exists()
    assert_same(load(stored)[0], zeros(params))


# What is not, or no longer, a checkpoint


def test_no_checkpoint_there(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    assert "there is no such checkpoint" in refusal(load, tmp_path / "nowhere")
    assert "is a file" in refusal(load, tmp_path / "file")
    assert "not a checkpoint of dvsnet_jax" in refusal(load, "/")
    assert "not a checkpoint of dvsnet_jax" in refusal(load, tmp_path / "folder")
    (tmp_path / "folder" / "weights").mkdir()  # a training's folder in place of the weights in it
    assert f"whose weights are {tmp_path / 'folder' / 'weights'}" in refusal(load, tmp_path / "folder")
    assert "goes to `dvsnet segment --program`" in refusal(load, tmp_path / "file")


def files_of(path: Path) -> list[Path]:
    return sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "flipped"])
def test_damage_to_any_file_is_refused(original, tmp_path, damage, capfd):
    for index, name in enumerate(files_of(original)):
        path = Path(shutil.copytree(original, tmp_path / str(index)))
        content = bytearray((path / name).read_bytes())
        content[len(content) // 2] ^= 0x10
        if damage == "missing":
            (path / name).unlink()
        else:
            changed = {"empty": b"", "half": content[: len(content) // 2], "flipped": content}[damage]
            (path / name).write_bytes(changed)
        message = refusal(load, path)
        assert str(path) in message and "\n" not in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("folder", ["params", "config", "params/d", "params/ocdbt.process_0"])
def test_half_deleted(stored, folder):
    shutil.rmtree(stored / folder)
    message = refusal(load, stored)
    assert str(stored) in message and "\n" not in message


@pytest.mark.parametrize(
    ("says", "change"),
    [
        ("newer", lambda record: record["config"].update(version=99)),
        ("does not know", lambda record: record["config"]["policy"].update(type="Sparkle")),
        ("a configuration is a JSON object", lambda record: record.pop("config")),
        ("does not say", lambda record: record.update(format="a cake")),
        ("list of parameters", lambda record: record.pop("params")),
        ("list of parameters", lambda record: record.update(params=[1, 2])),
        ("list of parameters", lambda record: record["params"]["flow/conv1/biases"].update(dtype="os.system")),
        ("list of parameters", lambda record: record["params"]["flow/conv1/biases"].update(shape="x")),
        ("list of parameters", lambda record: record["params"]["flow/conv1/biases"].pop("dtype")),
        ("makes no network", lambda record: record["config"]["decision"].update(grid=[-4, 8])),
    ],
)
def test_an_edited_record_is_refused_in_one_line(stored, says, change):
    edit_record(stored, change)
    message = refusal(load, stored)
    assert says in message and str(stored) in message
    assert "\n" not in message


@pytest.mark.parametrize("content", ["[]", "null", "{}", "nonsense", "[" * 100_000, '{"format": NaN}', "\ud800"])
def test_a_record_that_is_none(stored, content):
    (stored / "config" / "dvsnet.json").write_text(content, errors="surrogatepass")
    message = refusal(load, stored)
    assert "dvsnet.json" in message and "\n" not in message


def test_any_edit_is_noticed(stored):
    file = stored / "config" / "dvsnet.json"
    text = file.read_text()
    assert '"flow_gain": 5.0' in text
    file.write_text(text.replace('"flow_gain": 5.0', '"flow_gain": 7.0'))
    assert "config/dvsnet.json is not as saved" in refusal(load, stored)


def test_arrays_that_are_not_there_although_the_checksums_are_right(stored):
    shutil.rmtree(stored / "params")
    write_checksums(stored)
    message = refusal(load, stored)
    assert "damaged or incomplete" in message and "\n" not in message


def test_a_configuration_that_is_not_the_weights(stored):
    edit_record(stored, lambda record: record["config"]["segmentation"].update(num_classes=6))
    message = refusal(load, stored)
    assert "    - segmentation/fc_out/weights [1, 1, 8, 6]\n    + segmentation/fc_out/weights [1, 1, 8, 5]" in message
    edit_record(stored, lambda record: record["params"].pop("flow/conv1/biases"))
    assert "    - flow/conv1/biases [4]" in refusal(load, stored)


def test_no_warning_in_saving_or_loading(stored, params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        save(stored, params, TINY)
        load(stored)
    assert [str(warning.message) for warning in caught] == []
