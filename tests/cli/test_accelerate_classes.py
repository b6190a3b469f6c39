"""`dvsnet accelerate --classes cityscapes` around a PyTorch network of other classes, and all that is done with it."""

from __future__ import annotations

import json
from importlib.util import find_spec

import jax
import numpy as np
import pytest
from PIL import Image
from tiny import video

from dvsnet_jax import CarriedMotionConfig, DVSNetConfig, checkpoints, networks
from dvsnet_jax.cli import main
from dvsnet_jax.config import OwnSegmentationConfig
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.program import load_program

NAMES = ("wall", "sky", "ceiling", "car", "minibike, motorbike")
BECAME = (3, 10, 255, 13, 17)


@pytest.fixture(scope="module")
def ade(tmp_path_factory):
    """A SegFormer that sees ADE20K's classes, some of them, in Hugging Face's layout."""
    if not (find_spec("torchax") and find_spec("transformers")):
        pytest.skip("needs the extra torch")
    from dvsnet_jax.networks.pytorch.importing import environment

    environment()
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        hidden_sizes=[4, 4, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=8,
        id2label=dict(enumerate(NAMES)),
    )  # fmt: skip
    network = transformers.SegformerForSemanticSegmentation(config)
    torch.nn.init.normal_(network.decode_head.classifier.weight, std=5)
    place = tmp_path_factory.mktemp("ade") / "segformer"
    network.save_pretrained(place)
    (place / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    return place


def test_accelerated_around_other_classes_it_goes_through_every_command(ade, tmp_path, capsys):
    clip, labels = tmp_path / "clips" / "one", tmp_path / "labels" / "one"
    clip.mkdir(parents=True)
    labels.mkdir(parents=True)
    for index, frame in enumerate(video(10, height=96, width=96)):
        Image.fromarray(frame[0]).save(clip / f"{index}.png")
        Image.fromarray(np.full((96, 96), 10, np.uint8)).save(labels / f"{index}.png")
    run, weights = tmp_path / "run", str(tmp_path / "run" / "weights")
    command = ["accelerate", "--data", f"frames:{clip}", "--segmentation", ade, "--classes", "cityscapes", "--save-dir",
               run, "--steps", 2, "--batch-size", 2, "--crop", 96, 96, "--scale", 1, 1, "--pairs", 8, "--distances", 1,
               1, "--epochs", 2, "--keep", 0.2]  # fmt: skip
    assert main([str(word) for word in command]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "4 of 5 classes became 4 of Cityscapes' 19" in told and "void are ceiling" in told
    stored = checkpoints.load_config(weights).segmentation
    assert stored.merged == BECAME and stored.classes == CLASSES and stored.num_scores == 20
    params, config = checkpoints.load(weights)
    assert config.num_classes == 19 and config.num_scores == 20
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params["decision"]))

    segment = ["segment", str(clip), "--no-overlay", "--interval", "3"]
    assert main([*segment, "--weights", weights, "--out", str(tmp_path / "out")]) == 0
    seen = set(np.unique(np.asarray(Image.open(tmp_path / "out" / "labels" / "0.png"))))
    assert seen <= set(BECAME) and len(seen) > 1
    legend = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert legend[13] == {"id": 13, "name": "car", "color": [0, 0, 142]} and len(legend) == 19

    data = f"clips:{tmp_path / 'clips'}:{tmp_path / 'labels'}"
    evaluate = ["evaluate", data, "--weights", weights, "--interval", "3"]
    assert main([*evaluate, "--out", str(tmp_path / "evaluated"), "--every-frame"]) == 0
    found = json.loads((tmp_path / "evaluated" / "results.json").read_text())
    assert found

    program = str(tmp_path / "step.dvsnet")
    export = ["export", program, "--weights", weights, "--size", "96x96", "--platforms", "cpu", "--motion", "network"]
    assert main([*export, "--interval", "3"]) == 0
    assert [each["name"] for each in load_program(program).manifest["classes"]] == list(CLASSES)
    assert main([*segment[:3], "--program", program, "--out", str(tmp_path / "exported")]) == 0
    searched = [*segment, "--weights", weights, "--motion", "network", "--out", str(tmp_path / "searched")]
    assert main(searched) == 0
    for file in sorted((tmp_path / "searched" / "labels").iterdir()):
        assert file.read_bytes() == (tmp_path / "exported" / "labels" / file.name).read_bytes()


@pytest.mark.filterwarnings("default::dvsnet_jax.errors.DamagedInput")
def test_what_would_do_nothing_or_fail_at_the_end_is_told_before_the_work(tmp_path, capsys):
    (tmp_path / "clip").mkdir()
    for index, frame in enumerate(video(3, height=96, width=96)):
        Image.fromarray(frame[0]).save(tmp_path / "clip" / f"{index}.png")
    command = ["accelerate", "--data", f"frames:{tmp_path / 'clip'}", "--save-dir", str(tmp_path / "run")]
    for words, status, said in (
        (["--only", "clip"], 2, "--only chooses among the clips of --validate"),
        (["--keep", "0.9"], 1, "two frames in a row of a clip held out, but the longest of 1 has 1"),
    ):
        assert main([*command, *words]) == status
        assert said in " ".join(capsys.readouterr().err.split())
    held = tmp_path / "held"
    held.mkdir()
    for index, frame in enumerate(video(3, height=96, width=96)):
        Image.fromarray(frame[0]).save(held / f"{index}.png")
    (held / "1.png").write_bytes(b"")
    assert main([*command, "--keep", "0.9", "--validate", f"frames:{held}"]) == 1
    assert "but the longest of 1 has 1 that can be read" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
    config = DVSNetConfig.street(flow=CarriedMotionConfig())
    own = OwnSegmentationConfig(num_classes=19, source="mine.py:make")
    decision = jax.tree.map(lambda a: np.ones(a.shape, a.dtype), networks.abstract_params(config)["decision"])
    params = {"flow": {}, "decision": decision}
    checkpoints.save(tmp_path / "around", params, config.replace(segmentation=own))
    assert main([*command, "--restore-from", str(tmp_path / "around")]) == 2
    assert "name it too: --segmentation mine.py:make" in " ".join(capsys.readouterr().err.split())
