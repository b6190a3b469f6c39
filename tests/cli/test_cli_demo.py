"""`dvsnet demo`: a clip drawn by the program itself, through the whole path."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import TINY, tiny_params
from tiny_files import check_whole, compile_once  # noqa: F401

from dvsnet_jax import checkpoints
from dvsnet_jax.cli import main
from dvsnet_jax.media.video_reader import probe_video

pytestmark = pytest.mark.usefixtures("compile_once")


def test_the_demo_segments_a_drawn_street_with_the_bundled_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (tiny_params(), TINY))
    assert main(["demo", "--out", str(tmp_path / "demo"), "--frames", "4"]) == 0
    assert len(check_whole(tmp_path / "demo")) == 4
    assert probe_video(str(tmp_path / "demo" / "clip.mp4"))[0] == 4


def test_the_demo_runs_twice_and_leaves_others_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (tiny_params(), TINY))
    demo = ["demo", "--out", str(tmp_path / "demo"), "--frames"]
    assert main([*demo, "3"]) == 0 and main([*demo, "2"]) == 0
    assert len(check_whole(tmp_path / "demo")) == 2
    clip = str(tmp_path / "demo" / "clip.mp4")
    assert main(["segment", clip, "--out", str(tmp_path / "demo")]) == 1
    assert main(["segment", clip, "--out", str(tmp_path / "demo"), "--overwrite"]) == 1
    assert main(["segment", clip, "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    assert main(["demo", "--out", str(tmp_path / "out")]) == 1
    assert "earlier run of dvsnet segment" in capsys.readouterr().err
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "clip.mp4").write_text("mine")
    assert main(["demo", "--out", str(tmp_path / "own"), "--overwrite"]) == 1
    assert (tmp_path / "own" / "clip.mp4").read_text() == "mine"


@pytest.mark.slow
def test_the_demo_takes_both_routes(tmp_path):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "routes.jsonl").read_text().splitlines()]
    segmented = np.array([[region["segmented"] for region in line["regions"]] for line in lines])
    assert segmented.shape == (24, 4) and 0 < segmented[1:].sum() < segmented[1:].size
