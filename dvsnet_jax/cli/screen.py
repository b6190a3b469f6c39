"""What the command shows: a progress bar on stderr, the closing table on stdout."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from dvsnet_jax.inference.segment_source import Summary

_AUDITED, _APART = 20, 5.0
"""Regions from which on, and points by which, expected and true agreement say that a video is of another kind."""
_LEAST_WIDTH = 60  # columns
_BEST_ROWS, _MOST_ROWS = 512, 720  # of frames, for the bundled weights (eval/README, "How large the frames")
_SHOWN = 5  # skipped frames told one by one


def tell(message: str) -> None:
    """A line on stderr, apart from the results."""
    _console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(message)


@contextmanager
def progress_bar(name: str, total: int | None) -> Iterator[Callable[[str, int], None]]:
    """A bar for one source, where stderr is a terminal; yields what `segment_source` takes as `on_progress`."""
    console = Console(stderr=True)
    if not console.is_terminal:  # rich before 14.3 prints an empty line for a bar that it does not show
        yield lambda stage, frames: None
        return
    columns = (
        TextColumn("{task.fields[file]}", markup=False),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        MofNCompleteColumn(),
        TextColumn("{task.fields[stage]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, file=name, stage="opening")

        def show(stage: str, frames: int) -> None:
            progress.update(task, completed=frames, stage="compiling …" if stage == "compiling" else "")

        yield show


@contextmanager
def step_progress(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar over the steps of one thing, where stderr is a terminal; yields `show(done, text)`."""
    console = Console(stderr=True)
    if not console.is_terminal or not _is_first():  # as above; of several processes one shows the bar
        yield lambda done, text: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def print_record(record: Mapping[str, Any]) -> None:
    """A record of metrics as a line on stdout: epoch 3, loss 12.3, …"""
    shown = {name.replace("_", " "): f"{v:.4g}" if isinstance(v, float) else v for name, v in record.items()}
    print(", ".join(f"{name} {value}" for name, value in shown.items()), flush=True)


def print_validation(line: Mapping[str, Any]) -> None:
    """A validation's line of metrics, the same way."""
    print_record({"step": line["step"], **line["validation"]})


@contextmanager
def clip_progress(
    total: int, *, shown: bool = True
) -> Iterator[tuple[Callable[[str], None], Callable[[str, str | None], None]]]:
    """A bar over clips, where stderr is a terminal; yields what `evaluate` takes as `on_frame` and `on_clip`."""
    console = Console(stderr=True)
    columns = (
        TextColumn("clips"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[frames]} frames"),
        TimeRemainingColumn(),
    )
    frames = 0
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as progress:
        task = progress.add_task("", total=total, frames=0)

        def on_frame(clip: str) -> None:
            nonlocal frames
            frames += 1
            progress.update(task, frames=frames)

        def on_clip(clip: str, error: str | None) -> None:
            progress.advance(task)
            if error:
                tell(f"dvsnet: {clip} fails: {error}")

        yield on_frame, on_clip


def closing_table(rows: Sequence[tuple[str, Summary]], together: Summary | None = None) -> None:
    """Frames, share of regions segmented, and frames per second with and without reading and writing; of inputs that
    were segmented at once, these of all `together`."""
    table = Table("input", title="segmented", title_style="bold")
    for heading in ("frames", "skipped", "regions\nsegmented", "frames/s\nwith I/O", "frames/s\nwithout I/O"):
        table.add_column(heading, justify="right")
    for name, summary in [*rows, *([("together", together)] if together is not None else [])]:
        table.add_row(
            name,
            str(summary.frames),
            str(len(summary.skipped)),
            f"{summary.segmented / summary.regions:.1%}" if summary.regions else "–",
            _rate(summary.frames - summary.before, summary.seconds),
            _rate(summary.frames - summary.before, summary.device_seconds),
        )
    console = _console(highlight=False)
    console.print(table)
    compiling = sum(summary.compile_seconds for summary in (*(summary for _, summary in rows), together) if summary)
    console.print(f"compiling took {compiling:.1f} s more, once for each frame size", soft_wrap=True)


def tell_skipped(summary: Summary) -> None:
    """The frames that were passed over, and why."""
    for problem in summary.skipped[:_SHOWN]:
        tell(f"dvsnet: skipped {problem}")
    if len(summary.skipped) > _SHOWN:
        tell(f"dvsnet: skipped {len(summary.skipped) - _SHOWN} more")


def tell_untrusted(name: str, untrusted: int, frames: int, advice: str) -> None:
    """How many frames have regions that cannot be trusted, where there are any."""
    if untrusted:
        tell(
            f"dvsnet: {name}: {untrusted} of {frames} frames have regions that cannot be trusted: a network gave what "
            "is no number (NaN) for them. They were segmented anew, or are void (255) where segmenting gave none; "
            f"{advice}"
        )


def tell_shifted(matrix: Any) -> None:
    """Where true labels are plainly one above those predicted, or below, by their confusion matrix: that."""
    from dvsnet_jax.metrics.segmentation import shift

    if by := shift(matrix):
        above, below = ("true", "predicted") if by > 0 else ("predicted", "true")
        tell(
            f"dvsnet: the {above} labels seem to count classes from 1: of most pixels they are one above the {below} "
            "ones, and hardly any is right; give labels that count from 0, with 255 where nothing counts"
        )


def tell_audit(name: str, summary: Summary) -> None:
    """How well warping would have done where it was not let, beside what was expected; nothing where no step audits."""
    count = len(summary.audited)
    if not count:
        return
    expected, true = (sum(values) / count for values in zip(*summary.audited, strict=True))
    by = sum(summary.recalibrated) / count if summary.recalibrated else expected
    tell(
        f"{name}: audit of {count} regions segmented anew: warping would have had {true:.1f}% of the labels right, "
        f"expected were {expected:.1f}%"
        + (f", and {by:.1f}% after recalibration" if abs(by - expected) >= 0.05 else "")
    )
    if count >= _AUDITED and abs(expected - true) > _APART:
        tell(
            f"dvsnet: {name}: the two are {abs(expected - true):.1f} points apart: this video is not like those that "
            "the decision network was trained on, and its limits and promises (--keep) may not hold; fit it to this "
            "kind of video: dvsnet accelerate"
        )


def tell_large(name: str, summary: Summary) -> None:
    """That frames are larger than those that the package's weights do best on, and what to do."""
    if summary.size is None or summary.size[0] <= _MOST_ROWS:
        return
    height, width = summary.size
    smaller = f"{_BEST_ROWS}x{round(width * _BEST_ROWS / height / 16) * 16}"
    tell(
        f"dvsnet: {name}: frames of {height}×{width} are larger than those that the bundled weights do best on; at "
        f"--input-size {smaller} labels are better, of that size, and come faster"
    )


def tell_motion(name: str, summary: Summary) -> None:
    """Where motion came from and why, and how often it was not known; nothing where the step finds it by itself."""
    if summary.motion is None:
        return
    unknown = (
        f"; not known at {summary.unknown} of {summary.frames} frames, which were segmented" if summary.unknown else ""
    )
    tell(f"{name}: motion by {summary.motion.kind}, {summary.motion.reason}{unknown}")


def tell_pace(name: str, summary: Summary) -> None:
    """What became of --fps, where it was asked for: the rate reached, with which share, or why it was not."""
    pace = summary.pace
    if pace is None:
        return
    asked = f"dvsnet: {name}: --fps {pace.asked:g}"
    if math.isnan(pace.reached):
        tell(f"{asked}: one frame or none says nothing about a rate")
        return
    reached = f"the frame step kept {pace.reached:.2f} frames/s with {pace.share:.1%} of regions segmented"
    if not pace.within_reach:
        tell(
            f"{asked} cannot be reached here: with nothing segmented a frame takes {1000 * pace.light:.1f} ms, "
            f"{1 / pace.light:.2f} frames/s; {reached}. Take smaller frames (--input-size) or a lower rate"
        )
    elif pace.reached < 0.95 * pace.asked:
        tell(f"{asked} was missed: {reached}; over more frames, or with less else running, it may be kept")
    else:
        tell(f"{asked} was reached: {reached}")
    if summary.seconds <= 0 or summary.device_seconds <= 0:
        return
    # Both with the first frame, which is segmented whole: in a short video that alone takes the rate down.
    frames = summary.frames - summary.before
    with_io, without = frames / summary.seconds, frames / summary.device_seconds
    if with_io < 0.95 * min(pace.asked, without):
        tell(
            f"dvsnet: {name}: with reading and writing it was {with_io:.2f} frames/s; leave out files "
            "(--no-overlay, --no-color), or the source itself is no faster"
        )


def _console(**options: Any) -> Console:
    """One of some width: COLUMNS is 0 where a terminal has no size, and rich would print nothing at all."""
    console = Console(**options)
    return console if console.width >= _LEAST_WIDTH else Console(**options, width=_LEAST_WIDTH)


def _rate(frames: int, seconds: float) -> str:
    return f"{frames / seconds:.2f}" if seconds > 0 and frames else "–"


def _is_first() -> bool:
    import jax

    return jax.process_index() == 0
