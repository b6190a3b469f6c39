"""A run over hours, seen from outside: its memory, handles and threads, and whether its labels stay what they were."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from campaign.processes import Command
from campaign.small_network import clip, save_weights
from campaign.streams import Camera, count, until

LOOP = 24
"""Frames of the video that is looped: a multiple of the interval at which the policy segments."""
_WARM = 0.25  # of the time: what is loaded and grown until then does not count
_FLAT = 0.02


@dataclass(frozen=True)
class Sample:
    """Of one moment."""

    seconds: float
    mib: float
    handles: int
    threads: int


def soak(
    folder: Path, minutes: float, frames_a_second: float, silence: float, tell: Callable[[str], None]
) -> tuple[list[Sample], list[str]]:
    """Runs `dvsnet segment` on a looped video and a stream that falls silent again and again; samples of it, and what
    does not hold."""
    shutil.rmtree(folder, ignore_errors=True)
    folder = folder.absolute()
    weights, stop = str(save_weights(folder / "weights")), threading.Event()
    cameras = Camera(), Camera()
    threading.Thread(target=_loop, args=(cameras[0], frames_a_second, stop), daemon=True).start()
    threading.Thread(target=_stall, args=(cameras[1], frames_a_second, silence, stop), daemon=True).start()
    words = ["segment", *(camera.url for camera in cameras), "--weights", weights, "--out", str(folder / "out"),
             "--drop", "off"]  # fmt: skip
    command, samples = Command(words, folder / "log.txt"), []
    try:
        until(lambda: count(folder / "out" / "yard") > 2 * LOOP and count(folder / "out" / "yard-2") > 0, 600)
        began = time.monotonic()
        every = max(0.5, minutes * 60 / 400)
        while (gone := time.monotonic() - began) < minutes * 60 and command.process.is_alive():
            samples.append(_sample(command.process.pid, gone))
            if len(samples) % 40 == 0:
                tell(_line(samples[-1], count(folder / "out" / "yard")))
            time.sleep(every)
        frames = count(folder / "out" / "yard")
        os.kill(command.process.pid, signal.SIGINT)
    finally:
        ended = command.join()
        stop.set()
        for camera in cameras:
            camera.close()
    problems = ended.problems
    if ended.status != 130:
        problems.append(f"it ended with status {ended.status}: {ended.told.strip()[-300:]}")
    return samples, problems + steady(samples) + _labels_differ(folder, weights, frames)


def steady(samples: list[Sample]) -> list[str]:
    """What grew between the first and the last quarter of the time after the warm-up."""
    warm = samples[int(_WARM * len(samples)) :]
    quarter = max(1, len(warm) // 4)
    first, last = warm[:quarter], warm[-quarter:]
    before, after = (statistics.median(sample.mib for sample in part) for part in (first, last))
    problems = []
    if after > (1 + _FLAT) * before:
        problems.append(f"memory grew from {before:.0f} to {after:.0f} MiB")
    for name in ("handles", "threads"):
        most, now = (max(getattr(sample, name) for sample in part) for part in (warm[: 2 * quarter], last))
        if now > most:
            problems.append(f"{name} grew from {most} to {now}")
    return problems


def told(samples: list[Sample], frames: int, lost: int) -> str:
    """The figures, in a line."""
    warm = samples[int(_WARM * len(samples)) :]
    quarter = max(1, len(warm) // 4)
    parts = [statistics.median(sample.mib for sample in part) for part in (warm[:quarter], warm[-quarter:])]
    handles, threads = ({getattr(sample, name) for sample in warm} for name in ("handles", "threads"))
    return (
        f"{samples[-1].seconds / 60:.1f} minutes, {frames:,} frames, connected again {lost} times: memory "
        f"{parts[0]:.1f} MiB after the warm-up and {parts[1]:.1f} at the end ({parts[1] / parts[0] - 1:+.2%}), "
        f"{min(handles)} to {max(handles)} handles, {min(threads)} to {max(threads)} threads"
    )


def _labels_differ(folder: Path, weights: str, frames: int) -> list[str]:
    """The last whole round of the loop against the second of a fresh run."""
    camera, stop = Camera(), threading.Event()
    threading.Thread(target=_loop, args=(camera, 1000.0, stop), daemon=True).start()
    words = ["segment", camera.url, "--weights", weights, "--out", str(folder / "fresh"), "--drop", "off",
             "--num-steps", str(2 * LOOP)]  # fmt: skip
    try:
        ended = Command(words, folder / "log-fresh.txt").join()
    finally:
        stop.set()
        camera.close()
    if ended.status:
        return [f"the fresh run ended with status {ended.status}: {ended.told.strip()[-300:]}"]
    last = (frames // LOOP - 1) * LOOP
    wrong = [number for number in range(LOOP) if _labels(folder / "out" / "yard", last + number)
             != _labels(folder / "fresh", LOOP + number)]  # fmt: skip
    return [f"labels of {len(wrong)} of {LOOP} frames are not those of a fresh run"] if wrong else []


def _labels(folder: Path, number: int) -> bytes:
    return (folder / "labels" / f"frame_{number:06d}.png").read_bytes()


def _loop(camera: Camera, frames_a_second: float, stop: threading.Event) -> None:
    shown = clip(LOOP)
    while not stop.is_set():
        for image in shown:
            camera.show(image[None])
            if stop.wait(1 / frames_a_second):
                return
            while camera.waiting() > 8 and not stop.is_set():  # the other end is slower
                time.sleep(0.01)


def _stall(camera: Camera, frames_a_second: float, silence: float, stop: threading.Event) -> None:
    """Shows for a while, says nothing for a while, hangs up, and so on."""
    shown = clip(LOOP, seed=1)
    while not stop.is_set():
        for image in shown:
            camera.show(image[None])
            if stop.wait(1 / frames_a_second):
                return
        if stop.wait(silence):
            return
        camera.hang_up()


def _sample(process: int, seconds: float) -> Sample:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":" in line
    )
    handles = len(list(Path(f"/proc/{process}/fd").iterdir()))
    return Sample(seconds, int(status["VmRSS"].split()[0]) / 1024, handles, int(status["Threads"]))


def _line(sample: Sample, frames: int) -> str:
    return (
        f"{sample.seconds / 60:.1f} min: {frames} frames, {sample.mib:.1f} MiB, {sample.handles} handles, "
        f"{sample.threads} threads"
    )
