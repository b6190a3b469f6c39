"""`dvsnet segment` on files as phones and cameras write them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_videos import TURNS, distance, encode, frames_of, mark, several
from tiny_files import check_whole, clip, compile_once, weights, write_images  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.media.images import read_labels

pytestmark = [pytest.mark.usefixtures("compile_once"), pytest.mark.filterwarnings("default:.*:UserWarning")]
FRAMES = clip(8, 64, 96)


def segment(path: Path, weights: str, out: Path, *options: str) -> list[dict]:  # noqa: F811
    """The lines of routes.jsonl."""
    assert main(["segment", str(path), "--weights", weights, "--out", str(out), *options]) == 0
    check_whole(out)
    return [json.loads(line) for line in (out / "routes.jsonl").read_text().splitlines()]


def test_a_phones_video(tmp_path, weights):  # noqa: F811
    """Stored on its side, of a variable rate."""
    pts = [3000 * i for i in range(4)] + [12000 + 45000 * i for i in range(4)]
    stored, matrix = TURNS["left"]
    path = encode(tmp_path / "a.mp4", [stored(f) for f in FRAMES], pts=pts, time_base=Fraction(1, 90000), crf=10)
    mark(path, matrix)
    lines = segment(path, weights, tmp_path / "out")
    assert [line["time"] for line in lines] == pytest.approx([each / 90000 for each in pts])
    overlay = frames_of(tmp_path / "out" / "overlay.mp4")
    assert [frame.time for frame in overlay] == pytest.approx([each / 90000 for each in pts], abs=0.0001)
    shown = overlay[5].image[:, :96]
    assert distance(shown, FRAMES[5]) < 0.5 * distance(shown, FRAMES[5, ::-1, ::-1])
    segment(path, weights, tmp_path / "as_stored", "--no-rotate", "--frame-rate", "10")
    assert read_labels(tmp_path / "as_stored" / "labels" / "frame_000000.png").shape == (96, 64)
    constant = frames_of(tmp_path / "as_stored" / "overlay.mp4")
    assert [frame.time for frame in constant] == pytest.approx([0.1 * i for i in range(8)])


def test_two_cameras_in_one_file(tmp_path, weights, capsys):  # noqa: F811
    path = several(tmp_path / "two.mp4", [FRAMES[:2], FRAMES[:2].swapaxes(1, 2)])
    segment(path, weights, tmp_path / "largest")
    assert "dvsnet: " in (told := capsys.readouterr().err) and "has 2 video streams (0: 96×64, 1: 64×96)" in told
    assert read_labels(tmp_path / "largest" / "labels" / "frame_000001.png").shape == (64, 96)
    segment(path, weights, tmp_path / "second", "--stream", "1")
    assert "video streams" not in capsys.readouterr().err
    assert read_labels(tmp_path / "second" / "labels" / "frame_000001.png").shape == (96, 64)


def test_dropped_frames_keep_their_numbers(tmp_path, weights, capsys):  # noqa: F811
    pts = [0, 1, 2, 5, 6]
    path = encode(
        tmp_path / "a.avi", FRAMES[:5], "mjpeg", pix_fmt="yuvj420p", pts=pts, time_base=Fraction(1, 20), rate=20
    )
    lines = segment(path, weights, tmp_path / "out")
    assert [line["frame"] for line in lines] == pts and lines[3]["name"] == "frame_000005"
    assert "has 2 frames without content" in capsys.readouterr().err
    times = [frame.time for frame in frames_of(tmp_path / "out" / "overlay.mp4")]
    assert times == pytest.approx([0.05 * each for each in pts])


def test_images_have_no_time(tmp_path, weights):  # noqa: F811
    write_images(tmp_path / "drive", FRAMES[:2])
    assert [line["time"] for line in segment(tmp_path / "drive", weights, tmp_path / "out")] == [None, None]


def test_a_video_that_names_no_matrix(tmp_path, weights, capsys):  # noqa: F811
    green = np.full((2, 64, 96, 3), (20, 200, 40), np.uint8)
    path = encode(tmp_path / "a.mp4", green, qp=1)  # by BT.601, as PyAV does
    for matrix, other in (("bt601", False), ("bt709", True)):
        segment(path, weights, tmp_path / matrix, "--matrix", matrix)
        shown = frames_of(tmp_path / matrix / "overlay.mp4")[0].image[:, :96]
        assert (distance(shown, green[0]) > 5) == other, matrix
    capsys.readouterr()
    arguments = ["segment", str(path), "--weights", weights, "--out", str(tmp_path / "bt709"), "--resume"]
    assert main(arguments) != 0 and "matrix" in capsys.readouterr().err
    assert main([*arguments, "--matrix", "bt709"]) == 0
