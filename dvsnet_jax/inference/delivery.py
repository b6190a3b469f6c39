"""From results on the device to files, in threads, and the tally of it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, UInt8

from dvsnet_jax import visualize
from dvsnet_jax.errors import do_all
from dvsnet_jax.frame_result import AnyResult, FrameResult, ScoredResult
from dvsnet_jax.inference.bookmarking import Bookmarking, Moment
from dvsnet_jax.inference.pacing import Pace, Pacer
from dvsnet_jax.inference.segmented import Products, Segmented
from dvsnet_jax.inference.sharing import Part
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.live.source import LiveFrame, live_note
from dvsnet_jax.media.live.tally import Tally
from dvsnet_jax.media.motion.attached import Plan
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import Frame
from dvsnet_jax.ops.regions import region_borders

_IN_FLIGHT = 4  # frames handed to the device whose files are not yet written
_ENCODERS = min(4, cpu_count() or 1)


@dataclass
class Summary:
    """What became of a source."""

    size: tuple[int, int] | None = None
    """Height and width of the first frame, as it was read."""
    frames: int = 0
    """Frames segmented and written."""
    before: int = 0
    """Of them those of an earlier run that this one went on with: no time below is theirs."""
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
    motion: Plan | None = None
    """Where the motion came from, and why from there; None where the step finds it by itself."""
    audited: list[tuple[float, float]] = field(default_factory=list)
    """Expected and true agreement, percent, of every region that was segmented anew, where the step audits."""
    recalibrated: list[float] = field(default_factory=list)
    """The score that each of them was decided by: what was expected, or that recalibrated."""
    unknown: int = 0
    """Frames past the first whose motion was not known, as at a cut: every region of them was segmented."""
    live: Tally | None = None
    """What came, what was dropped, and how late labels were, of a `LiveVideo`."""


class _Delivered(NamedTuple):
    record: dict[str, Any]
    result: Segmented
    files: dict[str, Future[None]]
    """By product: the images of a frame, and its place in the overlay video."""


class Delivery:
    """From results on the device to files, in threads; at most `in_flight` frames at once besides the newest."""

    def __init__(
        self,
        regions: tuple[int, int],
        output: OutputFolder,
        summary: Summary,
        pacer: Pacer | Part | None = None,
        *,
        products: Products | None = None,
        on_frame: Callable[[Segmented], object] | None = None,
        in_flight: int = _IN_FLIGHT,
        bookmarks: Bookmarking | None = None,
        overlap: int | None = None,
    ) -> None:
        """`regions` is (rows, columns), which have this `overlap`, if that is known."""
        self._overlap = overlap
        self._regions, self._output, self._summary, self._pacer = regions, output, summary, pacer
        self._products, self._on_frame, self._in_flight = products, on_frame, in_flight
        self._bookmarks = bookmarks
        before = bookmarks.begin(summary) if bookmarks else None
        self._ages = np.zeros(regions[0] * regions[1], np.int32) if before is None else before
        self._pending: deque[tuple[Future[_Delivered], Moment | None]] = deque()
        self._ready = 0.0  # when the device was done with the last frame
        self._told = before is not None  # where motion comes from: with the first frame
        self._waiter = ThreadPoolExecutor(1, "dvsnet-wait")
        self._encoders = ThreadPoolExecutor(_ENCODERS, "dvsnet-encode")
        self._film = ThreadPoolExecutor(1, "dvsnet-film")  # one thread: a video is written in order

    def __len__(self) -> int:
        return len(self._pending)

    def take(
        self,
        frame: Frame,
        result: AnyResult,
        dispatched: float | None,
        known: bool,
        moment: Moment | None = None,
    ) -> None:
        """Has a frame's files written, and waits where too many are on their way. `dispatched` is when the device was
        given it, None where its results are here already and others had part in its time. `known` is whether its
        motion was, `moment` what is to be kept once they are. Raises what went wrong in them."""
        if dispatched is not None:
            for array in result:
                if array is not None:
                    array.copy_to_host_async()
        self._pending.append((self._waiter.submit(self._deliver, frame, result, dispatched, known), moment))
        while len(self._pending) > self._in_flight:
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
            for future, _ in self._pending:
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
        future, moment = self._pending[0]
        delivered = future.result()
        do_all(delivered.record["name"], *(file.result for file in delivered.files.values()))
        # Logged last, so that a line stands for files that are there.
        self._output.log(delivered.record)
        self._pending.popleft()  # not before: where this raises, `drain` must not go on to the next
        image = delivered.result.frame.image
        if self._summary.size is None and image is not None:
            self._summary.size = image.shape[:2]
        self._summary.frames += 1
        segmented = delivered.result.segmented
        self._summary.regions += segmented.size
        self._summary.segmented += int(segmented.sum())
        self._summary.untrusted += bool(delivered.result.untrusted.any())
        for region in delivered.record["regions"]:
            if region["score"] is not None and region.get("agreement") is not None:
                self._summary.audited.append((region["expected"], region["agreement"]))
                self._summary.recalibrated.append(region["score"])
        if self._bookmarks:
            result = delivered.result
            size = image.shape[:2] if image is not None else ()
            self._bookmarks.delivered(result.frame.name, moment, self._summary, size, result.ages)
        if self._on_frame is not None:
            self._on_frame(delivered.result)

    def _deliver(self, frame: Frame, result: AnyResult, dispatched: float | None, known: bool) -> _Delivered:
        seconds = 0.0
        if dispatched is not None:
            jax.block_until_ready(result)
            ready = time.perf_counter()
            seconds = ready - max(dispatched, self._ready)
            self._ready = ready
        self._summary.device_seconds += seconds
        # Copies: whoever is given them may write into them, and what is jax's is read only.
        labels, segmented = np.array(result.labels)[0], np.array(result.segmented)[0]
        if isinstance(self._pacer, Part):
            self._pacer.saw(np.asarray(result.scores)[0], segmented, seconds)
        elif self._pacer is not None:
            self._pacer.saw(segmented.mean(), seconds)
        files = {"images": self._encoders.submit(self._output.write_images, frame.name, labels)}
        if self._output.films:
            picture = self._encoders.submit(self._picture, frame, labels, segmented)
            when = () if frame.time is None else (frame.time,)
            files["overlay"] = self._film.submit(lambda: self._output.film(picture.result(), *when))
        record = _record(frame, result, self._summary.motion, known)
        if (plan := self._summary.motion) and not self._told:
            record["motion_source"], self._told = plan._asdict(), True
        if self._summary.live is not None and isinstance(frame, LiveFrame):
            self._summary.live.delivered(frame.lag())
        self._ages = np.where(segmented, 0, self._ages + 1).astype(np.int32)
        scores, targets, untrusted = (
            np.array(values)[0] for values in (result.scores, result.targets, result.untrusted)
        )
        every = np.array(result.class_scores)[0] if isinstance(result, ScoredResult) else None
        own = Segmented(frame, labels, scores, targets, segmented, untrusted, self._ages.copy(), record, every)
        if self._products is not None:
            files["products"] = self._film.submit(self._products.take, own)
        return _Delivered(record, own, files)

    def _picture(
        self, frame: Frame, labels: UInt8[np.ndarray, "h w"], segmented: Bool[np.ndarray, "regions"]
    ) -> UInt8[np.ndarray, "h 2*w 3"]:
        """A frame of the overlay video."""
        assert frame.image is not None
        image = resize_image(frame.image, labels.shape[:2])
        right = visualize.overlay(image, labels, self._output.palette)
        borders = region_borders(labels.shape[0], labels.shape[1], self._regions, self._overlap)
        visualize.outline_regions(right, segmented, self._regions, borders)
        return visualize.beside(image, right)


def _record(frame: Frame, result: AnyResult, plan: Plan | None, known: bool) -> dict[str, Any]:
    """A line of routes.jsonl; `time` is in seconds, as the source has it, null where it has none. JSON has no NaN: a
    score that is no number is null, as on the first frame; `untrusted` tells the two apart. So is the motion's source,
    where this frame's motion is not known, and the agreement of a region that was not segmented anew. What was expected
    is the score before recalibration."""
    by_region = (result.scores, result.targets, result.segmented, result.untrusted)
    numbers = zip(*(np.asarray(values)[0].tolist() for values in by_region), strict=True)
    regions: list[dict[str, Any]] = [
        {"score": _finite(score), "target": _finite(target), "segmented": segmented, "untrusted": untrusted}
        for score, target, segmented, untrusted in numbers
    ]
    if not isinstance(result, FrameResult) and result.agreement is not None:
        told = (np.asarray(values)[0].tolist() for values in (result.expected, result.agreement))
        for region, expected, agreement in zip(regions, *told, strict=True):
            region |= {"expected": _finite(expected), "agreement": _finite(agreement)}
    return {
        "frame": frame.index,
        "name": frame.name,
        "time": frame.time,
        **({"motion": plan.kind if known else None} if plan else {}),
        **live_note(frame),
        "regions": regions,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
