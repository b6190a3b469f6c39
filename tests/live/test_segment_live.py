"""`dvsnet segment` on cameras: several at once, none of which waits for another, and what it tells of them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
import urllib.request
from itertools import pairwise

import numpy as np
import pytest
from live_camera import Camera
from tiny_files import check_whole, clip, compile_once, weights, write_images, write_video  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.cli.segmenting import live
from dvsnet_jax.media.live import connection
from dvsnet_jax.media.live.tally import Tally
from dvsnet_jax.media.reading import opened

pytestmark = pytest.mark.usefixtures("compile_once")


@pytest.fixture
def cameras(monkeypatch):
    for module in (opened, connection):
        monkeypatch.setattr(module, "TIMEOUT", 300.0)  # what is not sent is held back by the test, not lost
    made = [Camera() for _ in range(4)]
    yield made
    for camera in made:
        camera.close()


@pytest.fixture
def told(monkeypatch):
    """What is told, by threads too."""
    lines = []
    monkeypatch.setattr(live, "tell", lines.append)
    return lines


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing came of it")


def meanwhile(action):
    """Runs beside the command; what it raises is raised by the function that is returned. Then the command is
    interrupted, since it waits for what the action was to bring."""
    failed = []

    def run():
        try:
            action()
        except BaseException as error:
            failed.append(error)
            traceback.print_exc()
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def joined():
        thread.join(60)
        assert not failed and not thread.is_alive(), failed

    return joined


def routes(folder):
    return [json.loads(line) for line in (folder / "routes.jsonl").read_text().splitlines()]


def test_of_four_cameras_one_stalls_and_the_others_lose_nothing(cameras, weights, tmp_path, told):  # noqa: F811
    out = tmp_path / "out"
    folders = [out / name for name in ("yard", "yard-2", "yard-3", "yard-4")]
    for camera in cameras[:3]:
        camera.show(*range(12))
    cameras[3].show(*range(4))

    def count(folder):
        return len(list((folder / "labels").glob("*.png")))

    def bring_back():
        wait_for(lambda: [count(folder) for folder in folders] == [12, 12, 12, 4])
        cameras[3].hang_up()
        cameras[3].show(*range(4, 12))

    finish = meanwhile(bring_back)
    urls = [camera.url for camera in cameras]
    options = ["--weights", weights, "--out", str(out), "--drop", "off", "--num-steps", "12"]
    assert main(["segment", *urls, *options]) == 0
    finish()
    for folder in folders:
        assert len(check_whole(folder)) == 12
        lines = routes(folder)
        assert [line["frame"] for line in lines] == list(range(12))
        assert all(line["live"]["dropped"] == 0 and line["live"]["lag"] >= 0 for line in lines)
        lost = [line["frame"] for line in lines if "gap" in line["live"]]
        assert lost == ([4] if folder == folders[3] else [])
    assert [line for line in told if "yard-4: the stream ended; trying again in 0.5 s" in line]
    assert [line for line in told if "yard-4: back after" in line]
    closing = [line for line in told if line.startswith("yard-4: ")]
    assert len(closing) == 1 and "12 segmented" in closing[0] and "connected again 1 times" in closing[0]


def test_two_cameras_have_one_budget(cameras, weights, tmp_path, told, monkeypatch):  # noqa: F811
    """All regions lose much in every frame, so that all of it is spent; the two come as they will."""
    parts = []
    monkeypatch.setattr("dvsnet_jax.inference.sharing.Part.close", lambda part: parts.append(part))
    for camera in cameras[:2]:
        camera.show(*range(20))
    urls = [camera.url for camera in cameras[:2]]
    options = ["--weights", weights, "--drop", "off", "--num-steps", "20", "--budget", "0.3", "--no-overlay"]
    assert main(["segment", *urls, *options, "--out", str(tmp_path / "out")]) == 0
    lines = [line for name in ("yard", "yard-2") for line in routes(tmp_path / "out" / name)]
    spent = sum(region["segmented"] for line in lines for region in line["regions"])
    assert len(lines) == 40 and abs(spent - 0.3 * 160) <= 12
    assert len(parts) == 2 and parts[0]._dealer is parts[1]._dealer
    options += ["--together", "off"]
    for camera in cameras[2:]:
        camera.show(*range(20))
    urls = [camera.url for camera in cameras[2:]]
    assert main(["segment", *urls, *options, "--out", str(tmp_path / "each")]) == 0
    assert len(parts) == 2


def test_when_too_slow_frames_are_left_out_and_counted(cameras, weights, tmp_path, told):  # noqa: F811
    camera = cameras[0]

    def send():
        wait_for(lambda: (tmp_path / "out" / "labels").exists())
        camera.show(*range(1, 25))

    camera.show(0)
    finish = meanwhile(send)
    assert main(["segment", camera.url, "--weights", weights, "--out", str(tmp_path / "out"), "--num-steps", "2"]) == 0
    finish()
    lines = routes(tmp_path / "out")
    assert len(lines) == 2 and lines[0]["frame"] == 0
    for before, after in pairwise(lines):
        assert after["frame"] - before["frame"] == after["live"]["dropped"] + 1
    (closing,) = [line for line in told if line.startswith("yard: ")]
    assert f"2 segmented ({closing.split('(')[1].split('/s')[0]}/s)" in closing and "dropped, lag" in closing


def shown(seen):
    """Whether the first frame is; the page is up before its source is on it."""
    return bool(seen["sources"]) and seen["sources"][0]["number"]


def test_the_page_shows_a_run(cameras, weights, tmp_path, told):  # noqa: F811
    camera, seen = cameras[0], {}

    def look():
        wait_for(lambda: [line for line in told if "shown at" in line])
        url = next(line for line in told if "shown at" in line).split(" at ")[1]
        camera.show(0)
        wait_for(lambda: seen.update(json.load(urllib.request.urlopen(url + "state"))) or shown(seen))
        with urllib.request.urlopen(url + "picture/0?wait=5") as answer:
            seen["picture"] = answer.read()
        # A client that asks for more and goes before it comes.
        gone = urllib.request.urlopen(url + "page.js")
        gone.close()
        camera.show(1)

    finish = meanwhile(look)
    options = ["--weights", weights, "--out", str(tmp_path / "out"), "--num-steps", "2", "--drop", "off"]
    assert main(["segment", camera.url, *options, "--serve", "0", "--no-overlay"]) == 0
    finish()
    source = seen["sources"][0]
    assert (source["name"], source["number"], source["segmented"]) == ("yard", 1, [True] * 4)
    assert source["scores"] == [None] * 4 and source["share"] == 1.0 and source["size"] == [64, 96]
    assert seen["picture"][:2] == b"\xff\xd8" and len(routes(tmp_path / "out")) == 2


def test_options_that_do_not_go_together(weights, tmp_path, capsys):  # noqa: F811
    video = str(write_video(tmp_path / "a.mp4", clip(3)))
    common = ["--weights", weights, "--out", str(tmp_path / "out")]
    assert main(["segment", video, *common, "--drop", "on"]) == 2
    assert "--drop on is for cameras and streams, and a is none" in capsys.readouterr().err
    assert main(["segment", "rtsp://127.0.0.1:1/x", *common, "--drop", "on", "--motion", "codec"]) == 2
    assert "--motion codec needs them all" in capsys.readouterr().err
    assert main(["segment", video, *common, "--serve", "here"]) == 1
    assert "--serve is 'here'; expected [HOST:]PORT" in capsys.readouterr().err
    assert main(["segment", video, *common, "--save", "masks"]) == 2


def test_further_files_by_name(weights, tmp_path):  # noqa: F811
    video = str(write_video(tmp_path / "a.mp4", clip(3)))
    common = ["--weights", weights, "--out", str(tmp_path / "out")]
    assert main(["segment", video, *common, "--save", "video", "regions", "--no-overlay", "--no-color"]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"dvsnet-files.jsonl", "labels", "routes.jsonl", "labels.mov", "regions.npz"}
    assert main(["segment", video, *common]) == 1
    assert main(["segment", video, *common, "--overwrite", "--save", "rle"]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "segments.jsonl" in names and not names & {"labels.mov", "regions.npz"}


def test_a_camera_beside_files_as_streams_and_all_of_it_resumed(cameras, weights, tmp_path, told, capsys):  # noqa: F811
    """Files neither wait for a camera nor it for them; the page and --save are there for both; --resume goes by all."""
    camera, seen, out = cameras[0], {}, tmp_path / "out"
    for name, frames in (("a", 3), ("b", 4)):
        write_images(tmp_path / name, clip(frames))
    inputs = [camera.url, str(tmp_path / "a"), str(tmp_path / "b")]
    words = ["segment", *inputs, "--weights", weights, "--out", str(out), "--num-steps", "4", "--no-overlay"]
    words += ["--drop", "off", "--save", "video", "rle", "regions"]

    def look():
        wait_for(lambda: (out / "b" / "regions.npz").exists() and (out / "a" / "regions.npz").exists())
        url = next(line for line in told if "shown at" in line).split(" at ")[1]
        seen.update(json.load(urllib.request.urlopen(url + "state")))
        camera.show(0, 1, 2, 3)

    finish = meanwhile(look)
    assert main([*words, "--streams", "2", "--serve", "0"]) == 0
    finish()
    shown = {source["name"]: source["number"] for source in seen["sources"]}
    assert shown == {"yard": 0, "a": 3, "b": 4}
    folders = [out / name for name in ("yard", "a", "b")]
    assert [len(check_whole(folder, overlay=False)) for folder in folders] == [4, 3, 4]
    for folder in folders:
        lines = (folder / "segments.jsonl").read_text().splitlines()
        with np.load(folder / "regions.npz") as arrays:
            assert len(lines) == len(arrays["age"]) == len(routes(folder)) and (folder / "labels.mov").exists()
    assert main(["segment", *inputs[1:], *words[4:], "--out", str(tmp_path / "one"), "--streams", "1"]) == 0
    for name in ("a/segments.jsonl", "b/segments.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    (out / "b" / "regions.npz").unlink()
    capsys.readouterr()
    assert main([*words, "--resume"]) == 0
    assert "2 of 3 inputs were done before" in capsys.readouterr().err and (out / "b" / "regions.npz").exists()
    assert [path for path in before if path.parts[-2] == "a" and path.stat().st_mtime_ns != before[path]] == []
    assert main([*words, "--resume", "--save", "rle"]) == 1
    assert "products was" in capsys.readouterr().err
    (out / "yard" / "segments.jsonl").unlink()
    assert main([*words, "--resume"]) == 1
    assert "yard: is a stream or camera, and what it showed" in capsys.readouterr().err


def test_a_line_a_minute(monkeypatch, told):
    tally = Tally()
    tally.enter("running")
    tally.add(came=10, dropped=4)
    tally.delivered(0.25)
    tally.delivered(0.75)
    with live.told_every_minute({"yard": tally}, every=0.01):
        wait_for(lambda: len(told) >= 2)
    assert told[1].startswith(
        "dvsnet: yard: running, 10 frames came, 2 segmented (0.0/s), 4 dropped, lag 0.75 s (mean 0.50"
    )
    assert "connected" not in told[1]
    count = len(told)
    with live.told_every_minute({}, every=0.001):
        time.sleep(0.02)
    assert len(told) == count and live.EVERY == 60
