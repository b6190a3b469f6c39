"""From a source of frames to an output folder, with reading, the device and writing at work at the same time.

Threads read ahead (`dvsnet_jax.media`); the caller's thread hands frames to the device, which works asynchronously;
one thread waits for results; others encode PNGs and the overlay video. Everything between them is bounded, so that the
slowest sets the pace, and in order.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import islice
from typing import Any

from dvsnet_jax.errors import InputError, do_all
from dvsnet_jax.inference.bookmarking import Bookmarking
from dvsnet_jax.inference.delivery import Delivery, Summary
from dvsnet_jax.inference.pacing import Pacer
from dvsnet_jax.inference.segmented import Products, Segmented
from dvsnet_jax.inference.segmenter import FrameStep
from dvsnet_jax.inference.segmenter import Segmenter as Segmenter
from dvsnet_jax.inference.sharing import Part
from dvsnet_jax.media.images import UnreadableFrame
from dvsnet_jax.media.live.source import LiveVideo
from dvsnet_jax.media.motion.attached import AUTO, Kind, Plan, with_motion
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import Frame, Source

_LIVE_IN_FLIGHT = 1
"""Frames of a live source whose files are not yet written while the next one is on the device: each is lag."""


def segment_source(
    source: Source,
    segmenter: FrameStep,
    output: OutputFolder,
    *,
    motion: Kind | None = None,
    skip_unreadable: bool = False,
    num_frames: int | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[str, int], None] = lambda stage, frames: None,
    products: Products | None = None,
    on_frame: Callable[[Segmented], object] | None = None,
    part: Part | None = None,
    bookmarks: Bookmarking | None = None,
) -> Summary:
    """Segments every frame of `source`, in order, into `output`, which is closed at the end. (`segment_frames` gives
    the frames themselves, one after the other.)

    Args:
      motion: where a step that takes motion has it from; the best for this source if not given (`choose`).
      skip_unreadable: pass over frames that cannot be read or are of another size than the first, and list them in
        the summary. Else the first of them ends the run.
      num_frames: stop after so many frames of the source.
      stop: set it (from a signal handler, say) to end early but in good order: what is on its way is written.
      on_progress: called with "compiling" or "segmenting" and the number of frames taken so far.
      products: further files; closed at the end, too.
      on_frame: given each frame once its files are written, in order, in this thread.
      part: this source's in a policy that holds for several streams together (`policies.shared`).
      bookmarks: of `source` in `output`, which a run that is killed can be gone on from.

    Raises `InputError`, naming the file, for an unreadable frame, a source without frames, an overlap that its frames
    cannot take, motion that this source does not have or that the step does not take, or a file that cannot be written;
    an ExceptionGroup where several of these came together; TypeError for a path in the place of source or output, and
    ValueError for `num_frames` below 1, before anything is opened. Whatever is raised, KeyboardInterrupt included,
    all files written until then are whole, and video and routes.jsonl are in place.
    """
    if isinstance(source, str | os.PathLike) or isinstance(output, str | os.PathLike):
        raise TypeError(
            "source and output are no paths: media.sources.open_source(PATH) opens a source, "
            "media.output_folder.OutputFolder(PATH) a folder to write to"
        )
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}, but it counts frames: 1 or more, or None for all")
    summary = Summary()
    started = time.perf_counter()
    if (getattr(segmenter, "shared", None) is None) != (part is None):
        raise ValueError("a policy for all streams together and a source's part in it (part=) come together or not")
    pacer: Pacer | Part | None = Pacer(segmenter.frame_rate) if segmenter.frame_rate else part
    live = source if isinstance(source, LiveVideo) else None
    in_flight = {"in_flight": _LIVE_IN_FLIGHT} if live else {}
    delivery = Delivery(
        segmenter.regions, output, summary, pacer, products=products, on_frame=on_frame, bookmarks=bookmarks,
        overlap=getattr(segmenter, "overlap", None), **in_flight,
    )  # fmt: skip
    if live:
        summary.live = live.tally
        live.stop = stop or live.stop  # which ends a wait for a frame, too
        live.idle = delivery.drain  # else labels would wait for the next frame

        def prepare(height: int, width: int) -> None:
            """Compiles before the first frame is taken, which would be old by then."""
            on_progress("compiling", 0)
            begun = time.perf_counter()
            with suppress(ValueError):  # a size that will not do is told with the frame
                segmenter.start(height, width)
            summary.compile_seconds += time.perf_counter() - begun

        live.prepare = prepare

    def run() -> None:
        state: Any = None
        size: tuple[int, ...] = bookmarks.size if bookmarks else ()
        done_before = bookmarks.taken if bookmarks else 0
        summary.motion = plan_motion(source, segmenter, motion)
        kind = summary.motion.kind if summary.motion else None
        with closing(with_motion(source, kind)) as frames:  # type: ignore[type-var]
            for taken, (frame, moved) in enumerate(islice(frames, num_frames)):
                if stop is not None and stop.is_set():
                    summary.interrupted = True
                    break
                if taken < done_before:
                    continue
                if problem := problem_of(frame, size):
                    if not skip_unreadable:
                        raise InputError(advice(problem, summary.frames + len(delivery), frame)) from frame.error
                    summary.skipped.append(problem)
                    continue
                image: Any = frame.image
                if state is None:
                    on_progress("compiling", taken)
                    size, state, step = image.shape[:2], *_start(segmenter, frame, summary)
                    state = bookmarks.restored(state) if bookmarks else state
                if pacer is not None:
                    state = pacer.steer(state)
                dispatched = time.perf_counter()
                given = (for_step(moved, *size),) if summary.motion else ()
                state, result = step(segmenter.params, state, image[None], *given)
                summary.unknown += bool(given) and moved is None and summary.frames + len(delivery) > 0
                done = summary.frames + len(delivery) + 1
                moment = bookmarks.moment(done, taken + 1, state, summary) if bookmarks else None
                delivery.take(frame, result, dispatched, moved is not None, moment)
                on_progress("segmenting", taken + 1)
            summary.interrupted |= bool(live and live.stop.is_set())
        if state is None and not summary.interrupted and not done_before:
            raise no_frame(source, summary)

    finish = [products.close] if products else []
    finish += [part.close] if part else []
    try:
        do_all(source.name, run, delivery.drain, delivery.close, *finish, output.close)
    finally:
        summary.seconds = time.perf_counter() - started - summary.compile_seconds
        summary.pace = pacer.pace() if pacer is not None else None
    return summary


def no_frame(source: Source, summary: Summary) -> InputError:
    """What is wrong with a source that has come to its end without one."""
    problems = f": {summary.skipped[0]}" if summary.skipped else ""
    return InputError(f"{source.name}: has no frame that can be read{problems}; check the input")


def plan_motion(source: Source, segmenter: FrameStep, motion: Kind | None) -> Plan | None:
    """Where the motion comes from; None where the step finds it by itself. Raises InputError where it was asked for
    all the same."""
    if segmenter.takes_motion:
        return AUTO if motion is None else Plan(motion, "as asked for")
    if motion is not None:
        raise InputError(
            f"{source.name}: motion by {motion!r} was asked for, but these weights find it with a flow network of "
            "their own; take weights that carry motion, or leave it out"
        )
    return None


def problem_of(frame: Frame, size: tuple[int, ...]) -> str | None:
    """What is wrong with a frame, one line that begins with its file; None if nothing is."""
    if frame.image is None:
        return str(frame.error)
    height, width = frame.image.shape[:2]
    if size and (height, width) != size:
        return f"{frame.where}: is {height}×{width}, but the frames before it are {size[0]}×{size[1]}"
    return None


def advice(problem: str, before: int, frame: Frame) -> str:
    """A problem with what to do about it."""
    written = f"frames written before it: {before}; " if before else ""
    return f"{problem}; {written}{(frame.error or UnreadableFrame).advice}"


def _start(segmenter: FrameStep, frame: Frame, summary: Summary) -> tuple[Any, Callable[..., Any]]:
    assert frame.image is not None
    started = time.perf_counter()
    try:
        state, step = segmenter.start(*frame.image.shape[:2])
    except ValueError as error:
        raise InputError(f"{frame.where}: {error}") from error
    summary.compile_seconds += time.perf_counter() - started
    return state, step
