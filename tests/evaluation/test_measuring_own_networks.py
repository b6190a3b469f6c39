"""`dvsnet measure …` of weights around a network of the user's own."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from PIL import Image
from tiny import CARRIED

from dvsnet_jax import checkpoints, networks
from dvsnet_jax.cli import main

NAMES = ("sky", "road", "lane marking")
OWN = f"""
import jax.numpy as jnp
from dvsnet_jax import SegmentationFunction
def scores(params, images):
    return -jnp.abs(images[:, ::8, ::8].mean(-1)[..., None] - params["greys"])
def make():
    return SegmentationFunction(function=scores, num_classes=3, classes={NAMES}), {{
        "greys": jnp.array([40.0, 128.0, 215.0])}}
"""


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    network = checkpoints.open_network(f"{tmp_path / 'own.py'}:make")
    config = CARRIED.replace(segmentation=network.function)
    params = {**networks.init_params(jax.random.key(0), config), "segmentation": network.params}
    checkpoints.save_accelerator(tmp_path / "weights", params, config, network)
    for place in ("frames", "labels"):
        (tmp_path / place).mkdir()
    for label, grey in enumerate((40, 128, 215)):
        Image.fromarray(np.full((72, 100, 3), grey, np.uint8)).save(tmp_path / "frames" / f"{label}.png")
        Image.fromarray(np.full((72, 100), label, np.uint8)).save(tmp_path / "labels" / f"{label}.png")
    return str(tmp_path / "weights")


def test_segmentation_has_its_classes_by_their_own_names(weights, tmp_path, capsys):
    data = ["--data", f"folder:{tmp_path / 'frames'}:{tmp_path / 'labels'}"]
    command = ["measure", "segmentation", *data, "--weights", weights]
    assert main(command) == 1
    assert f"name it: --segmentation {tmp_path / 'own.py'}:make" in " ".join(capsys.readouterr().err.split())
    command += ["--segmentation", f"{tmp_path / 'own.py'}:make"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "| **mIoU** | 100.00% | 100.00% |" in told and all(f"| {name} | 100.0% |" in told for name in NAMES)

    for label, became in enumerate((10, 0, 0)):
        Image.fromarray(np.full((72, 100), became, np.uint8)).save(tmp_path / "labels" / f"{label}.png")
    assert main([*command, "--whole-only", "--classes", "cityscapes"]) == 0
    told = capsys.readouterr().out
    assert "| **mIoU** | 100.00% |" in told and "| road | 100.0% |" in told and "lane marking" not in told


def test_a_precision_that_it_does_not_have_is_refused(weights, tmp_path, capsys):
    own = ["--weights", weights, "--segmentation", f"{tmp_path / 'own.py'}:make", "--precision", "bfloat16"]
    data = f"clips:{tmp_path}"
    for command in (
        ["segment", str(tmp_path / "frames"), "--out", str(tmp_path / "out")],
        ["evaluate", data, "--out", str(tmp_path / "out"), "--no-consistency"],
        ["export", str(tmp_path / "a.dvsnet"), "--size", "64x96"],
    ):
        assert main([*command, *own]) == 2
        assert "a function of your own that does not say that it takes it" in " ".join(capsys.readouterr().err.split())


def test_forms_of_no_stream_are_refused(capsys):
    for word in ("0", "²"):
        assert main(["measure", "speed", "--size", "64x96", "--forms", f"compact,{word}"]) == 2
        assert f"'{word}' of 'compact,{word}' is none of" in " ".join(capsys.readouterr().err.split())


def test_data_of_other_classes_are_refused(weights, tmp_path, capsys):
    data = [
        "--data",
        f"cityscapes:{tmp_path}:val",
        "--weights",
        weights,
        "--segmentation",
        f"{tmp_path / 'own.py'}:make",
    ]
    for command in (["segmentation"], ["ablations", "overlap"]):
        assert main(["measure", *command, *data]) == 1
        assert "its class 0 is 'sky', and there it is 'road'" in " ".join(capsys.readouterr().err.split())
