"""From many sources to their output folders at once, as streams: together or side by side (`inference.streaming`).

for number, summary, error in segment_many(sources, segmenter, open_output, streams=4):
    ...  # in the order in which they come to their ends
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from dvsnet_jax.errors import InputError, do_all
from dvsnet_jax.frame_result import AnyResult, AuditedResult, FrameResult, ScoredResult
from dvsnet_jax.inference.bookmarking import Bookmarking, Moment
from dvsnet_jax.inference.delivery import Delivery, Summary
from dvsnet_jax.inference.segment_source import advice, no_frame, plan_motion, problem_of
from dvsnet_jax.inference.segmented import Products, Segmented
from dvsnet_jax.inference.segmenter import Segmenter
from dvsnet_jax.inference.sharing import Dealer
from dvsnet_jax.inference.streaming.events import Start
from dvsnet_jax.inference.streaming.steps import Stepping
from dvsnet_jax.inference.streaming.streams import ClipEnd, SegmentedFrame, stream_frames
from dvsnet_jax.media.motion.attached import Kind, with_motion
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import Frame, Source


class SourceEnd(NamedTuple):
    """A source has come to its end."""

    number: int
    """Its place in the list, from 0."""
    summary: Summary
    """Without times: several share them."""
    error: Exception | None
    """What was wrong with it."""


def segment_many(
    sources: Sequence[Source],
    segmenter: Segmenter,
    open_output: Callable[[int], OutputFolder],
    *,
    streams: int,
    stepping: Stepping = "auto",
    motion: Kind | None = None,
    skip_unreadable: bool = False,
    num_frames: int | None = None,
    stop: threading.Event | None = None,
    open_products: Callable[[int], Products | None] = lambda number: None,
    open_bookmarks: Callable[[int, OutputFolder], Bookmarking | None] = lambda number, output: None,
    on_frame: Callable[[int, Segmented], object] | None = None,
    on_progress: Callable[[int], None] = lambda number: None,
    on_compiled: Callable[[float], None] = lambda seconds: None,
) -> Iterator[SourceEnd]:
    """Segments every frame of every source, so many at once; where one ends the next takes its place.

    `open_output` and `open_products` are called with a source's place in the list before its first frame; what they
    give is closed at the source's end, and then this one yields. `open_bookmarks` says where one goes on that an
    earlier run had begun, and keeps where this one can be gone on from. `on_frame` is given that place with each frame
    once its files are written, `on_progress` when it is taken. The other arguments are those of `segment_source` and
    `stream_frames`. Results are the same as one after the other, and so are the files.

    What is wrong with a source, or with writing what came of it, ends that one and no other. After `stop` every source
    ends in good order, and `interrupted` says which of them have not come to their own end; those that were not begun
    do not come at all. A policy that goes by the clock cannot be steered for several sources: raises ValueError.

    A policy that holds for all streams together (`policies.shared`) is dealt out between those that are under way; what
    comes of a source then depends on the others, but for equal sources in the same order it is equal.
    """
    if segmenter.frame_rate is not None:
        raise ValueError(
            f"{segmenter.frame_rate} is steered by the time of one source's frames; segment one by one, or take "
            "policies.over_streams of it"
        )
    dealer = Dealer(segmenter.shared, together=True) if segmenter.shared else None
    stop = stop or threading.Event()
    runs = [
        _Run(
            number, source, segmenter, motion, open_output, open_products, open_bookmarks, on_frame,
            skip_unreadable=skip_unreadable, num_frames=num_frames, stop=stop,
        )
        for number, source in enumerate(sources)
    ]  # fmt: skip
    events = stream_frames(
        segmenter.params, [run.frames for run in runs], config=segmenter.config, streams=streams, stepping=stepping,
        audit=segmenter.audit, recalibrate=segmenter.recalibrate, every_score=segmenter.every_score,
        on_compiled=on_compiled, dealer=dealer,
        start_of=lambda clip: runs[clip].start(), keeps=lambda clip, frames: runs[clip].keeps(frames),
    )  # fmt: skip
    try:
        with closing(events):  # type: ignore[type-var]
            for event in events:
                run = runs[event.clip]
                if isinstance(event, SegmentedFrame):
                    run.take(event)
                    on_progress(event.clip)
                    continue
                run.summary.pace = dealer.pace() if dealer else None
                if (error := run.end(event)) or not run.summary.interrupted or run.summary.frames:
                    yield SourceEnd(event.clip, run.summary, error)
    except BaseException:
        with suppress(Exception):  # what is raised already goes before
            do_all("closing", *(run.close for run in runs))
        raise


@dataclass
class _Run:
    """A source on its way."""

    number: int
    source: Source
    segmenter: Segmenter
    motion: Kind | None
    open_output: Callable[[int], OutputFolder]
    open_products: Callable[[int], Products | None]
    open_bookmarks: Callable[[int, OutputFolder], Bookmarking | None]
    on_frame: Callable[[int, Segmented], object] | None
    skip_unreadable: bool
    num_frames: int | None
    stop: threading.Event
    summary: Summary = field(default_factory=Summary)
    _unread: Exception | None = None
    """What ended reading."""
    _unwritten: Exception | None = None
    """What ended writing."""
    _read: int = 0
    """Frames that were read."""
    _output: OutputFolder | None = None
    _products: Products | None = None
    _bookmarks: Bookmarking | None = None
    _delivery: Delivery | None = None
    _skipped: list[str] = field(default_factory=list)
    """Before the frame that this run begins with."""
    _taken: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By how many frames were read when a bookmark is due, how many had come, and been passed over."""

    def start(self) -> Start | None:
        """Opens what is written to, but not after `stop`. Where to go on; None at the beginning."""
        if self.stop.is_set() and self._delivery is None:
            return None
        if self._delivery is None:
            try:
                self._open()
            except Exception as error:
                self._unread = error
                raise InputError(str(error)) from error
        begun = self._bookmarks and self._bookmarks.start
        return Start(begun.frames, self._bookmarks.restored) if self._bookmarks and begun else None

    def _open(self) -> None:
        self._output = self.open_output(self.number)
        self._products = self.open_products(self.number)
        self._bookmarks = self.open_bookmarks(self.number, self._output)
        told = partial(self.on_frame, self.number) if self.on_frame else None
        self._delivery = Delivery(
            self.segmenter.regions, self._output, self.summary, products=self._products, on_frame=told,
            bookmarks=self._bookmarks, overlap=self.segmenter.overlap,
        )  # fmt: skip
        self._skipped = list(self.summary.skipped)

    def keeps(self, frames: int) -> bool:
        """Whether the state after so many frames is to be kept."""
        return self._bookmarks is not None and self._bookmarks.due(frames)

    def frames(self) -> Iterator[tuple[Frame, Motion | None]]:
        """Those to segment, with their motion, in a thread of their own. What is wrong ends them."""
        bookmarks = self._bookmarks
        self.summary.skipped[:] = self._skipped  # where it had to wait for sources of another size it begins anew
        self._read = bookmarks.start.frames if bookmarks and bookmarks.start else 0
        size: tuple[int, ...] = bookmarks.size if bookmarks else ()
        done_before = bookmarks.taken if bookmarks else 0
        if self.stop.is_set():  # else a stop would have all those that wait opened, one after the other
            self.summary.interrupted = True
            return
        try:
            plan = self.summary.motion = plan_motion(self.source, self.segmenter, self.motion)
            with closing(with_motion(self.source, plan.kind if plan else None)) as frames:  # type: ignore[type-var]
                for taken, (frame, moved) in enumerate(islice(frames, self.num_frames), 1):
                    if self.stop.is_set():
                        self.summary.interrupted = True
                    if self.stop.is_set() or self._unwritten:
                        return
                    if taken <= done_before:
                        continue
                    if problem := problem_of(frame, size):
                        if not self.skip_unreadable:
                            raise InputError(advice(problem, self._read, frame)) from frame.error
                        self.summary.skipped.append(problem)
                        continue
                    assert frame.image is not None
                    size, self._read = frame.image.shape[:2], self._read + 1
                    if self.keeps(self._read):
                        self._taken[self._read] = taken, len(self.summary.skipped)
                    yield frame, moved
        except Exception as error:
            self._unread = error

    def take(self, event: SegmentedFrame) -> None:
        """Has the files of a frame written."""
        if self._unwritten:  # frames that were on their way
            return
        assert self._delivery is not None
        try:
            fields = (event.labels, event.scores, event.targets, event.segmented, event.untrusted)
            further = (event.agreement, event.expected, event.class_scores)
            batch: list[Any] = [None if values is None else values[None] for values in (*fields, *further)]
            result: AnyResult = FrameResult(*batch[:5]) if event.class_scores is None else ScoredResult(*batch)
            if event.class_scores is None and event.agreement is not None:
                result = AuditedResult(*batch[:7])
            wanted = self.summary.motion is not None
            self.summary.unknown += wanted and not event.motion_known and event.number > 0
            moment = None
            if event.kept is not None:
                taken, skipped = self._taken.pop(event.number + 1)
                moment = Moment(taken, event.kept, skipped, self.summary.unknown)
            self._delivery.take(event.sample, result, None, event.motion_known, moment)
        except Exception as error:
            self._unwritten = error
            try:
                self.close()
            except Exception as everything:
                self._unwritten = everything

    def end(self, event: ClipEnd) -> Exception | None:
        """Finishes the files; what was wrong, all together."""
        if event.error and self._unread is None and not (self.summary.interrupted and not event.frames):
            told = InputError(f"{self.source.name}: {event.error}")
            self._unread = told if self._read else no_frame(self.source, self.summary)
        try:
            self.close()
        except Exception as error:
            return error
        return None

    def close(self) -> None:
        """Waits for what is on its way and finishes the files. Raises all that went wrong until now."""
        delivery, output, products = self._delivery, self._output, self._products
        self._delivery = self._output = self._products = None
        parts = [delivery.drain, delivery.close] if delivery is not None else []
        parts += [product.close for product in (products, output) if product]
        do_all(self.source.name, partial(_raise, self._unread), partial(_raise, self._unwritten), *parts)


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
