"""`dvsnet accelerate`, `train`, `policies` and `measure`: what they list, what they take, how they fail.

What they compute is tested where the recipes are, which call the same.
"""

from __future__ import annotations

import dataclasses
import sys
from itertools import pairwise
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from tiny import TINY, tiny_params
from tiny_files import write_images

from dvsnet_jax import cli, config, export
from dvsnet_jax.cli.commands.accelerate import Accelerate
from dvsnet_jax.cli.commands.measure.feature_ablation import FeatureAblation, Layer
from dvsnet_jax.cli.commands.measure.portability import Portability
from dvsnet_jax.cli.commands.policies import ComparePolicies
from dvsnet_jax.cli.commands.train.decision import TrainDecision
from dvsnet_jax.cli.commands.train.flow_joint import FineTuneFlow
from dvsnet_jax.cli.commands.train.flow_pairs import FlowPairs
from dvsnet_jax.cli.commands.train.flow_supervised import TrainFlow
from dvsnet_jax.cli.commands.train.segmentation import TrainSegmentation
from dvsnet_jax.cli.run_options import RunOptions
from dvsnet_jax.cli.running import Family, _first_sentence
from dvsnet_jax.datasets.augment.flow import FlowAugmentation
from dvsnet_jax.evaluation.policies.simulation import POLICIES
from dvsnet_jax.training import warm_start
from dvsnet_jax.training.accelerate import Acceleration
from dvsnet_jax.training.decision.network import DecisionTraining
from dvsnet_jax.training.flow.joint import JointTraining
from dvsnet_jax.training.flow.joint_run import CROPS
from dvsnet_jax.training.flow.supervised import SCHEDULES, FlowTraining
from dvsnet_jax.training.loop import Schedule
from dvsnet_jax.training.segmentation import SegmentationTraining
from dvsnet_jax.training.warm_start import PRESETS


def commands(family: Family = cli.DVSNET, before: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """All commands by their words."""
    found: dict[tuple[str, ...], Any] = {}
    for name, command in family.commands.items():
        words = (*before, name)
        found |= commands(command, words) if isinstance(command, Family) else {words: command}
    return found


def defaults(options: Any) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(options)}


@pytest.mark.parametrize("words", [(), ("train",), ("measure",)], ids=lambda words: " ".join(words))
def test_help_has_a_line_for_each_command(words, capsys):
    assert cli.main([*words, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    family = cli.DVSNET
    for word in words:
        family = family.commands[word]
    for name, command in family.commands.items():
        said = command.summary if isinstance(command, Family) else _first_sentence(command.__doc__)
        assert f"• {name} {said}" in told
        assert len(said) <= 63, f"{name}: {said} is more than a line"


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_says_all_of_it_when_asked(words, capsys):
    assert cli.main([*words, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert " ".join(commands()[words].__doc__.split()) in told
    assert f"usage: dvsnet {' '.join(words)}" in told


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_what_is_said_of_an_option_fills_its_lines(words, capsys):
    """tyro by itself keeps a break before every indented line of a docstring."""
    assert cli.main([*words, "--help"]) == 0
    told = [line.replace("│", " ").rstrip() for line in capsys.readouterr().out.splitlines()]
    begins = next(line.index("show this help") for line in told if "show this help" in line)
    for line, after in pairwise(told):
        if all(each and not each[:begins].strip() for each in (line, after)):
            assert len(f"{line} {after.split()[0]}") > 78, f"{line}\n{after}"


@pytest.mark.parametrize(
    ("command", "settings", "differ"),
    [
        (TrainSegmentation, SegmentationTraining(), {"class_weights"}),
        (TrainFlow, FlowTraining(), set()),
        (TrainFlow, FlowAugmentation(), set()),
        (FineTuneFlow, JointTraining(), set()),
        (FineTuneFlow, CROPS, set()),
        (TrainDecision, DecisionTraining(), set()),
        (Accelerate, Acceleration().joint, set()),
        (Accelerate, Acceleration(), {"decision", "motion"}),
        (Accelerate, CROPS, set()),
        (RunOptions, Schedule(steps=1), set()),
        (FeatureAblation, config.DecisionConfig(), set()),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_options_begin_where_the_settings_do(command, settings, differ):
    """They are written twice, since a command must not import jax before it runs."""
    options = defaults(command)
    shared = {name for name in options if hasattr(settings, name)} - differ
    assert shared
    assert {name: options[name] for name in shared} == {name: getattr(settings, name) for name in shared}


def test_options_of_other_names_begin_where_the_settings_do():
    decision = DecisionTraining()
    assert defaults(TrainSegmentation)["loss_every"] == SegmentationTraining().every
    accelerate = defaults(Accelerate)
    assert (accelerate["epochs"], accelerate["decision_rate"]) == (decision.epochs, decision.learning_rate)
    assert defaults(FeatureAblation)["learning_rate"] == decision.learning_rate


def test_choices_are_what_there_is():
    def choices(command, name):
        return get_args(get_type_hints(command)[name])

    assert defaults(ComparePolicies)["policies"] == POLICIES
    assert get_args(choices(ComparePolicies, "policies")[0]) == POLICIES
    assert get_args(Layer) == defaults(FeatureAblation)["layers"] == config.FLOW_FEATURES
    for command in (TrainSegmentation, TrainFlow, FineTuneFlow):
        assert choices(command, "preset") == tuple(sorted(PRESETS))
    assert choices(TrainFlow, "schedule") == tuple(SCHEDULES)
    assert defaults(Portability)["platforms"] == ",".join(export.PLATFORMS)


def test_a_network_that_gives_nonsense_is_told_before_anything_is_trained(tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text(
        "from dvsnet_jax import SegmentationFunction\n\n"
        "def pixels(params, images):\n    return images[:, ::8, ::8]\n\n"
        "def make():\n    return SegmentationFunction(function=pixels, num_classes=19), {}\n"
    )
    call = ["accelerate", "--data", "street:1:1", "--segmentation", f"{own}:make", "--save-dir", str(tmp_path / "run")]
    assert cli.main(call) == 1
    told = capsys.readouterr().err
    assert f"dvsnet: --segmentation {own}:make: pixels returned (1, 36, 46, 3) for images (1, 288, 368, 3)" in told
    assert not (tmp_path / "run").exists()


def test_a_wrong_option_is_told_of_its_own_command(capsys):
    assert cli.main(["segment", "drive.mp4", "--weight", "w"]) == 2
    told = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "--weights PATH Checkpoint folder" in told and "run dvsnet segment --help" in told
    assert "measure" not in told and "accelerate" not in told


RUN = ["--save-dir", "run"]
FOLDERS = ["--data-dir", "a", "--data-list", "b"]
SUPERVISED = ["train", "flow-supervised", "--data", "street:1:1", *RUN]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["export", "x.dvsnet", "--size", "64x128", "--classes", "cityscapes"], 1, "is of a network of your own, but"),
        (["export", "x.safetensors", "--format", "safetensors", "--classes", "cityscapes"], 2, "leave out --classes"),
        (["train"], 2, "Expected one of {segmentation, class-offsets, flow-pairs, flow-supervised, flow-joint"),
        (["measure"], 2, "Expected one of {segmentation, labels, flow, motion, speed"),
        (["train", "segmentation"], 2, "Missing from dvsnet train segmentation: --save-dir"),
        (["train", "segmentation", *RUN], 2, "dvsnet: --data is missing; add it, such as --data folder:"),
        (["accelerate", *RUN], 2, "dvsnet: --data is missing; add it, such as --data video:drive.mp4"),
        (["accelerate", *RUN, "--data", "frames:gone"], 1, "dvsnet: gone: no such file or folder"),
        (["accelerate", *RUN, "--data", "frames:gone", "--crop", "64"], 2, "--crop'. Expected 2 values"),
        (["accelerate", *RUN, "--data", "frames:gone", "--scale", "1", "-1"], 2, "'-1' is not a finite number above 0"),
        (["accelerate", *RUN, "--data", "frames:gone", "--distances", "12", "1"], 2, "LEAST is not above MOST"),
        (["accelerate", *RUN, "--data", "frames:gone", "--distances", "-3", "1"], 2, "'-3' is not a whole number of 0"),
        (["accelerate", "--out", "run", "--weights", "gone", "--data", "x"], 1, "/gone: there is no such checkpoint"),
        (["evaluate", "frames:gone", "--save-dir", "/dev/null/run"], 1, "/dev/null/run"),
        (
            ["policies", "--data", "x", "--restore-from", "gone", "--protocol", "all"],
            1,
            "/gone: there is no such checkpoint",
        ),
        (["segment", "x.mp4", "--keep", "0.9", "--weights", "w", "--regions", "2x2"], 2, "leave out --regions"),
        (
            ["export", "x", "--size", "64x96", "--weights", "street-large", "--motion", "paper"],
            2,
            "or take street",
        ),
        (["accelerate", *RUN, "--data", "x", "--weights", "street-large", "--motion", "paper"], 2, "or take street"),
        (
            ["export", "x", "--size", "64x96", "--weights", "street", "--segmentation", "own.py:make"],
            2,
            "street has a segmentation network of its own; leave one out",
        ),
        (["segment", "x.mp4", "--program", "p", "--keep", "0.9"], 2, "leave out --weights, --segmentation, --classes"),
        (["export", "x", "--size", "64x96", "--weights", "street-huge"], 1, "street and street-large stand for"),
        (["measure", "portability", "--compile", "tpu:v5e", "--frames", "3"], 2, "--compile runs nothing"),
        (["segment", "x.mp4", "--together", "on", "--devices", "2"], 2, "--devices deals out the frames of one"),
        (["segment", "x.mp4", "--save", "scores", "--devices", "2"], 2, "--save scores wants scores, which --devices"),
        (["flow", "x.mp4", "--motion", "dis", "--out", "f.mp4", "--num-steps", "1"], 2, "--num-steps is 1, but"),
        (["accelerate", *RUN, "--data", "frames:gone", "--step", "3"], 2, "Perhaps you meant: --steps COUNT"),
        ([*SUPERVISED, "--steps", "1.5"], 2, "Error parsing --steps: '1.5' is not a whole number of 1 or more"),
        ([*SUPERVISED, "--validate-every", "0"], 2, "--validate-every: '0' is not a whole number of 1 or more"),
        ([*SUPERVISED, "--exponent", "inf"], 2, "Error parsing --exponent: 'inf' is not a finite number above 0"),
        ([*SUPERVISED, "--network", "FlowNetX"], 2, "FlowNetSD"),
        ([*SUPERVISED, "--crop", "64", "64"], 1, "dvsnet: --crop 64 64: expected 128 or more"),
        (
            ["train", "flow-pairs", "--data", "frames:x", *RUN, "--gaps"],
            2,
            "expected a whole number, one or more",
        ),
        (["train", "flow-pairs", "--data", "frames:x", *RUN, "--gaps", "-1"], 2, "expected gaps of 0 or more"),
        (["train", "decision", "--val-data-dir", "val", *RUN], 2, "--train-data-dir"),
        (["policies"], 2, "dvsnet: --data is missing; add it, such as --data camvid:ROOT:SPLIT"),
        (["policies", "--data", "camvid:gone:val"], 1, "gone"),
        (["policies", "camvid:gone:val"], 1, "gone"),
        (["policies", "x", "--data", "y"], 2, "dvsnet: data is named twice, by --data (y) and without (x); name all"),
        (["policies", "x", "y"], 2, "dvsnet: x y: policies are compared on one data set; name one"),
        (
            ["evaluate", "x", "--data", "y", "--data", "z"],
            2,
            "dvsnet: data is named twice, by --data (y z) and",
        ),
        (["policies", "--data", "x", "--policies", "luck"], 2, "luck"),
        (["policies", "--data", "x", "--regions", "0x1"], 2, "regions"),
        (["policies", "--data", "x", "--motion", "paper", "--fuse", "0.5"], 2, "--fuse 0.5 is for carried motion"),
        (["policies", "--data", "x", "--shares", "0.1", "much"], 2, "'much' is not a number above 0 and below 1"),
        (["policies", "--data", "x", "--shares", "20"], 2, "--shares: '20' is not a number above 0 and below 1"),
        (["policies", "--data", "x", "--report-share", "2"], 2, "--report-share: '2' is not a number from 0 to 1"),
        (["policies", "--data", "x", "--tolerance", "5"], 2, "--tolerance: '5' is not a number above 0 and below 1"),
        (
            ["measure", "ablations", "overlap", "--data", "x", "--shares", "1"],
            2,
            "'1' is not a number above 0 and",
        ),
        (["segment", "x.mp4", "--fuse", "50"], 2, "Error parsing --fuse: '50' is not a number from 0 to 1"),
        (["train", "segmentation", *RUN, "--average", "99.8"], 2, "--average: '99.8' is not a number from 0 to below"),
        (["train", "segmentation", *RUN, "--weight-decay", "nan"], 2, "'nan' is not a finite number of 0 or more"),
        (["train", "segmentation", *RUN, "--hard-share", "25"], 2, "'25' is not a number above 0 and at most 1"),
        (["train", "segmentation", *RUN, "--warmup", "-1"], 2, "--warmup: '-1' is not a whole number of 0 or more"),
        (["train", "flow-pairs", "--data", "frames:x", *RUN, "--share", "50"], 2, "'50' is not a number from 0 to 1"),
        (
            ["train", "decision", "--train-data-dir", "a", "--val-data-dir", "b", *RUN, "--decay", "99"],
            2,
            "--decay: '99' is not a number above 0 and at most 1",
        ),
        (
            ["train", "decision-data", *FOLDERS, "--restore-from", "c", *RUN, "--clip", "nan"],
            2,
            "--clip: 'nan' is not a number of at most 100",
        ),
        (["measure", "device-check", "--minutes", "nan"], 2, "--minutes: 'nan' is not a finite number above 0"),
        (["policies", "--data", "x", "--segmentation", "own.py:make"], 2, "--segmentation needs --weights"),
        (["policies", "--data", "x", "--json", "gone/x.jsonl"], 1, "gone/x.jsonl: there is no folder gone; make it"),
        (["measure", "speed", "--json", "gone/x.jsonl"], 1, "gone/x.jsonl: there is no folder gone; make it"),
        (["measure", "portability", "--json", "gone/x.jsonl"], 1, "gone/x.jsonl: there is no folder gone; make it"),
        (["measure", "flow"], 2, "dvsnet: nothing to measure on; name --pairs, --clips or both"),
        (["measure", "speed", "region"], 2, "dvsnet: region needs --peers"),
        (["measure", "speed", "--size", "64"], 2, "dvsnet: --size is '64'; expected two whole numbers"),
        (["measure", "step-trace", *RUN, "--size", "32x32"], 2, "dvsnet: --size 32x32 is too small"),
        (["measure", "portability", "--frames", "1"], 2, "dvsnet: --frames is 2 or more"),
        (["measure", "portability", "--precisions", "half"], 2, "dvsnet: --precisions is 'half'; it is float32"),
        (["measure", "portability", "--size", "64x64"], 2, "dvsnet: --size 64x64: overlap 32 is too large for 64×64"),
        (["measure", "portability", "--weights", "street-large"], 2, "weights are given motion with each frame, and"),
        (["measure", "speed", "--weights", "street-large", "--size", "64x64"], 2, "dvsnet: --size 64x64: overlap"),
        (["measure", "step-trace", *RUN, "--weights", "street", "--size", "64x64"], 2, "--size 64x64: overlap"),
        (["measure", "ablations", "--data", "x"], 2, "dvsnet: nothing to ablate; name overlap"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage(arguments, status, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == status
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert told in err
    assert not list(tmp_path.iterdir())


def test_a_command_does_what_its_recipe_does(tmp_path, capsys):
    write_images(tmp_path / "frames", np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8))
    call = ["--data", f"frames:{tmp_path / 'frames'}", "--gaps=0", "--save_dir", str(tmp_path / "pairs")]
    assert cli.main(["train", "flow-pairs", *call]) == 0
    assert "3 of 3 pairs" in capsys.readouterr().out
    assert len(list((tmp_path / "pairs").glob("*_flow.png"))) == 3


def test_interrupted_it_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt

    for command in (FlowPairs, ComparePolicies):
        monkeypatch.setattr(command, "run", interrupted)
    assert cli.main(["train", "flow-pairs", "--data", "frames:x", *RUN]) == 130
    assert capsys.readouterr().err == "dvsnet: interrupted; the same command goes on from what was saved\n"
    assert cli.main(["policies", "--data", "x"]) == 130
    assert capsys.readouterr().err == "dvsnet: interrupted; --json has what was measured until now\n"


@pytest.mark.parametrize(
    "command", [["accelerate", "--motion", "paper"], ["train", "flow-supervised"], ["train", "flow-joint"]]
)
def test_weights_without_a_flow_network_have_none_to_train(command, monkeypatch, capsys):
    carried = TINY.replace(flow=config.CarriedMotionConfig(), decision=config.LocalDecisionConfig())
    monkeypatch.setattr(warm_start, "restore", lambda path: ({}, carried))
    assert cli.main([*command, "--data", "street:1:1", *RUN, "--restore-from", "weights"]) == 1
    assert capsys.readouterr().err.startswith("dvsnet: weights: has no flow network to train")


def test_a_missing_extra_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("dvsnet_jax.checkpoints.load_bundled", lambda *_: (tiny_params(), TINY))
    monkeypatch.setitem(sys.modules, "grain.python", None)
    write_images(tmp_path / "frames", np.zeros((10, 64, 96, 3), np.uint8))
    call = ["--data", f"frames:{tmp_path / 'frames'}", "--save-dir", str(tmp_path / "run"), "--crop", "64", "96"]
    assert cli.main(["accelerate", *call]) == 1
    told = capsys.readouterr().err
    assert told.startswith("dvsnet: grain is not installed") and "pip install 'dvsnet-jax[train]'" in told
