"""One input at a time, and several as streams: each into its files, and onto the page where there is one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvsnet_jax.cli.screen import clip_progress, progress_bar
from dvsnet_jax.cli.segmenting.ends import Ends
from dvsnet_jax.cli.segmenting.outputs import Opening
from dvsnet_jax.errors import InputError

if TYPE_CHECKING:
    from threading import Event

    from dvsnet_jax.inference.bookmarking import Bookmarking
    from dvsnet_jax.inference.segment_source import FrameStep, Summary
    from dvsnet_jax.inference.segmented import Segmented
    from dvsnet_jax.inference.sharing import Dealer
    from dvsnet_jax.media.motion.attached import Kind
    from dvsnet_jax.media.output_folder import OutputFolder
    from dvsnet_jax.media.sources import Source
    from dvsnet_jax.serving.board import Board, View


@dataclass(frozen=True, kw_only=True)
class Way:
    """How each input is segmented, the same for all."""

    segmenter: FrameStep
    opening: Opening
    ends: Ends
    stop: Event
    motion: Kind | None
    skip_unreadable: bool
    num_frames: int | None


def segment_one(
    source: Source, place: Path, way: Way, view: View | None, *, shown: bool, dealer: Dealer | None = None
) -> None:
    """Segments a source to its end; with a progress bar if `shown`. `dealer` is for those that share a budget."""
    from dvsnet_jax.inference.segment_source import segment_source
    from dvsnet_jax.inference.sharing import Part
    from dvsnet_jax.inference.source_identity import identity

    try:
        came = identity(source)
        total = min(filter(None, (source.count, way.num_frames)), default=None)
        output = way.opening.folder(source, place)
        further = way.opening.further(source, place)
        bookmarks = way.opening.bookmarks(output, source, came)
        with progress_bar(source.name, total) if shown else nullcontext(lambda stage, frames: None) as on_progress:
            summary = segment_source(
                source,
                way.segmenter,
                output,
                motion=way.motion,
                skip_unreadable=way.skip_unreadable,
                num_frames=way.num_frames,
                stop=way.stop,
                on_progress=on_progress,
                products=further,
                on_frame=view.offer if view else None,
                part=Part(dealer, source.name) if dealer else None,
                bookmarks=bookmarks,
            )
        if not summary.interrupted:
            output.finish(came)
            if bookmarks:
                bookmarks.remove()
    except Exception as error:
        way.ends.failed(source.name, error)
        return
    finally:
        if view:
            view.end()
    way.ends.done(source.name, summary)


def segment_streams(
    inputs: Sequence[tuple[Source, Path]], way: Way, board: Board | None, together: Summary, streams: int
) -> None:
    """Segments sources, each into its place, so many at once, and adds to `together` what became of all."""
    from dvsnet_jax.inference.segment_many import segment_many
    from dvsnet_jax.inference.segmenter import Segmenter
    from dvsnet_jax.inference.source_identity import identity

    segmenter = way.segmenter
    assert isinstance(segmenter, Segmenter)  # `Many.at_once` has seen to it
    sources = [source for source, _ in inputs]
    outputs: dict[int, OutputFolder] = {}
    views: dict[int, View] = {}
    came: dict[int, Any] = {}
    bookmarks: dict[int, Bookmarking | None] = {}

    def begin(index: int) -> OutputFolder:
        came[index] = identity(sources[index])
        outputs[index] = way.opening.folder(*inputs[index])
        if view := way.opening.view(sources[index], board):
            views[index] = view
        return outputs[index]

    def keep(index: int, output: OutputFolder) -> Bookmarking | None:
        if segmenter.shared:  # what comes of it depends on the others
            return None
        bookmarks[index] = way.opening.bookmarks(output, sources[index], came[index])
        return bookmarks[index]

    def show(index: int, segmented: Segmented) -> None:
        views[index].offer(segmented)

    def compiled(seconds: float) -> None:
        together.compile_seconds += seconds

    started, compiled_before = time.perf_counter(), together.compile_seconds
    try:
        with clip_progress(len(sources)) as (on_frame, on_clip):
            ends = segment_many(
                sources,
                segmenter,
                begin,
                streams=streams,
                motion=way.motion,
                skip_unreadable=way.skip_unreadable,
                num_frames=way.num_frames,
                stop=way.stop,
                open_products=lambda index: way.opening.further(*inputs[index]),
                open_bookmarks=keep,
                on_frame=show if board is not None else None,
                on_progress=lambda index: on_frame(sources[index].name),
                on_compiled=compiled,
            )
            for index, summary, error in ends:
                name, output = sources[index].name, outputs.pop(index, None)
                together.frames += summary.frames
                together.before += summary.before
                together.regions += summary.regions
                together.segmented += summary.segmented
                if view := views.pop(index, None):
                    view.end()
                if error is None and output is not None and not summary.interrupted:
                    try:
                        output.finish(came.pop(index))
                        if kept := bookmarks.pop(index, None):
                            kept.remove()
                    except InputError as problem:
                        error = problem
                on_clip(name, None)
                if error is not None:
                    way.ends.failed(name, error)
                else:
                    way.ends.done(name, summary)
    finally:
        together.seconds += time.perf_counter() - started - (together.compile_seconds - compiled_before)
        for view in views.values():
            view.end()
