"""`dvsnet demo`: a clip drawn by the program itself, through the whole path."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import TINY
from tiny_files import check_whole, compile_once  # noqa: F401

from dvsnet_jax import DVSNetConfig
from dvsnet_jax.cli import main
from dvsnet_jax.demo_clip import draw_clip
from dvsnet_jax.media.video_reader import probe_video

pytestmark = pytest.mark.usefixtures("compile_once")


def test_the_clip_moves_and_cuts_once():
    clip = draw_clip(12, 64, 128)
    assert clip.shape == (12, 64, 128, 3) and clip.dtype == np.uint8
    changes = np.abs(np.diff(clip.astype(int), axis=0)).mean((1, 2, 3))
    assert changes.argmax() == 8 and changes.max() > 1.3 * np.delete(changes, 8).max() and changes.min() > 1
    np.testing.assert_array_equal(clip, draw_clip(12, 64, 128))
    assert (clip != draw_clip(12, 64, 128, seed=1)).any()


@pytest.mark.parametrize("arguments", [(0,), (3, 32, 64)])
def test_clips_that_cannot_be_drawn(arguments):
    with pytest.raises(ValueError, match="at least 1 frame of 64×64"):
        draw_clip(*arguments)


def test_the_demo_says_that_its_weights_are_seeded(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(DVSNetConfig, "cityscapes", lambda **overrides: TINY.replace(**overrides))
    assert main(["demo", "--out", str(tmp_path / "demo"), "--frames", "4"]) == 0
    assert len(check_whole(tmp_path / "demo")) == 4
    assert probe_video(str(tmp_path / "demo" / "clip.mp4"))[0] == 4
    told = capsys.readouterr().err
    assert "No trained weights" in told and "SEEDED" in told and "mean nothing" in told


@pytest.mark.slow
def test_the_demo_takes_both_routes(tmp_path):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "routes.jsonl").read_text().splitlines()]
    segmented = np.array([[region["segmented"] for region in line["regions"]] for line in lines])
    assert segmented.shape == (24, 4) and 0 < segmented[1:].sum() < segmented[1:].size
