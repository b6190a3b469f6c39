"""The command, driven as from a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, tiny_params
from tiny_files import check_whole, clip, compile_once, weights, write_images, write_video  # noqa: F401

from dvsnet_jax import (
    AccumulatedLoss,
    Budget,
    DVSNetConfig,
    DynamicTarget,
    ExpectedConfidence,
    FixedInterval,
    FlowMagnitude,
    FrameDifference,
    FrameRate,
    checkpoints,
)
from dvsnet_jax.cli import main, screen
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.screen import tell_large
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.inference.delivery import Summary
from dvsnet_jax.media.images import read_image, read_labels
from dvsnet_jax.media.video_reader import probe_video
from dvsnet_jax.visualize import label_palette

pytestmark = pytest.mark.usefixtures("compile_once")


def python(*arguments: str, **options) -> subprocess.Popen:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_folder(tmp_path, weights, capsys):  # noqa: F811
    write_images(tmp_path / "drive", clip(6))
    assert main(["segment", str(tmp_path / "drive"), "--weights", weights, "--out", str(tmp_path / "out")]) == 0
    assert check_whole(tmp_path / "out") == [f"street_{index:03d}" for index in range(6)]
    table, told = capsys.readouterr()
    for heading in ("frames", "regions", "segmented", "with I/O", "without I/O", "drive", "compiling took"):
        assert heading in table
    assert f"written to {tmp_path / 'out'}" in told


def test_bfloat16_changes_few_labels(tmp_path, weights):  # noqa: F811
    write_images(tmp_path / "drive", clip(2))
    labels = []
    for precision in ("float32", "bfloat16"):
        out = tmp_path / precision
        call = ["segment", str(tmp_path / "drive"), "--weights", weights, "--interval", "1", "--out", str(out)]
        assert main([*call, "--precision", precision]) == 0
        labels.append(np.stack([read_labels(path) for path in sorted((out / "labels").iterdir())]))
    assert 0.9 < (labels[0] == labels[1]).mean() < 1


def test_a_video_keeps_its_frame_rate(tmp_path, weights):  # noqa: F811
    video = write_video(tmp_path / "drive.mp4", clip(6))
    assert main(["segment", str(video), "--weights", weights, "--out", str(tmp_path / "out")]) == 0
    assert check_whole(tmp_path / "out") == [f"frame_{index:06d}" for index in range(6)]
    assert probe_video(str(tmp_path / "out" / "overlay.mp4")) == (6, 20)


@pytest.mark.parametrize("line", ["--{}-{}", "--{}_{}"])
def test_the_originals_flags(tmp_path, weights, line):  # noqa: F811
    write_images(tmp_path / "data" / "left", clip(4))
    (tmp_path / "list.txt").write_text("".join(f"left/street_{index:03d}.png\n" for index in range(4)))

    def flag(first, second):
        return line.format(first, second)

    options = [flag("data", "dir"), f"{tmp_path / 'data'}/", flag("data", "list"), str(tmp_path / "list.txt")]
    options += [
        flag("restore", "from"),
        weights,
        flag("save", "dir"),
        f"{tmp_path / 'out'}/",
        flag("num", "steps"),
        "3",
    ]
    assert main(["segment", *options, "--overlap", "8", "--target", "51.5", "--dynamic"]) == 0
    assert len(check_whole(tmp_path / "out")) == 3
    lines = [json.loads(line) for line in (tmp_path / "out" / "routes.jsonl").read_text().splitlines()]
    targets = np.array([[region["target"] for region in line["regions"]] for line in lines])
    segmented = np.array([[region["segmented"] for region in line["regions"]] for line in lines])
    np.testing.assert_allclose(targets[:2], 51.5)
    np.testing.assert_allclose(targets[2] - targets[1], np.where(segmented[1], -1, 0.1), atol=1e-4)


def test_the_originals_palette_and_fewer_files(tmp_path, weights):  # noqa: F811
    write_images(tmp_path / "drive", clip(2))
    options = ["--weights", weights, "--palette", "original", "--no-overlay", "--no-routes"]
    assert main(["segment", str(tmp_path / "drive"), *options, "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["color", "dvsnet-files.jsonl", "labels"]
    labels = read_labels(tmp_path / "out" / "labels" / "street_001.png")
    colors = read_image(tmp_path / "out" / "color" / "street_001.png")
    np.testing.assert_array_equal(colors, label_palette(colors="original")[labels])


def test_several_inputs(tmp_path, weights, capsys):  # noqa: F811
    write_images(tmp_path / "a" / "drive", clip(2))
    write_images(tmp_path / "b" / "drive", clip(3))
    folders = [str(tmp_path / "a" / "drive"), str(tmp_path / "b" / "drive")]
    assert main(["segment", *folders, "--weights", weights, "--out", str(tmp_path / "out")]) == 0
    assert len(check_whole(tmp_path / "out" / "drive")) == 2
    assert len(check_whole(tmp_path / "out" / "drive-2")) == 3
    assert "drive-2" in capsys.readouterr().out


def test_the_originals_checkpoints(tmp_path, monkeypatch, capsys):
    """Imported for good, or on the fly; reading them is tested elsewhere."""
    asked = []

    def imported(path, *, decision_from=None):
        asked.append((path, decision_from))
        return tiny_params(), TINY

    monkeypatch.setattr(checkpoints, "is_tensorflow", lambda path: path == "model.ckpt-7")
    monkeypatch.setattr(checkpoints, "import_tensorflow", imported)
    assert main(["import", "model.ckpt-7", str(tmp_path / "ours"), "--decision-from", "decision.ckpt"]) == 0
    assert checkpoints.load(tmp_path / "ours")[1] == TINY and "num_classes=5" in capsys.readouterr().err
    write_images(tmp_path / "drive", clip(1))
    arguments = ["segment", str(tmp_path / "drive"), "--out", str(tmp_path / "out"), "--decision_from", "decision.ckpt"]
    assert main([*arguments, "--restore_from", "model.ckpt-7"]) == 0
    assert asked == [("model.ckpt-7", "decision.ckpt")] * 2 and len(check_whole(tmp_path / "out")) == 1
    assert main([*arguments, "--overwrite", "--weights", str(tmp_path / "ours")]) == 2
    assert "ours is no TensorFlow checkpoint" in capsys.readouterr().err


def test_settings_choose_the_policy():
    def policy(stored=None, **options):
        config = DVSNetConfig(policy=stored) if stored else DVSNetConfig()
        return Settings(**options).apply(config).policy

    assert policy() == ExpectedConfidence(90.0)
    assert policy(FixedInterval(7)) == FixedInterval(7)
    assert policy(target=80.0) == policy(policy="confidence", target=80.0) == ExpectedConfidence(80.0)
    assert policy(ExpectedConfidence(70.0), dynamic=True) == DynamicTarget(70.0)
    assert policy(DynamicTarget(70.0, fall=2.0), target=60.0) == DynamicTarget(60.0, fall=2.0)
    assert policy(dynamic=True, target=85.0) == policy(policy="dynamic", target=85.0) == DynamicTarget(85.0)
    assert policy(interval=5) == policy(policy="interval", interval=5) == FixedInterval(5)
    assert policy(policy="difference", threshold=9.0) == FrameDifference(9.0)
    assert policy(policy="flow", threshold=3.0) == policy(FlowMagnitude(1.0), threshold=3.0) == FlowMagnitude(3.0)
    assert policy(FixedInterval(7), policy="confidence") == ExpectedConfidence(90.0)
    assert policy(limit=12.0) == policy(policy="loss", limit=12.0) == AccumulatedLoss(12.0)
    assert policy(policy="loss") == AccumulatedLoss() and policy(AccumulatedLoss(9.0), policy="loss").limit == 9.0
    assert policy(AccumulatedLoss(9.0), target=80.0) == ExpectedConfidence(80.0)
    assert policy(budget=0.1) == policy(policy="budget", budget=0.1) == Budget(0.1, regions=4)
    assert policy(fps=25) == policy(policy="fps", fps=25.0) == FrameRate(25, regions=4)
    assert policy(fps=25, regions="2x3") == policy(FrameRate(25), regions="2x3") == FrameRate(25, regions=6)
    assert policy(budget=0.1, regions="2x3") == policy(Budget(0.1), regions="2x3") == Budget(0.1, regions=6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "flow"}, "add --threshold"),
        ({"policy": "interval"}, "add --interval"),
        ({"threshold": 3.0}, "add --policy difference or flow"),
        ({"policy": "flow", "threshold": 3.0, "target": 80.0}, "--target does not go with --policy flow"),
        ({"interval": 3, "target": 80.0}, "--target does not go with --policy interval"),
        ({"dynamic": True, "policy": "interval"}, "--dynamic and --policy interval contradict"),
        ({"limit": 5.0, "target": 80.0}, "--target does not go with --policy loss"),
        ({"limit": 5.0, "policy": "flow"}, "--limit and --policy flow contradict"),
        ({"limit": -1.0}, "0 or more"),
        ({"budget": 20.0}, "between 0 and 1"),
        ({"budget": 1.0}, "between 0 and 1, neither of them .* --interval 1, segments all"),
        ({"policy": "budget"}, "add --budget"),
        ({"policy": "fps"}, "add --fps"),
        ({"fps": 0.0}, "more than 0"),
        ({"fps": float("nan")}, "finite number"),
        ({"fps": 25.0, "budget": 0.2}, "--budget and --fps ask for different policies; leave all but one out"),
        ({"fps": 25.0, "limit": 9.0}, "--limit and --fps ask for different policies"),
        ({"fps": 25.0, "dynamic": True}, "--dynamic and --fps ask for different policies"),
        ({"fps": 25.0, "target": 80.0}, "--target does not go with --policy fps, whose number is --fps"),
        ({"fps": 25.0, "policy": "loss"}, "--fps and --policy loss contradict"),
        ({"target": float("nan")}, "finite number"),
        ({"target": float("inf")}, "finite number"),
        ({"target": 0.85}, "--target is 0.85, but it is percent: 1 to 100"),
        ({"dynamic": True, "target": 850.0}, "--target is 850, but it is percent: 1 to 100"),
        ({"policy": "difference", "threshold": -1.0}, "threshold is -1.0, .*: 0 or more"),
        ({"policy": "flow", "threshold": -1.0}, "threshold is -1.0, .*: 0 or more"),
        ({"interval": 0}, "1 or more"),
        ({"overlap": -1}, "0 or more"),
        ({"regions": "2"}, "--regions is '2'; expected two whole numbers"),
        ({"regions": "0x2"}, "at least 1"),
        ({"input_size": "32x64"}, "64×64"),
        ({"input_size": "720"}, "--input-size is '720'; .* such as 720x1280"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(UsageError, match=message) as caught:
        Settings(**options).apply(DVSNetConfig())
    assert "\n" not in str(caught.value)


def test_settings_override_the_rest():
    config = Settings(overlap=32, regions="1x3", input_size="256X512").apply(DVSNetConfig())
    assert (config.overlap, config.regions, config.input_size) == (32, (1, 3), (256, 512))


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "Expected one of {segment, evaluate"),
        (["segment"], 2, "dvsnet: nothing to segment; name a video"),
        (["segment", "x", "--no-such-flag"], 2, "--no-such-flag"),
        (["segment", ".", "--num-steps", "0"], 2, "--num-steps is 0"),
        (["segment", "x", "--target", "many"], 2, "many"),
        (["demo", "--frames", "0"], 2, "--frames is 0"),
        (["import", "nowhere/model.ckpt", "out"], 1, "dvsnet: nowhere/model.ckpt: "),
    ],
)
def test_wrong_usage(arguments, status, told, capsys):
    assert main(arguments) == status
    assert told in capsys.readouterr().err


def test_without_weights_the_bundled_ones_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (tiny_params(), TINY))
    write_images(tmp_path / "drive", clip(1))
    assert main(["segment", str(tmp_path / "drive"), "--out", str(tmp_path / "out")]) == 0
    assert len(check_whole(tmp_path / "out")) == 1


def test_frames_larger_than_the_bundled_weights_are_for_are_told(tmp_path, monkeypatch, capsys, weights):  # noqa: F811
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (tiny_params(), TINY))
    monkeypatch.setattr(screen, "_MOST_ROWS", 63)
    monkeypatch.setattr(screen, "_BEST_ROWS", 32)
    write_images(tmp_path / "drive", clip(2))
    for number, (more, told) in enumerate(
        (([], True), (["--input-size", "64x96"], False), (["--weights", weights], False))
    ):
        assert main(["segment", str(tmp_path / "drive"), "--out", str(tmp_path / str(number)), *map(str, more)]) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert ("dvsnet: drive: frames of 64×96 are larger" in said and "at --input-size 32x48 labels" in said) is told
    monkeypatch.undo()
    tell_large("drive", Summary(size=(720, 1280)))
    assert capsys.readouterr().err == ""
    tell_large("drive", Summary(size=(1080, 1920)))
    assert "--input-size 512x912" in capsys.readouterr().err


def test_help_names_every_flag(capsys):
    assert main(["segment", "--help"]) == 0
    told = capsys.readouterr().out
    flags = (
        "weights restore-from decision-from data-dir data-list save-dir out num-steps overlap target dynamic regions"
    )
    for flag in (*flags.split(), "input-size", "policy", "interval", "palette", "skip-unreadable", "frame-rate"):
        assert f"--{flag}" in told
    assert main(["--help"]) == 0


def test_unexpected_errors_are_one_line_too(tmp_path, weights, capsys, monkeypatch):  # noqa: F811
    write_images(tmp_path / "drive", clip(1))

    def broken(*_, **__):
        raise TypeError("no such thing\nsecond line")

    monkeypatch.setattr("dvsnet_jax.inference.segment_source.segment_source", broken)
    arguments = ["segment", str(tmp_path / "drive"), "--weights", weights, "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        "dvsnet: unexpected TypeError: no such thing; --debug shows where it came from\n"
    )
    with pytest.raises(TypeError):
        main([*arguments, "--debug"])


def test_the_module_runs(tmp_path):
    process = python("-m", "dvsnet_jax", "segment", str(tmp_path / "gone.mp4"))
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told == f"dvsnet: {tmp_path / 'gone.mp4'}: no such file or folder; check the path\n"


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_whole_files_and_a_playable_video(tmp_path, weights, number):  # noqa: F811
    write_images(tmp_path, clip(3))
    (tmp_path / "endless.txt").write_text("street_000.png\nstreet_001.png\nstreet_002.png\n" * 5_000)
    out = tmp_path / "out"
    options = ["--weights", weights, "--out", str(out)]
    process = python("-m", "dvsnet_jax", "segment", str(tmp_path / "endless.txt"), *options)
    deadline = time.monotonic() + 120
    while len(list((out / "labels").glob("*.png")) if out.exists() else []) < 8:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()  # else an endless run would be waited for
            pytest.fail(f"eight frames did not come: {process.communicate()}")
        time.sleep(0.02)
    process.send_signal(number)
    table, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; everything until here is written" in told and "Traceback" not in told
    names = check_whole(out)
    assert len(names) >= 8 and f"{len(names)}" in table
    assert [name[:6] for name in names] == [f"{index:06d}" for index in range(len(names))]
