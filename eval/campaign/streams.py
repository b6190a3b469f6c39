"""Cameras that fall silent, and a worker that dies among several."""

from __future__ import annotations

import os
import queue
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from campaign.book import Book
from campaign.processes import Command
from campaign.reading import kept
from campaign.scene import Scene, Tell, differences, refused
from campaign.small_network import clip, save_weights

_HANG_UP = object()
FRAMES, BEFORE = 12, 4
"""Frames that each camera shows, and those before it falls silent."""


class Camera:
    """MJPEG over HTTP on the loopback; what is told while no client is there waits for the next."""

    def __init__(self) -> None:
        orders: queue.Queue[Any] = queue.Queue()
        self._orders = orders

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
                self.end_headers()
                while (order := orders.get()) is not _HANG_UP:
                    try:
                        self.wfile.write(order)
                        self.wfile.flush()
                    except OSError:
                        return

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/yard.cam"

    def show(self, images: np.ndarray) -> None:
        """Pictures, as fast as the client takes them."""
        from dvsnet_jax.media.encoded import jpeg_bytes

        for image in images:
            content = jpeg_bytes(image, quality=95)
            head = b"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(content)
            self._orders.put(head + content + b"\r\n")

    def waiting(self) -> int:
        """Pictures that nobody has taken yet."""
        return self._orders.qsize()

    def hang_up(self) -> None:
        """Ends the connection."""
        self._orders.put(_HANG_UP)

    def close(self) -> None:
        """For good."""
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()


def stalling(book: Book, scene: Scene, tell: Tell) -> None:
    """Two cameras of which one falls silent: it comes back, it stays away, it stays away and the run is told to end."""
    for name in ("comes back", "stays away", "stays away, interrupted"):
        if not book.has("streams", f"camera that {name}", 0):
            book.note("streams", f"camera that {name}", 0, _stall(scene, name))
            tell(f"a camera that {name}: tried")


def _stall(scene: Scene, name: str) -> dict[str, Any]:
    out, cameras = scene.folder / "cameras", (Camera(), Camera())
    shutil.rmtree(out, ignore_errors=True)
    weights, shown = str(save_weights(scene.folder / "weights")), clip(FRAMES)
    cameras[0].show(shown)
    cameras[1].show(shown[:BEFORE])
    words = ["segment", *(camera.url for camera in cameras), "--weights", weights, "--out", str(out), "--drop", "off",
             "--num-steps", str(FRAMES), "--reconnect", "120" if name == "comes back" else "5"]  # fmt: skip
    try:
        command = Command(words, scene.folder / "log.txt")
        if name == "comes back":
            until(lambda: count(out / "yard") == FRAMES and count(out / "yard-2") == BEFORE)
            cameras[1].hang_up()
            cameras[1].show(shown[BEFORE:])
        elif name.endswith("interrupted"):
            until(lambda: count(out / "yard") == FRAMES and count(out / "yard-2") == BEFORE)
            os.kill(command.process.pid, signal.SIGINT)
        ended = command.join()
    finally:
        for camera in cameras:
            camera.close()
    problems, wanted = ended.problems, {"yard": FRAMES, "yard-2": FRAMES if name == "comes back" else BEFORE}
    for place, frames in wanted.items():
        names, wrong = kept(out / place)
        problems += [f"{each} ({place})" for each in wrong]
        if len(names) != frames:
            problems.append(f"frames: {len(names)} of {frames} ({place})")
    status = {"comes back": 0, "stays away": 1}.get(name, 130)
    if ended.status != status:
        problems.append(f"other: status {ended.status}, expected {status}")
    return {"outcome": f"status {ended.status}", "problems": problems, "told": ended.told[-600:], "mib": None,
            "seconds": round(ended.seconds, 1)}  # fmt: skip


def dying_worker(book: Book, scene: Scene, seed: int, tell: Tell) -> None:
    """Of three workers one is killed at a random moment; the others end as if nothing were, and it goes on."""
    for number in range(5):
        if not book.has("workers", "worker that dies", number):
            book.note("workers", "worker that dies", number, _dying(scene, random.Random(f"{seed} worker {number}")))
    tell("workers: tried")


def _dying(scene: Scene, draw: random.Random) -> dict[str, Any]:
    expected, work = scene.undisturbed("segment")
    out = scene.folder / "workers"
    shutil.rmtree(out, ignore_errors=True)
    whole = scene.words("segment", out)
    words = [[*whole, "--worker", f"{index}/3"] for index in range(3)]
    logs = [scene.folder / f"log-{index}.txt" for index in range(3)]
    commands = [Command(each, log) for each, log in zip(words, logs, strict=True)]
    victim = draw.randrange(3)
    killed = commands[victim].kill(draw.uniform(0.1, 1.0) * work)
    problems = scene.half("segment", out)
    for index, command in enumerate(commands):
        ended = command.join() if index != victim else killed
        problems += ended.problems
        if index != victim and ended.status:
            problems.append(f"other: worker {index} ends with {ended.status} as worker {victim} dies")
    ended = Command(words[victim], logs[victim]).join()
    problems += ended.problems + (refused(ended, "") if ended.status else []) + differences("segment", out, expected)
    return {"outcome": "killed" if killed.status < 0 else "ended first", "problems": problems,
            "told": ended.told[-600:], "mib": None, "seconds": round(ended.seconds, 1)}  # fmt: skip


def count(folder: Path) -> int:
    """Lines of a folder's routes.jsonl."""
    return len((folder / "routes.jsonl").read_text().splitlines()) if (folder / "routes.jsonl").exists() else 0


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Waits until something holds, no longer than that."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
