"""train/flow.py and train/accelerate.py as commands: end to end, killed and resumed, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from recipes import TRAIN, recipe, varied_params
from tiny import TINY, video
from tiny_files import clip, write_images

from dvsnet_jax import AccumulatedLoss, LocalDecisionConfig, checkpoints
from dvsnet_jax.cli.commands.accelerate import Accelerate
from dvsnet_jax.datasets.augment import flow as flow_augmentation
from dvsnet_jax.datasets.clips import current_frames, unreadable
from dvsnet_jax.errors import DamagedInput, InputError
from dvsnet_jax.evaluation.policies.promise import limit_for, read_table
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.protocols import SegmentationFunction
from dvsnet_jax.training import accelerate as acceleration
from dvsnet_jax.training import loop
from dvsnet_jax.training.decision import example_files
from dvsnet_jax.training.flow import supervised_run

STREET = "street:4:1:128x128"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    checkpoints.save(folder, varied_params(), TINY)
    return folder


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    write_images(folder, video(12)[:, 0])
    return folder


def supervised(weights, save_dir, *more):
    return [str(word) for word in (
        "supervised", "--data", STREET, "--restore-from", weights, "--save-dir", save_dir, "--steps", 6, "--batch-size",
        2, "--crop", 128, 128, "--look-every", 1, "--save-every", 2, *more)]  # fmt: skip


def joint(weights, frames, save_dir, *more):
    return [str(word) for word in (
        "joint", "--data", f"frames:{frames}", "--restore-from", weights, "--save-dir", save_dir, "--steps", 6,
        "--batch-size", 2, "--crop", 64, 96, "--supervision", "own", "--look-every", 1, "--save-every", 2,
        *more)]  # fmt: skip


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_supervised_then_joint_change_the_flow_network_alone(weights, frames, tmp_path, capsys):
    assert recipe("flow")(supervised(weights, tmp_path / "a", "--validate", "street:2:9:128x128")) == 0
    assert "epe" in capsys.readouterr().out
    assert (
        recipe("flow")(joint(tmp_path / "a" / "weights", frames, tmp_path / "b", "--validate", f"frames:{frames}")) == 0
    )
    assert "warped_9" in (tmp_path / "b" / "metrics.jsonl").read_text()
    before = varied_params()
    for run in ("a", "b"):
        params, config = checkpoints.load(tmp_path / run / "weights")
        assert config == TINY
        same(params["segmentation"], before["segmentation"])
        same(params["decision"], before["decision"])
        assert not np.array_equal(params["flow"]["conv1"]["weights"], before["flow"]["conv1"]["weights"])
        before = params
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]


def test_zoom_jitter_and_weight_decay_reach_the_training(weights, tmp_path, monkeypatch):
    seen, given = set(), {}

    def augment(pair, rng, limits):
        seen.add(limits)
        return flow_augmentation.augment_flow(pair, rng, limits)

    def first_batch(folder, settings, start, step, data, *rest, **more):  # in the place of the steps, which take longer
        given.update(settings=settings, batch=next(data))
        raise InputError("enough seen")

    main = recipe("flow")
    monkeypatch.setattr(supervised_run, "augment_flow", augment)
    monkeypatch.setattr(loop, "run", first_batch)
    asked = ("--zoom", 0.5, 0.75, "--jitter", 3, "--weight-decay", 0)
    assert main(supervised(weights, tmp_path / "run", *asked)) == 1
    usual, (limits,) = flow_augmentation.FlowAugmentation(), seen
    assert limits.crop == given["batch"].valid.shape[1:] == (128, 128) and limits.zoom == (0.5, 0.75)
    for name in ("jitter_zoom", "jitter_rotation", "jitter_shift"):
        assert getattr(limits, name) == pytest.approx(3 * getattr(usual, name))
    assert limits.jitter_color == usual.jitter_color
    # What the run folder remembers, so that it refuses others.
    assert given["settings"]["augmentation"] == dataclasses.asdict(limits)
    assert given["settings"]["training"]["weight_decay"] == 0


@pytest.mark.parametrize(("asked", "precision"), [([], "float32"), (["auto"], "float32"), (["bfloat16"], "bfloat16")])
def test_bfloat16_is_for_those_who_ask_for_it_on_a_gpu_too(asked, precision, weights, tmp_path, monkeypatch):
    given = {}

    def begun(folder, settings, *rest, **more):
        given.update(settings["training"])
        raise InputError("enough seen")

    main = recipe("flow")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(loop, "run", begun)
    assert main(supervised(weights, tmp_path / "run", *(["--precision", *asked] if asked else []))) == 1
    assert given["precision"] == precision


@pytest.mark.parametrize("flag", ["--jitter", "--weight-decay"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_what_is_no_amount_is_refused(flag, value, weights, tmp_path, capsys):
    assert recipe("flow")(supervised(weights, tmp_path, flag, value)) == 2
    told = " ".join(capsys.readouterr().err.replace("│", "").split())
    assert f"Error parsing {flag}: '{value}' is not a finite number of 0 or more" in told


@pytest.mark.slow
def test_one_network_of_the_family_alone(tmp_path):
    words = ["supervised", "--data", STREET, "--network", "FlowNetS", "--width", "0.03125", "--save-dir", tmp_path,
             "--steps", 1, "--batch-size", 1, "--crop", 128, 128]  # fmt: skip
    assert recipe("flow")([str(word) for word in words]) == 0
    _, config = checkpoints.load_flow(tmp_path / "weights")
    assert config == FlowNet2Config(network="FlowNetS", width=0.03125)


def killed(words, save_dir, name):
    """Starts a recipe and kills it with SIGKILL once it has saved something past the start."""
    command = [sys.executable, TRAIN / f"{name}.py", *words]
    metrics, until = save_dir / "metrics.jsonl", time.monotonic() + 240
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        while time.monotonic() < until and run.poll() is None:
            if metrics.exists() and len(metrics.read_text().splitlines()) >= 3:
                run.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        _, told = run.communicate()
    assert run.returncode == -signal.SIGKILL, told.decode()
    assert not (save_dir / "weights").exists()


@pytest.mark.slow  # the loop is stage 1's, whose own kill is in the default run
@pytest.mark.parametrize("stage", ["supervised", "joint"])
def test_killed_and_resumed_ends_the_same(stage, weights, frames, tmp_path):
    def words(save_dir):
        if stage == "supervised":
            return supervised(weights, save_dir, "--steps", 40)
        return joint(weights, frames, save_dir, "--steps", 40)

    killed(words(tmp_path / "killed"), tmp_path / "killed", "flow")
    for run in ("killed", "whole"):
        assert recipe("flow")(words(tmp_path / run)) == 0
    a, b = (checkpoints.load(tmp_path / run / "weights")[0] for run in ("killed", "whole"))
    same(a, b)


def test_what_the_recipe_refuses(weights, frames, tmp_path, capsys):
    assert recipe("flow")(joint(weights, frames, tmp_path / "run", "--steps", 2)) == 0
    for words, says in (
        (joint(weights, frames, tmp_path / "run", "--steps", 2, "--seed", 5), "training: seed was 0 and is now 5"),
        (joint(weights, tmp_path / "nothing", tmp_path / "x"), "nothing"),
        (supervised(weights, tmp_path / "w", "--crop", 64, 64), "128 or more"),
        (supervised(weights, tmp_path / "v", "--zoom", 2, 1), "--zoom 2.0 1.0: expected LEAST first"),
        (joint(tmp_path / "no-weights", frames, tmp_path / "z"), "no-weights"),
    ):
        assert recipe("flow")(words) == 1, words
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1, words
    assert checkpoints.load(tmp_path / "run" / "weights")


def test_only_without_what_it_chooses_among_is_refused(frames, tmp_path, capsys):
    assert recipe("flow")(joint("w", frames, tmp_path / "run", "--only", "drive")) == 2
    assert "--only chooses among the clips of --validate" in " ".join(capsys.readouterr().err.split())


def test_a_run_goes_on_with_its_own_clips_and_what_it_is_validated_on(weights, frames, tmp_path, capsys, monkeypatch):
    """Of as many frames as before, too: what `best` was of other clips would stand, and the decision network's data."""

    def stops(folder=None, settings=None, *rest, **more):
        if settings is not None:
            loop.claim_together(folder, settings)
        raise InputError("all settings are those of before")

    monkeypatch.setattr(loop, "run", lambda folder, settings, *rest, **more: stops(folder, settings))
    monkeypatch.setattr(example_files, "_make_rest", lambda *arguments: stops())
    write_images(tmp_path / "other", video(12, seed=1)[:, 0])
    own, other = f"frames:{frames}", f"frames:{tmp_path / 'other'}"
    flow, fit = recipe("flow"), recipe("accelerate")
    a, b, c = (tmp_path / name for name in "abc")
    validated = joint(weights, frames, b, "--validate", own)
    only = [*validated, "--only", tmp_path.name, frames.name]
    fitted = accelerate(weights, frames, c, "--steps", 0)
    for main, words, says in (
        (flow, supervised(weights, a), "those of before"),
        (flow, supervised(weights, a, "--validate", STREET), f'validated on was null and is now ["{STREET}"]'),
        (flow, supervised(weights, a), "those of before"),
        (flow, validated, "those of before"),
        (flow, joint(weights, frames, b), "and is now null"),
        (flow, [str(word) for word in only], "only was [] and is now"),
        (fit, fitted, "those of before"),
        (fit, [word.replace(own, other) for word in fitted], "data was"),
        (fit, [*fitted, "--validate", other], "validated on was null and is now"),
        (fit, fitted, "those of before"),
    ):
        assert main(words) == 1, words
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1, (words, said)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(weights, frames, tmp_path, capsys):
    assert recipe("flow")(joint(weights, frames, tmp_path / "nan", "--learning-rate", "1e30")) == 1
    assert "expected a finite number" in capsys.readouterr().err


OWN = """
import jax
import jax.numpy as jnp
from dvsnet_jax import SegmentationFunction

def scores(params, images):
    small = images[:, ::8, ::8] / 255
    return small @ params["kernel"]

def make():
    network = SegmentationFunction(function=scores, num_classes=4)
    return network, {"kernel": jax.random.normal(jax.random.key(0), (3, 4))}
"""


def accelerate(weights, frames, save_dir, *more):
    return [str(word) for word in (
        "--data", f"frames:{frames}", "--restore-from", weights, "--save-dir", save_dir, "--steps", 4,
        "--batch-size", 2, "--crop", 64, 96, "--pairs", 8, "--epochs", 2, *more)]  # fmt: skip


def test_accelerate_without_labels_for_a_network_of_ours_and_one_of_the_users(weights, frames, tmp_path, capsys):
    assert recipe("accelerate")(accelerate(weights, frames, tmp_path / "ours", "--dropout", 0.25)) == 0
    assert json.loads((tmp_path / "ours" / "decision" / "settings.json").read_text())["dropout"] == 0.25
    out = capsys.readouterr().out
    assert "decision network" in out and "rank correlation" in out
    params, config = checkpoints.load(tmp_path / "ours" / "weights")
    assert config == TINY
    same(params["segmentation"], varied_params()["segmentation"])

    (tmp_path / "own.py").write_text(OWN)
    spec = f"{tmp_path / 'own.py'}:make"
    words = accelerate(weights, frames, tmp_path / "own", "--segmentation", spec, "--decision", "local")
    assert recipe("accelerate")(words) == 0
    # The same command again is the same run, though the file's function is another one by now.
    assert recipe("accelerate")([*words, "--keep", "0.01"]) == 0
    place = tmp_path / "own" / "weights"
    told = " ".join(capsys.readouterr().err.split())
    assert "too few to state a confidence" in told and "times fewer multiply-adds" in told
    limit = limit_for(read_table(place), 0.01)
    network = SegmentationFunction(function=lambda params, images: images[:, ::8, ::8] @ params, num_classes=4)
    params, config = checkpoints.load_accelerator(place, network, np.eye(3, 4))
    assert config.decision == LocalDecisionConfig() and limit and config.policy == AccumulatedLoss(limit.limit)
    assert config.segmentation is network and set(params) == {"segmentation", "flow", "decision"}
    with pytest.raises(InputError, match="4 classes"):
        checkpoints.load_accelerator(place, SegmentationFunction(function=network.function, num_classes=5), None)
    with pytest.raises(InputError, match=r"checkpoints\.load"):
        checkpoints.load_accelerator(tmp_path / "ours" / "weights", network, None)
    capsys.readouterr()
    assert recipe("accelerate")(accelerate(weights, frames, tmp_path / "x", "--segmentation", "missing.py:make")) == 1
    assert "missing.py: no such file; check the path" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "held"), [(3, 1), (4, 2), (5, 2), (9, 2), (10, 2), (11, 3)])
def test_accelerate_holds_a_fifth_of_a_clip_out_and_two_frames_where_it_can(count, held, tmp_path):
    write_images(tmp_path / "drive", clip(count))
    trained, validated = Accelerate(data=(f"frames:{tmp_path / 'drive'}",), save_dir=tmp_path / "run")._clips(19)
    assert [len(each) for each in (*trained, *validated)] == [count - held, held]


def test_accelerate_holds_out_a_fifth_of_the_frames_that_can_be_read(tmp_path):
    """Its last fifth was all that could not be, and training ended where it was first asked for."""
    write_images(tmp_path / "drive", clip(10))
    for number in range(8, 10):
        sorted((tmp_path / "drive").iterdir())[number].write_bytes(b"")
    with pytest.warns(DamagedInput, match="2 of its 10 frames cannot be read"):
        [trained], [held] = Accelerate(data=(f"frames:{tmp_path / 'drive'}",), save_dir=tmp_path / "run")._clips(19)
    assert (len(trained), len(held), [*unreadable(held)]) == (6, 4, [2, 3])
    assert list(current_frames(held, (1, 1))) == [0, 1]


@pytest.mark.filterwarnings("default::dvsnet_jax.errors.DamagedInput")
def test_what_is_held_out_is_of_the_settings_where_frames_cannot_be_read(weights, tmp_path, monkeypatch):
    """Two versions cut such a clip in different places, and a run that one began the other went on with."""
    told = []

    def stops(*given, described, **more):
        told.append(described)
        raise InputError("stopped")

    monkeypatch.setattr(acceleration, "accelerate", stops)
    write_images(tmp_path / "drive", clip(10))
    words = accelerate(weights, tmp_path / "drive", tmp_path / "run")
    assert recipe("accelerate")(words) == 1
    for number in (3, 8):
        sorted((tmp_path / "drive").iterdir())[number].write_bytes(b"")
    assert recipe("accelerate")(words) == 1
    assert told[1] == {**told[0], "held out from": {"clip 0": "frame 7 of 10, 2 not readable"}}


def test_accelerate_of_no_steps_trains_the_decision_network_alone(weights, frames, tmp_path, capsys):
    words = accelerate(weights, frames, tmp_path / "run", "--steps", 0)
    assert recipe("accelerate")(words) == 0
    assert "stage: flow" not in capsys.readouterr().out and not (tmp_path / "run" / "flow").exists()
    params, _ = checkpoints.load(tmp_path / "run" / "weights")
    before = varied_params()
    same(params["flow"], before["flow"])
    with pytest.raises(AssertionError):
        same(params["decision"], before["decision"])


def test_labels_that_are_to_supervise_must_be_there(weights, frames, tmp_path, capsys, monkeypatch):
    words = accelerate(weights, frames, tmp_path / "run", "--supervision", "labels")
    main = recipe("accelerate")
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "has a label, and labels are to supervise; name clips" in told and told.count("\n") == 1

    def stops(params, config, clips, held_out, folder, options, **more):
        raise InputError(f"by {options.joint.supervision}")

    monkeypatch.setattr(acceleration, "accelerate", stops)
    words[words.index("--data") + 1] = "street:2:1:96x128"
    assert main(words) == 1 and "by labels" in capsys.readouterr().err


@pytest.mark.slow
def test_accelerate_goes_on_where_it_was_killed(weights, frames, tmp_path):
    words = accelerate(weights, frames, tmp_path / "killed", "--steps", 30, "--save-every", 2, "--look-every", 1)
    killed(words, tmp_path / "killed" / "flow", "accelerate")
    for run in ("killed", "whole"):
        words[words.index("--save-dir") + 1] = str(tmp_path / run)
        assert recipe("accelerate")(words) == 0
    a, b = (checkpoints.load(tmp_path / run / "weights")[0] for run in ("killed", "whole"))
    same(a, b)
