"""Cameras of `gstreamer_server.py` in the situations of `rtsp.py`, and what became of their frames."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

PASSWORD = "hush-hush"
SITUATIONS: dict[str, tuple[dict[str, str], list[str]]] = {
    "as most cameras": ({}, []),
    "B frames": ({"bf": "2"}, []),
    "a key frame in 12 s, begun in between": ({"g": "60"}, ["--start", "40"]),
    "UDP alone": ({}, ["--transport", "udp"]),
    "TCP alone": ({}, ["--transport", "tcp"]),
    "a sound track first": ({}, ["--audio"]),
    "no parameter sets until the second key frame": ({}, ["--late-sets"]),
    "times that begin anew within": ({}, ["--offset", "4294900000"]),
    "user and password by digest": ({}, ["--password", PASSWORD]),
    "a farewell after 15 frames": ({}, ["--frames", "15"]),
}
"""For each the encoder's options and the server's."""


class Seen(NamedTuple):
    first: float
    """Seconds from the first frame sent to the first picture."""
    frames: int
    times: str
    """What is wrong with the frames' times: "" where each is one frame time after the one before."""
    lost: int
    """How often the connection was lost."""


def encode(path: Path, images: np.ndarray, fps: int, options: dict[str, str]) -> Path:
    """H.264 of a picture each, as the server takes it."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width, encoder.pix_fmt = *images.shape[1:3], "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    encoder.options = {"preset": "veryfast", "g": "10", "bf": "0", "x264-params": "repeat-headers=1"} | options
    packets = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [(packet.pts, packet.is_keyframe, bytes(packet).hex()) for packet in packets]
    path.write_text(json.dumps({"fps": fps, "frames": frames}))
    return path


class Camera:
    """One server in a process of its own, by the system's Python."""

    def __init__(self, shown: Path, *words: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        self._words = ["/usr/bin/python3", str(Path(__file__).with_name("gstreamer_server.py")), str(shown), self.port]
        self._words += words
        user = f"admin:{PASSWORD}@" if "--password" in words else ""
        self.url = f"rtsp://{user}127.0.0.1:{self.port}/cam"
        self.begun: list[float] = []
        """When each of its streams began."""
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith("listening"):
            raise SystemExit("no RTSP server; it needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi, "
                             "gstreamer1.0-plugins-good and -bad")  # fmt: skip
        threading.Thread(target=self._listen, args=[self._process.stdout], daemon=True).start()

    def stall(self, seconds: float) -> None:
        """Sends nothing for so long, and keeps the connection."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"stall {seconds}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self, lines: Any) -> None:
        for line in lines:
            self.begun.append(float(line.split()[1]))


def look(shown: Path, fps: int, count: int, words: list[str]) -> Seen:
    """So many frames of a camera, as `dvsnet segment --drop off` gets them."""
    from dvsnet_jax.media.live.source import LiveVideo

    camera, times, shown_at = Camera(shown, *words), [], 0.0
    source = LiveVideo("cam", camera.url, drop=False)
    try:
        with closing(source.frames()) as frames:
            for frame in islice(frames, count):
                shown_at = shown_at or time.time()
                times.append((frame.time, getattr(frame, "gap", None)))
    finally:
        camera.kill()
    steps = [later[0] - time for (time, _), later in pairwise(times) if later[1] is None]
    wrong = sum(abs(step - 1 / fps) > 1e-3 for step in steps)
    return Seen(
        shown_at - camera.begun[0],
        len(times),
        f"{wrong} of {len(steps)}" if wrong else "",
        source.tally.now.reconnected,
    )


def four(shown: Path, fps: int, out: Path, weights: Path, what: str, seconds: float) -> list[str]:
    """Rows of a table: four cameras in one `dvsnet segment`, the second of which is silent for 15 s, or is killed and
    is there again after 5."""
    cameras = [Camera(shown, "--password", PASSWORD) for _ in range(4)]
    words = ["segment", *(camera.url for camera in cameras), "--weights", str(weights), "--out", str(out)]
    names = ["cam", "cam-2", "cam-3", "cam-4"]
    log = out.with_suffix(".txt")
    with log.open("w") as file:
        run = subprocess.Popen([sys.executable, "-m", "dvsnet_jax", *words, "--no-color"], stderr=file, stdout=file)
        while run.poll() is None and min(len(rows(out / name)) for name in names) < 5:
            time.sleep(0.2)
        time.sleep(5)
        if what == "silent":
            cameras[1].stall(15)
        else:
            cameras[1].kill()
            time.sleep(5)
            cameras[1].start()
        time.sleep(seconds)
        run.send_signal(signal.SIGINT)
        run.wait()
    for camera in cameras:
        camera.kill()
    if PASSWORD in log.read_text() or any(PASSWORD.encode() in p.read_bytes() for p in out.rglob("*") if p.is_file()):
        raise SystemExit(f"the password is in {log} or below {out}")
    return [f"| {what} | {name} | {_told(rows(out / name)[4:], fps)} |" for name in names]


def rows(folder: Path) -> list[dict[str, Any]]:
    """What routes.jsonl has so far."""
    path = folder / "routes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _told(lines: list[dict[str, Any]], fps: int) -> str:
    lags, dropped = [line["live"]["lag"] for line in lines], sum(line["live"]["dropped"] for line in lines[1:])
    never = 0  # frames whose time passed and which did not come
    for before, line in pairwise(lines):
        if "gap" not in line["live"]:
            never += round((line["time"] - before["time"]) * fps) - (line["frame"] - before["frame"])
    gaps = ", ".join(f"{line['live']['gap']:.1f}" for line in lines if "gap" in line["live"])
    return f"{len(lines)} | {never} | {dropped} | {np.median(lags):.2f} | {max(lags):.2f} | {gaps or '–'}"
