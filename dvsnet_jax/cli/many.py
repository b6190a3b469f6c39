"""Options of a run over many inputs: how many at once, and which of them are this process's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from dvsnet_jax.cli.failures import UsageError, lines
from dvsnet_jax.cli.option_types import OptionalSteps, option
from dvsnet_jax.cli.screen import clip_progress, tell, tell_skipped
from dvsnet_jax.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from dvsnet_jax.inference.segment_source import FrameStep, Summary
    from dvsnet_jax.media.durable.records import Part
    from dvsnet_jax.media.motion.attached import Kind
    from dvsnet_jax.media.output_folder import OutputFolder
    from dvsnet_jax.media.sources import Source

_ON_A_CPU = 4  # with two cores four streams made 2.1 times the frames a second of one
_ON_AN_ACCELERATOR = 8  # on each


@dataclass(frozen=True, kw_only=True)
class Many:
    """Of several inputs."""

    streams: Annotated[OptionalSteps, option("COUNT")] = None
    """Inputs that are segmented at once, with the same results as one after the other; 4 on a CPU, 8 on each
    accelerator, and 1 for --fps, --program, cameras and streams, if not given."""
    worker: Annotated[str | None, option("I/N")] = None
    """Take every N-th input, from the I-th on (counted from 0): for N processes that are started with the same inputs
    and one --out, on one machine or several."""
    distributed: bool = False
    """The same for processes started by SLURM, a TPU pod or GKE (jax.distributed.initialize)."""

    def part(self) -> Part:
        """Which of the processes that share the inputs this is. Joins the others where they are distributed, so it
        comes before anything else of JAX."""
        from dvsnet_jax.media.durable.records import Part

        if self.worker is None and not self.distributed:
            return Part()
        if self.worker is None:
            import jax

            jax.distributed.initialize()
            return Part(jax.process_index(), jax.process_count())
        if self.distributed:
            raise UsageError("--worker and --distributed both deal out the inputs; leave one out")
        match = re.fullmatch(r"(\d+)/(\d+)", self.worker)
        if match is None or not int(match[1]) < int(match[2]):
            raise UsageError(
                f"--worker is {self.worker!r}; expected a number from 0 on and how many there are, such as 0/4 and, "
                "for the last of them, 3/4"
            )
        return Part(int(match[1]), int(match[2]))

    def at_once(self, segmenter: FrameStep, sources: Sequence[Source]) -> int:
        """How many inputs to segment at once. Raises `UsageError` where it was asked for several and that cannot be."""
        import jax

        from dvsnet_jax.inference.segmenter import Segmenter
        from dvsnet_jax.inference.source_identity import is_live

        alone = (
            "--fps is kept for one input at a time"
            if segmenter.frame_rate is not None
            else "an exported program (--program) takes one input at a time"
            if not isinstance(segmenter, Segmenter)
            else ""
        )
        if self.streams is not None:
            if alone and self.streams > 1:
                raise UsageError(f"--streams is {self.streams}, but {alone}; leave --streams out")
            return self.streams
        if alone or any(map(is_live, sources)):
            return 1
        local = jax.local_devices()
        return min(len(sources), _ON_A_CPU if local[0].platform == "cpu" else _ON_AN_ACCELERATOR * len(local))


@contextmanager
def waiting_for_others(part: Part, *, distributed: bool) -> Iterator[None]:
    """The end of distributed processes: the first one serves the others, so none goes before all are through. An
    interrupt ends them at once."""
    try:
        yield
    except Exception:
        if distributed:
            _wait(part)
        raise
    if distributed:
        _wait(part)


def _wait(part: Part) -> None:
    from dvsnet_jax.inference.processes import gather

    gather(part.index)


def at_once(
    sources: Sequence[Source],
    folders: Sequence[Path],
    open_output: Callable[[Source, Path], OutputFolder],
    segmenter: FrameStep,
    done: list[tuple[str, Summary]],
    failed: dict[str, BaseException],
    together: Summary,
    *,
    motion: Kind | None,
    skip_unreadable: bool,
    num_frames: int | None,
    stop: Event,
    streams: int,
) -> None:
    """Segments so many sources at once, and puts into `done` and `failed` what became of each, and into `together`
    what became of all."""
    from dvsnet_jax.inference.segment_many import segment_many
    from dvsnet_jax.inference.segmenter import Segmenter
    from dvsnet_jax.inference.source_identity import identity

    assert isinstance(segmenter, Segmenter)  # `Many.at_once` has seen to it
    outputs: dict[int, OutputFolder] = {}
    came: dict[int, Any] = {}

    def begin(index: int) -> OutputFolder:
        came[index] = identity(sources[index])
        outputs[index] = open_output(sources[index], folders[index])
        return outputs[index]

    def compiled(seconds: float) -> None:
        together.compile_seconds += seconds

    started = time.perf_counter()
    try:
        with clip_progress(len(sources)) as (on_frame, on_clip):
            ends = segment_many(
                sources, segmenter, begin, streams=streams, motion=motion, skip_unreadable=skip_unreadable,
                num_frames=num_frames, stop=stop, on_frame=lambda index: on_frame(sources[index].name),
                on_compiled=compiled,
            )  # fmt: skip
            for index, summary, error in ends:
                name, output = sources[index].name, outputs.pop(index, None)
                together.frames += summary.frames
                together.regions += summary.regions
                together.segmented += summary.segmented
                if error is None and output is not None and not summary.interrupted:
                    try:
                        output.finish(came.pop(index))
                    except InputError as problem:
                        error = problem
                on_clip(name, None)
                if error is not None:
                    failed[name] = error
                    if len(done) + len(failed) < len(sources):
                        tell(f"dvsnet: {name} failed, going on with the others: {lines(error)[0]}")
                    continue
                done.append((name, summary))
                tell_skipped(summary)
    finally:
        together.seconds = time.perf_counter() - started - together.compile_seconds
