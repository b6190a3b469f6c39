"""RTSP cameras: times from the first frame on, user and password, and what is not there."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from loopback_rtsp import camera
from tiny_files import clip, compile_once, weights  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.live import connection
from dvsnet_jax.media.live.connection import Reconnect
from dvsnet_jax.media.live.source import LiveVideo
from dvsnet_jax.media.reading import opened
from dvsnet_jax.media.reading.continuity import continuous
from dvsnet_jax.media.sources import open_source

SOON = Reconnect(first=0.01, longest=0.05, give_up=20)


def frames_of(address, count):
    with closing(LiveVideo("cam", address, drop=False, reconnect=SOON).frames()) as frames:
        return list(islice(frames, count))


def test_the_first_frame_has_a_time_and_the_clock_of_the_camera_may_begin_anew():
    """FFmpeg gives the first without one; and 2³² ticks are over with the second."""
    with camera(clip(12)) as address:
        frames = frames_of(address, 8)
    times = [frame.time for frame in frames]
    assert None not in times and np.diff(times) == pytest.approx(0.05, abs=1e-4)


def test_times_go_on_by_the_clock_after_a_silence(monkeypatch):
    """FFmpeg gives the last frame before it when the silence is found out: that is not when it came."""
    for module in (opened, connection):
        monkeypatch.setattr(module, "TIMEOUT", 2.0)
    with camera(clip(24), stop_after=20) as address:
        frames = frames_of(address, 21)
    steps = np.diff([frame.time for frame in frames])
    assert frames[20].gap is not None and steps[:19] == pytest.approx(0.05, abs=1e-4)
    assert steps[19] > 2.0


def test_frames_without_times_and_errors_are_passed_on():
    packets = type("", (), {"frame_ticks": 9, "joined": False, "counts_empty": False})()
    for items, expected in (
        ([], []),
        ([(None, 1)], [(None, 1)]),
        ([(None, 1), (None, 2), (18, 3)], [(None, 1), (None, 2), (18, 3)]),
        ([(None, 1), (18, 2), (27, 3)], [(9, 1), (18, 2), (27, 3)]),
        ([(None, "ended"), (18, 2)], [(None, "ended"), (18, 2)]),
    ):
        assert list(continuous(iter(items), packets)) == expected


def test_a_password_is_used_and_written_nowhere(weights, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "out"
    with camera(clip(12), password="hu@sh") as address:
        host = address.removeprefix("rtsp://")
        words = [f"rtsp://admin:hu%40sh@{host}", "--weights", weights, "--out", str(out), "--num-steps", "3"]
        assert main(["segment", *words, "--drop", "off", "--serve", "0"]) == 0
        told = capsys.readouterr()
        assert json.loads((out / "routes.jsonl").read_text().splitlines()[0])["time"] is not None
        for given in ("rtsp://admin:wr%40ng", "rtsp://admin:wr@ng"):
            wrong = f"{given}@{host}"
            with pytest.raises(InputError, match=r"admin:….*401.*USER:PASSWORD") as raised:
                frames_of(wrong, 1)
            assert raised.value.__cause__ is None and "ng@" not in str(raised.value)
            with closing(open_source(wrong).frames()) as frames, pytest.raises(InputError, match=r"admin:….*401"):
                next(frames)
    assert "hu%40sh" not in told.out + told.err and "hu@sh" not in told.out + told.err
    for path in out.rglob("*"):
        assert not path.is_file() or b"hu%40sh" not in path.read_bytes()


def test_a_path_that_is_not_there():
    with camera(clip(2)) as address, pytest.raises(InputError, match=r"404 Not Found\); check the path"):
        frames_of(address.replace("/cam", "/other"), 1)
