"""TensorFlow's checkpoints: those that TensorFlow 1.4 wrote, those that today's writes, and broken ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import TINY

from dvsnet_jax import networks
from dvsnet_jax.checkpoints import import_tensorflow, is_tensorflow, read_tensorflow, seeded_params
from dvsnet_jax.checkpoints.foreign.original_names import to_original
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.checkpoints.seeded import seeded_array, seeded_variables
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError

FORMS = {"tiny_ckpt_v1": "model.ckpt", "tiny_ckpt_v2": "model.ckpt-7", "tiny_ckpt_v2_sharded": "model.ckpt"}


@pytest.fixture(scope="session")
def tensorflow():
    pytest.importorskip("tensorflow")
    from dvsnet_jax.checkpoints.foreign.tensorflow_files import _import_tensorflow

    return _import_tensorflow(Path("any"))  # quietly


@pytest.fixture
def copies(goldens, tmp_path) -> Path:
    """The three small checkpoints, writable."""
    for folder in FORMS:
        for file in goldens.path(folder).iterdir():
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copyfile(file, tmp_path / folder / file.name)
    return tmp_path


def write(tensorflow, prefix: Path, variables: dict[str, np.ndarray]) -> None:
    """A V2 checkpoint, as TensorFlow writes it."""
    names = list(variables)
    tensors = [tensorflow.constant(variables[name]) for name in names]
    tensorflow.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
    )


@pytest.fixture(scope="module")
def originals() -> dict[str, np.ndarray]:
    shapes = {name: leaf.shape for name, leaf in flatten(networks.abstract_params(TINY)).items()}
    return seeded_variables({to_original(name): shape for name, shape in shapes.items()})


def part(variables, *, decision: bool) -> dict[str, np.ndarray]:
    return {name: value for name, value in variables.items() if name.startswith("decision/") == decision}


def assert_seeded(params) -> None:
    expected = seeded_params(TINY)
    assert jax.tree.structure(params) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, params, expected)


# What is a checkpoint: without TensorFlow


@pytest.mark.parametrize(("folder", "prefix"), FORMS.items())
def test_recognised_in_every_form(copies, folder, prefix):
    assert is_tensorflow(copies / folder)
    assert is_tensorflow(str(copies / folder / prefix))
    for file in (copies / folder).glob(f"{prefix}.*"):
        assert is_tensorflow(file)


def test_what_is_not_a_checkpoint(copies):
    (copies / "text.txt").write_text("nothing of that kind")
    (copies / "short").write_text("")
    for path in ("text.txt", "short", "nowhere", ".", "tiny_ckpt_v2/model.ckpt-8", "tiny_ckpt_v2/checkpoint"):
        assert not is_tensorflow(copies / path), path


@pytest.mark.parametrize("named", ["/data/u/run 3/model.ckpt-7", "C:\\\\runs\\\\model.ckpt-7", "old/model.ckpt-7"])
def test_a_state_file_from_another_machine(copies, named):
    (copies / "tiny_ckpt_v2" / "checkpoint").write_text(f'model_checkpoint_path: "{named}"\n')
    assert is_tensorflow(copies / "tiny_ckpt_v2")


def test_a_state_file_that_names_another_place(copies, tmp_path):
    (tmp_path / "elsewhere é").mkdir()
    shutil.move(copies / "tiny_ckpt_v1" / "model.ckpt", tmp_path / "elsewhere é" / "model.ckpt")
    state = copies / "tiny_ckpt_v1" / "checkpoint"
    state.write_text(f'model_checkpoint_path: "{tmp_path}/elsewhere \\303\\251/model.ckpt"\n')
    assert is_tensorflow(state.parent)


def test_a_directory_without_a_state_file(copies):
    folder = copies / "tiny_ckpt_v2"
    (folder / "checkpoint").unlink()
    assert is_tensorflow(folder)
    shutil.copyfile(folder / "model.ckpt-7.index", folder / "model.ckpt-8.index")
    with pytest.raises(InputError, match=r"model\.ckpt-7, model\.ckpt-8"):
        read_tensorflow(folder)


def test_without_tensorflow_the_error_says_what_to_install(copies, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(InputError, match=r"pip install 'dvsnet-jax\[import\]'"):
        read_tensorflow(copies / "tiny_ckpt_v2")


# Reading


@pytest.mark.parametrize(("folder", "prefix"), list(FORMS.items())[:2])
def test_every_value_that_tensorflow_1_wrote(tensorflow, goldens, folder, prefix):
    variables = read_tensorflow(goldens.path(folder) / prefix)
    expected = {name: (shape, dtype) for name, shape, dtype in goldens.json("tiny_ckpt_variables")}
    if folder == "tiny_ckpt_v1":
        del expected["empty"]  # the old format cannot hold it
    assert {name: (list(value.shape), str(value.dtype)) for name, value in variables.items()} == expected
    special = {"global_step": 123456, "decision/beta1_power": np.float32(0.9), "empty": np.zeros((0, 3))}
    for name, value in variables.items():
        np.testing.assert_array_equal(value, special[name] if name in special else seeded_array(name, value.shape))


def test_shards_and_a_partitioned_variable(tensorflow, goldens):
    folder = goldens.path("tiny_ckpt_v2_sharded")
    variables = read_tensorflow(folder)
    partitioned = np.load(folder / "partitioned_value.npy", allow_pickle=False)
    np.testing.assert_array_equal(variables.pop("partitioned"), partitioned)
    assert len(variables) == 4
    for name, value in variables.items():
        np.testing.assert_array_equal(value, seeded_array(name, value.shape))


def test_shards_of_the_old_format(tensorflow, tmp_path):
    raw = tensorflow.raw_ops
    for shard, (start, name) in enumerate([(0, "a/biases"), (2, "b/biases")]):
        raw.SaveSlices(
            filename=str(tmp_path / f"model.ckpt-{shard:05}-of-00002"),
            tensor_names=["whole", name],
            shapes_and_slices=[f"4 3 {start},2:-", ""],
            data=[np.full((2, 3), shard, np.float32), seeded_array(name, (5,))],
        )
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/gone/model.ckpt-?????-of-00002"\n')
    for path in (tmp_path, tmp_path / "model.ckpt-00001-of-00002", tmp_path / "model.ckpt-?????-of-00002"):
        assert is_tensorflow(path)
        variables = read_tensorflow(path)
        assert set(variables) == {"whole", "a/biases", "b/biases"}
        np.testing.assert_array_equal(variables["whole"], np.repeat([0, 0, 1, 1], 3).reshape(4, 3))
        np.testing.assert_array_equal(variables["b/biases"], seeded_array("b/biases", (5,)))
    (tmp_path / "model.ckpt-00000-of-00002").unlink()
    assert not is_tensorflow(tmp_path / "model.ckpt-00001-of-00002")


@pytest.mark.parametrize("file", ["model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "flipped"])
def test_damage_to_the_new_format(tensorflow, copies, file, damage):
    check_damage(copies / "tiny_ckpt_v2", "model.ckpt-7", file, damage)


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "flipped"])
def test_damage_to_the_old_format(tensorflow, copies, damage):
    check_damage(copies / "tiny_ckpt_v1", "model.ckpt", "model.ckpt", damage)


def check_damage(folder: Path, prefix: str, file: str, damage: str) -> None:
    path = folder / file
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "flipped": content}[damage])
    with pytest.raises(InputError) as error:
        read_tensorflow(folder / prefix)
    assert str(folder / prefix) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('model_checkpoint_path: "gone-3"', "gone-3"),
        ("something else", "names no model_checkpoint_path"),
        ("", "names no model_checkpoint_path"),
        ('model_checkpoint_path: "\\400\\', "names no model_checkpoint_path"),
        ('model_checkpoint_path: "\\377\\000\\q"', "no such checkpoint"),
    ],
)
def test_a_state_file_of_no_use(copies, content, says):
    (copies / "tiny_ckpt_v2" / "checkpoint").write_text(content)
    assert not is_tensorflow(copies / "tiny_ckpt_v2")
    with pytest.raises(InputError, match=says):
        read_tensorflow(copies / "tiny_ckpt_v2")


def test_a_file_of_another_kind(tensorflow, tmp_path):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG" * 50)
    with pytest.raises(InputError, match=r"picture\.png"):
        read_tensorflow(tmp_path / "picture.png")


def test_reading_says_nothing_and_leaves_the_environment(tensorflow, copies):
    code = """
import os, sys
from dvsnet_jax.checkpoints import read_tensorflow
from dvsnet_jax.errors import InputError
before = dict(os.environ)
print(len(read_tensorflow(sys.argv[1])))
try:
    read_tensorflow(sys.argv[2])
except InputError:
    print("refused")
assert dict(os.environ) == before
"""
    broken = copies / "tiny_ckpt_v1" / "model.ckpt"
    broken.write_bytes(broken.read_bytes()[:1000])
    command = [sys.executable, "-W", "error", "-c", code, str(copies / "tiny_ckpt_v2"), str(broken)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "35\nrefused\n", "")


# Importing


def test_import_from_one_place(tensorflow, originals, tmp_path):
    slots = {f"decision/{name}/{slot}": value for name, value in part(originals, decision=True).items()
             for slot in ("Adam", "Adam_1")}  # fmt: skip
    others = {"global_step": np.int64(99), "decision/beta1_power": np.float32(0.9)}
    write(tensorflow, tmp_path / "model.ckpt-99", {**originals, **slots, **others})
    params, config = import_tensorflow(tmp_path / "model.ckpt-99")
    assert config == TINY.replace(overlap=64)  # nothing but the networks can be read from a file
    assert_seeded(params)
    params, config = import_tensorflow(tmp_path, config=TINY)
    assert config == TINY
    assert_seeded(params)


def test_import_from_two_places(tensorflow, originals, tmp_path):
    stale = {name: np.zeros_like(value) for name, value in part(originals, decision=True).items()}
    stale["decision/of_another_shape/weights"] = np.zeros(3, np.float32)
    write(tensorflow, tmp_path / "model.ckpt", {**part(originals, decision=False), **stale})
    unrelated = {"conv1/weights": np.zeros(3, np.float32), "whatever": np.zeros(1, np.float32)}
    write(tensorflow, tmp_path / "decision.ckpt", {**part(originals, decision=True), **unrelated})
    params, config = import_tensorflow(tmp_path / "model.ckpt", decision_from=tmp_path / "decision.ckpt")
    assert config.decision == TINY.decision
    assert_seeded(params)


def test_import_without_a_decision_network(tensorflow, originals, tmp_path):
    write(tensorflow, tmp_path / "model.ckpt", part(originals, decision=False))
    with pytest.raises(InputError, match="--decision-from"):
        import_tensorflow(tmp_path / "model.ckpt")
    with pytest.raises(InputError, match="no variable under decision/"):
        import_tensorflow(tmp_path / "model.ckpt", decision_from=tmp_path / "model.ckpt")


def test_deeplab_alone_is_no_dvsnet(tensorflow, originals, tmp_path):
    """Another decision network would not help."""
    deeplab = {name: value for name, value in originals.items() if not name.startswith(("decision/", "FlowNet"))}
    write(tensorflow, tmp_path / "model.ckpt", deeplab)
    with pytest.raises(InputError, match="holds no flow network and no decision network") as caught:
        import_tensorflow(tmp_path / "model.ckpt")
    assert "--decision-from" not in str(caught.value)


def test_import_names_the_file_that_does_not_fit(tensorflow, originals, tmp_path, goldens):
    write(tensorflow, tmp_path / "model.ckpt", {**originals, "aux/weights": np.zeros((2, 2), np.float32)})
    with pytest.raises(InputError, match=r"model\.ckpt does not hold.*\n  unknown:\n    \+ aux/weights \[2, 2\]$"):
        import_tensorflow(tmp_path / "model.ckpt")
    with pytest.raises(InputError) as error:  # real, but far from complete
        import_tensorflow(goldens.path("tiny_ckpt_v2"))
    assert "  missing:\n    - " in str(error.value)
    assert "+ empty [0, 3]" in str(error.value)
    with pytest.raises(InputError, match="another shape"):
        import_tensorflow(tmp_path / "model.ckpt", config=DVSNetConfig.cityscapes())
