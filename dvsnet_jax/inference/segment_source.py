"""From a source of frames to an output folder, with reading, the device and writing at work at the same time.

Threads read ahead (`dvsnet_jax.media`); the caller's thread hands frames to the device, which works asynchronously;
one thread waits for results; others encode PNGs and the overlay video. Everything between them is bounded, so that the
slowest sets the pace, and in order.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from os import cpu_count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Bool, UInt8

from dvsnet_jax import visualize
from dvsnet_jax.errors import InputError, do_all
from dvsnet_jax.frame_result import FrameResult
from dvsnet_jax.inference.pacing import Pace, Pacer
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import Frame, Source
from dvsnet_jax.policies import FrameRate

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.networks import Params, Precision
    from dvsnet_jax.video import VideoState

_IN_FLIGHT = 4  # frames handed to the device whose files are not yet written
_ENCODERS = min(4, cpu_count() or 1)


@dataclass
class Summary:
    """What became of a source."""

    frames: int = 0
    """Frames segmented and written."""
    regions: int = 0
    """Their regions, all together."""
    segmented: int = 0
    """Of those, how many took the segmentation path; the others were warped."""
    untrusted: int = 0
    """Frames of which a region could not be trusted (`FrameResult.untrusted`): a network gave what is no number."""
    skipped: list[str] = field(default_factory=list)
    """What was wrong with each frame that was passed over."""
    compile_seconds: float = 0.0
    seconds: float = 0.0
    """From the first frame read to the last file written, without compiling."""
    device_seconds: float = 0.0
    """The part of them in which the device had a frame to work on."""
    interrupted: bool = False
    """Whether `stop` ended it early."""
    pace: Pace | None = None
    """What became of the frame rate asked for, where the policy is `FrameRate`."""


class FrameStep(Protocol):
    """What segments the frames of one size after another: a `Segmenter`, or an exported program."""

    @property
    def params(self) -> Any:
        """What the step is called with."""

    @property
    def regions(self) -> tuple[int, int]:
        """Rows and columns of regions."""

    @property
    def num_classes(self) -> int: ...

    @property
    def frame_rate(self) -> FrameRate | None:
        """The policy, where it is one that must be steered by the time that frames take."""

    def start(self, height: int, width: int) -> tuple[Any, Callable[..., tuple[Any, FrameResult]]]:
        """The state before the first frame of one stream, and the step `(params, state, frames) → (state, result)`.

        Raises ValueError for a size that it cannot take.
        """


class Segmenter:
    """Parameters with their configuration, and the compiled frame step for every frame size met so far.

    `params` are as trained or loaded; they are prepared for inference here (`networks.prepare`, with `precision`), and
    `self.params` is what the step takes.
    """

    def __init__(self, params: Params, config: DVSNetConfig, *, precision: Precision = "float32") -> None:
        from dvsnet_jax.networks import prepare  # here: an exported program runs without the networks

        self.params = prepare(params, config, precision=precision)
        self.config = config
        self._compiled: dict[tuple[int, int], Any] = {}

    @property
    def regions(self) -> tuple[int, int]:
        return self.config.regions

    @property
    def num_classes(self) -> int:
        return self.config.num_classes

    @property
    def frame_rate(self) -> FrameRate | None:
        return self.config.policy if isinstance(self.config.policy, FrameRate) else None

    def start(self, height: int, width: int) -> tuple[VideoState, Callable[..., tuple[VideoState, FrameResult]]]:
        """The state before the first frame of one stream, and the step `(params, state, frames) → (state, result)`.

        Raises ValueError for an overlap or a size that the configuration cannot take.
        """
        from dvsnet_jax.video import init_state, segment_frame  # here for the same reason

        frames = jax.ShapeDtypeStruct((1, height, width, 3), np.uint8)
        state = init_state(self.params, frames, config=self.config)
        if (height, width) not in self._compiled:
            lowered = segment_frame.lower(self.params, state, frames, config=self.config)
            self._compiled[height, width] = lowered.compile()
        return state, partial(self._compiled[height, width], config=self.config)


def segment_source(
    source: Source,
    segmenter: FrameStep,
    output: OutputFolder,
    *,
    skip_unreadable: bool = False,
    num_frames: int | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[str, int], None] = lambda stage, frames: None,
) -> Summary:
    """Segments every frame of `source`, in order, into `output`, which is closed at the end.

    Args:
      skip_unreadable: pass over frames that cannot be read or are of another size than the first, and list them in
        the summary. Else the first of them ends the run.
      num_frames: stop after so many frames of the source.
      stop: set it (from a signal handler, say) to end early but in good order: what is on its way is written.
      on_progress: called with "compiling" or "segmenting" and the number of frames taken so far.

    Raises `InputError`, naming the file, for an unreadable frame, a source without frames, an overlap that its frames
    cannot take, or a file that cannot be written; an ExceptionGroup where several of these came together. Whatever is
    raised, KeyboardInterrupt included, all files written until then are whole, and video and routes.jsonl are in place.
    """
    summary = Summary()
    started = time.perf_counter()
    pacer = Pacer(segmenter.frame_rate) if segmenter.frame_rate else None
    delivery = _Delivery(segmenter.regions, output, summary, pacer)

    def run() -> None:
        state: Any = None
        size: tuple[int, ...] = ()
        with closing(source.frames()) as frames:  # type: ignore[type-var]
            for taken, frame in enumerate(islice(frames, num_frames)):
                if stop is not None and stop.is_set():
                    summary.interrupted = True
                    break
                if problem := _problem(frame, size):
                    if not skip_unreadable:
                        raise InputError(_advice(problem, summary.frames + len(delivery))) from frame.error
                    summary.skipped.append(problem)
                    continue
                image: Any = frame.image
                if state is None:
                    on_progress("compiling", taken)
                    size, state, step = image.shape[:2], *_start(segmenter, frame, summary)
                if pacer is not None:
                    state = pacer.steer(state)
                dispatched = time.perf_counter()
                state, result = step(segmenter.params, state, image[None])
                delivery.take(frame, result, dispatched)
                on_progress("segmenting", taken + 1)
        if state is None and not summary.interrupted:
            problems = f": {summary.skipped[0]}" if summary.skipped else ""
            raise InputError(f"{source.name}: has no frame that can be read{problems}; check the input")

    try:
        do_all(source.name, run, delivery.drain, delivery.close, output.close)
    finally:
        summary.seconds = time.perf_counter() - started - summary.compile_seconds
        summary.pace = pacer.pace() if pacer is not None else None
    return summary


def _problem(frame: Frame, size: tuple[int, ...]) -> str | None:
    """What is wrong with a frame, one line that begins with its file; None if nothing is."""
    if frame.image is None:
        return str(frame.error)
    height, width = frame.image.shape[:2]
    if size and (height, width) != size:
        return f"{frame.where}: is {height}×{width}, but the frames before it are {size[0]}×{size[1]}"
    return None


def _advice(problem: str, before: int) -> str:
    written = f"frames written before it: {before}; " if before else ""
    return f"{problem}; {written}mend or remove it, or pass --skip-unreadable to go on past it"


def _start(segmenter: FrameStep, frame: Frame, summary: Summary) -> tuple[Any, Callable[..., Any]]:
    assert frame.image is not None
    started = time.perf_counter()
    try:
        state, step = segmenter.start(*frame.image.shape[:2])
    except ValueError as error:
        raise InputError(f"{frame.where}: {error}") from error
    summary.compile_seconds += time.perf_counter() - started
    return state, step


class _Delivered(NamedTuple):
    record: dict[str, Any]
    segmented: Bool[np.ndarray, "regions"]
    untrusted: bool
    files: dict[str, Future[None]]
    """By product: the images of a frame, and its place in the overlay video."""


class _Delivery:
    """From results on the device to files, in threads; at most `_IN_FLIGHT` frames at once."""

    def __init__(
        self, regions: tuple[int, int], output: OutputFolder, summary: Summary, pacer: Pacer | None = None
    ) -> None:
        self._regions, self._output, self._summary, self._pacer = regions, output, summary, pacer
        self._pending: deque[Future[_Delivered]] = deque()
        self._ready = 0.0  # when the device was done with the last frame
        self._waiter = ThreadPoolExecutor(1, "dvsnet-wait")
        self._encoders = ThreadPoolExecutor(_ENCODERS, "dvsnet-encode")
        self._film = ThreadPoolExecutor(1, "dvsnet-film")  # one thread: a video is written in order

    def __len__(self) -> int:
        return len(self._pending)

    def take(self, frame: Frame, result: FrameResult, dispatched: float) -> None:
        """Has a frame's files written, and waits where too many are on their way. Raises what went wrong in them."""
        for array in result:
            array.copy_to_host_async()
        self._pending.append(self._waiter.submit(self._deliver, frame, result, dispatched))
        while len(self._pending) > _IN_FLIGHT:
            self._finish_first()

    def drain(self) -> None:
        """Waits for what is on its way, up to a frame whose files failed: none after that one is logged."""
        while self._pending:
            self._finish_first()

    def close(self) -> None:
        """Waits for the threads and ends them. Raises what failed in frames that are still on their way, which is only
        after a failure; of each product the first one, since a full disk fails every frame."""
        first: dict[str, BaseException] = {}
        try:
            for future in self._pending:
                if error := future.exception():
                    first.setdefault("the frame step", error)
                    continue
                for product, file in future.result().files.items():
                    if error := file.exception():
                        first.setdefault(product, error)
        finally:
            for pool in (self._waiter, self._encoders, self._film):
                pool.shutdown()
        if first:
            raise BaseExceptionGroup("frames on their way", [*first.values()])

    def _finish_first(self) -> None:
        delivered = self._pending[0].result()
        do_all(delivered.record["name"], *(file.result for file in delivered.files.values()))
        # Logged last, so that a line stands for files that are there.
        self._output.log(delivered.record)
        self._pending.popleft()  # not before: where this raises, `drain` must not go on to the next
        self._summary.frames += 1
        self._summary.regions += delivered.segmented.size
        self._summary.segmented += int(delivered.segmented.sum())
        self._summary.untrusted += delivered.untrusted

    def _deliver(self, frame: Frame, result: FrameResult, dispatched: float) -> _Delivered:
        jax.block_until_ready(result)
        ready = time.perf_counter()
        seconds = ready - max(dispatched, self._ready)
        self._summary.device_seconds += seconds
        self._ready = ready
        labels, segmented = np.asarray(result.labels)[0], np.asarray(result.segmented)[0]
        if self._pacer is not None:
            self._pacer.saw(segmented.mean(), seconds)
        files = {"images": self._encoders.submit(self._output.write_images, frame.name, labels)}
        if self._output.films:
            picture = self._encoders.submit(self._picture, frame, labels, segmented)
            files["overlay"] = self._film.submit(lambda: self._output.film(picture.result()))
        return _Delivered(_record(frame, result), segmented, bool(np.asarray(result.untrusted).any()), files)

    def _picture(
        self, frame: Frame, labels: UInt8[np.ndarray, "h w"], segmented: Bool[np.ndarray, "regions"]
    ) -> UInt8[np.ndarray, "h 2*w 3"]:
        """A frame of the overlay video."""
        assert frame.image is not None
        image = resize_image(frame.image, labels.shape[:2])
        right = visualize.overlay(image, labels, self._output.palette)
        visualize.outline_regions(right, segmented, self._regions)
        return visualize.beside(image, right)


def _record(frame: Frame, result: FrameResult) -> dict[str, Any]:
    """A line of routes.jsonl. JSON has no NaN: a score that is no number is null, as on the first frame; `untrusted`
    tells the two apart."""
    by_region = (result.scores, result.targets, result.segmented, result.untrusted)
    numbers = zip(*(np.asarray(values)[0].tolist() for values in by_region), strict=True)
    return {
        "frame": frame.index,
        "name": frame.name,
        "regions": [
            {"score": _finite(score), "target": _finite(target), "segmented": segmented, "untrusted": untrusted}
            for score, target, segmented, untrusted in numbers
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
