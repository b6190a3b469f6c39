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
    monkeypatch.setattr(checkpoints, "load_bundled", lambda: (tiny_params(), TINY))
    assert main(["demo", "--out", str(tmp_path / "demo"), "--frames", "4"]) == 0
    assert len(check_whole(tmp_path / "demo")) == 4
    assert probe_video(str(tmp_path / "demo" / "clip.mp4"))[0] == 4


@pytest.mark.slow
def test_the_demo_takes_both_routes(tmp_path):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "routes.jsonl").read_text().splitlines()]
    segmented = np.array([[region["segmented"] for region in line["regions"]] for line in lines])
    assert segmented.shape == (24, 4) and 0 < segmented[1:].sum() < segmented[1:].size
