"""`dvsnet segment`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dvsnet_jax.cli.compile_cache import keep_compiled
from dvsnet_jax.cli.failures import UsageError, lines
from dvsnet_jax.cli.interrupts import stop_on_interrupt
from dvsnet_jax.cli.keeping import keeping
from dvsnet_jax.cli.live import Live, at_once, make_live, served, tell_live, told_every_minute
from dvsnet_jax.cli.motion import Motion, carried, found_by
from dvsnet_jax.cli.option_types import OptionalCount, OptionalNumber, OptionalPath, OptionalShare, option
from dvsnet_jax.cli.screen import (
    closing_table,
    progress_bar,
    tell,
    tell_audit,
    tell_motion,
    tell_pace,
    tell_skipped,
    tell_untrusted,
)
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights

if TYPE_CHECKING:
    from dvsnet_jax.inference.segment_source import FrameStep, Summary
    from dvsnet_jax.media.motion.attached import Kind
    from dvsnet_jax.media.sources import Source
    from dvsnet_jax.media.written_files import WrittenFiles
    from dvsnet_jax.serving.board import Board


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What is written, and how."""

    out: Annotated[str, tyro.conf.arg(metavar="DIR", aliases=["--save-dir"])] = "segmented"
    """Folder to write to; with several inputs, each gets a folder of its own in it."""
    overwrite: bool = False
    """Write in the place of what an earlier run wrote there: its files are removed, all others stay. Without it such a
    folder is refused."""
    palette: Literal["cityscapes", "original"] = "cityscapes"
    """Colours: Cityscapes' own, or the original's, of which eleven are one off."""
    no_labels: bool = False
    """Leave out labels/, the train ids."""
    no_color: bool = False
    """Leave out color/, the colour masks."""
    no_overlay: bool = False
    """Leave out overlay.mp4."""
    no_routes: bool = False
    """Leave out routes.jsonl."""
    frame_rate: OptionalNumber = None
    """Of overlay.mp4; as the input's, or 25 for images."""
    save: Annotated[tuple[Literal["video", "rle", "regions"], ...], tyro.conf.arg(metavar="KIND …")] = ()
    """Further files: video, labels.mov, all train ids in one video without loss; rle, segments.jsonl, COCO's run
    lengths; regions, regions.npz, age, expected agreement and route of each region."""

    @property
    def products(self) -> set[str]:
        return {name for name in ("labels", "color", "overlay", "routes") if not getattr(self, f"no_{name}")}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Segment videos, folders of images, streams and cameras.

    Writes label ids, colour masks, an overlay video, and how each region of each frame was routed.
    """

    inputs: Annotated[tyro.conf.Positional[tuple[str, ...]], option("INPUT …")] = ()
    """A video file, a folder of images, a list of images (.txt), images, a stream (rtsp://…) or a camera."""
    weights: Annotated[str | None, option("PATH", "--restore-from")] = None
    """Checkpoint folder, or a TensorFlow checkpoint of the original."""
    segmentation: OwnSegmentation = None
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network, where --weights is one without."""
    keep: OptionalShare = None
    """Of the pixels those that are to be what the segmentation network itself would say, such as 0.98, by the table
    that 'dvsnet accelerate --keep' wrote with the weights. Segments as few regions as do."""
    audit: bool = False
    """Have each region that is segmented anew tell how well warping would have done, in routes.jsonl and at the end,
    beside what was expected; for one more warp a frame. --keep does so by itself."""
    program: OptionalPath = None
    """A program that 'dvsnet export' wrote, in place of --weights and of everything that is settled in it."""
    motion: Motion = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the segmentation network. bfloat16 is faster on GPU and TPU, slower on a CPU, and changes a few labels of a
    thousand."""
    data_list: OptionalPath = None
    """An image list as a further input, as the original takes it: one path a line, below --data-dir."""
    data_dir: OptionalPath = None
    """Folder that image lists are relative to; their own if not given."""
    num_steps: OptionalCount = None
    """Stop after so many frames of each input."""
    skip_unreadable: bool = False
    """Pass over frames that cannot be read or change size, and report them; else the first of them ends the run."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)
    outputs: Annotated[Outputs, tyro.conf.arg(name="")] = field(default_factory=Outputs)
    live: Annotated[Live, tyro.conf.arg(name="")] = field(default_factory=Live)

    def run(self) -> int:
        locations = [*self.inputs, *([self.data_list] if self.data_list is not None else [])]
        if not locations:
            raise UsageError("nothing to segment; name a video, a folder or a list of images, or --data-list")
        if self.num_steps is not None and self.num_steps < 1:
            raise UsageError(f"--num-steps is {self.num_steps}, but it counts frames: 1 or more")

        settings = self.settings
        if self.keep is not None and (self.weights is None or settings.chooses_policy):
            raise UsageError(
                "--keep chooses the policy's limit by the table of --weights, those that 'dvsnet accelerate --keep' "
                "wrote; add them, and leave out --policy and its numbers"
            )
        settled = (self.weights, self.segmentation, self.decision_from, self.precision, self.audit, self.settings)
        if self.program is not None and settled != (None, None, None, "float32", False, Settings()):
            raise UsageError(
                "--program holds its weights, and its policy, precision and sizes are settled; leave out --weights, "
                "--segmentation, --decision-from, --policy and the like, or export another with 'dvsnet export'"
            )

        from dvsnet_jax.inference.further_products import check_further
        from dvsnet_jax.media.output_folder import check_products
        from dvsnet_jax.media.sources import open_sources
        from dvsnet_jax.media.written_files import WrittenFiles

        # All that can be wrong is looked at before the weights are read, which takes longest.
        sources = [
            make_live(source, self.live, self.motion) for source in open_sources(locations, data_dir=self.data_dir)
        ]
        written = WrittenFiles(self.outputs.out, writer="dvsnet segment", overwrite=self.outputs.overwrite)
        for source, folder in zip(sources, output_folders(sources, self.outputs.out), strict=True):
            written.check_kept(source.files)
            check_products(written, folder, self.outputs.products)
            check_further(written, folder, self.outputs.save)
        return segment_all(
            sources,
            written,
            self._segmenter(),
            self.outputs,
            motion=found_by(self.motion),
            skip_unreadable=self.skip_unreadable,
            num_frames=self.num_steps,
            serve=self.live.serve,
        )

    def _segmenter(self) -> FrameStep:
        if self.program is not None:
            from dvsnet_jax.program import load_program

            return load_program(self.program)

        from dvsnet_jax.inference.segment_source import Segmenter

        params, config = load_weights(self.weights, self.decision_from, self.motion, self.segmentation)
        config = self.settings.apply(carried(self.motion, config))
        if self.keep is not None and self.weights is not None:
            from dvsnet_jax.evaluation.policies.promise import read_table

            config = keeping(config, read_table(self.weights), self.keep, weights=self.weights)
        return Segmenter(params, config, precision=self.precision, audit=self.audit or self.keep is not None)


def output_folders(sources: Sequence[Source], out: str) -> list[Path]:
    """One folder per source: `out` itself for a single one, else below it, by name."""
    return [Path(out)] if len(sources) == 1 else [Path(out) / source.name for source in sources]


def segment_all(
    sources: Sequence[Source],
    written: WrittenFiles,
    segmenter: FrameStep,
    outputs: Outputs,
    *,
    motion: Kind | None = None,
    skip_unreadable: bool = False,
    num_frames: int | None = None,
    serve: str | None = None,
) -> int:
    """Segments one source after the other, and live ones all at once, and prints the closing table; returns the exit
    status. `serve` is an address to show them at.

    A source that fails does not keep the others from their turn. When they are through, what was wrong with it is
    raised: of one source alone as it came, of several as a group with their names.
    """
    keep_compiled()

    from dvsnet_jax.inference.further_products import FurtherProducts
    from dvsnet_jax.inference.segment_source import segment_source
    from dvsnet_jax.media.live.source import LiveVideo
    from dvsnet_jax.media.output_folder import OutputFolder
    from dvsnet_jax.serving.board import View
    from dvsnet_jax.visualize import label_palette

    if outputs.frame_rate is not None and not (math.isfinite(outputs.frame_rate) and outputs.frame_rate > 0):
        raise UsageError(f"--frame-rate is {outputs.frame_rate}, but it counts frames per second: more than 0")
    palette = label_palette(segmenter.num_classes, outputs.palette)
    done: list[tuple[str, Summary]] = []
    failed: dict[str, BaseException] = {}

    def segment(source: Source, folder: Path, stop: Event, alone: bool, board: Board | None) -> None:
        rate = outputs.frame_rate or source.frame_rate or 25
        total = min(filter(None, (source.count, num_frames)), default=None)
        view = board.add(View(source.name, segmenter.regions, palette)) if board else None
        try:
            output = OutputFolder(folder, palette=palette, frame_rate=rate, products=outputs.products, written=written)
            further = FurtherProducts(
                folder, outputs.save, regions=segmenter.regions, palette=palette, frame_rate=rate, written=written
            )
            with progress_bar(source.name, total) if alone else nullcontext(lambda stage, frames: None) as on_progress:
                summary = segment_source(
                    source,
                    segmenter,
                    output,
                    motion=motion,
                    skip_unreadable=skip_unreadable,
                    num_frames=num_frames,
                    stop=stop,
                    on_progress=on_progress,
                    products=further,
                    on_frame=view.offer if view else None,
                )
        except Exception as error:
            failed[source.name] = error
            if source is not sources[-1]:
                tell(f"dvsnet: {source.name} failed, going on with the others: {lines(error)[0]}")
            return
        finally:
            if view:
                view.end()
        done.append((source.name, summary))
        tell_skipped(summary)

    name = ""
    try:
        with served(serve) as board, stop_on_interrupt() as stop:
            waiting = list(zip(sources, output_folders(sources, outputs.out), strict=True))
            live = {source.name: source for source, _ in waiting if isinstance(source, LiveVideo)}
            with told_every_minute({name: source.tally for name, source in live.items()}):
                together = {
                    source.name: partial(segment, source, folder, stop, len(live) == 1, board)
                    for source, folder in waiting
                    if source.name in live
                }
                for source, folder in waiting:
                    if stop.is_set():
                        break
                    name = source.name
                    if name not in live:
                        segment(source, folder, stop, True, board)
                    elif together:
                        at_once(together)
                        together = {}
            interrupted = stop.is_set()
    except KeyboardInterrupt as interrupt:
        if interrupt.__cause__ is not None:
            failed[name] = interrupt.__cause__
        raise interrupt from _together(failed, len(sources))
    finally:
        if done:
            closing_table(done)
            for name, summary in done:
                tell_live(name, summary)
                tell_pace(name, summary)
                tell_motion(name, summary)
                tell_audit(name, summary)
                tell_untrusted(name, summary.untrusted, summary.frames, '"untrusted" in routes.jsonl says which')
            tell(f"written to {outputs.out}")
    wrong = _together(failed, len(sources))
    if interrupted:
        if wrong is not None:
            tell("dvsnet: " + "\n".join(lines(wrong)))
        tell("dvsnet: interrupted; everything until here is written")
        return 130
    if wrong is not None:
        raise wrong
    return 0


def _together(failed: Mapping[str, BaseException], count: int) -> BaseException | None:
    """What was wrong with some of so many sources, as one error; None if nothing was."""
    if count == 1 or not failed:
        return next(iter(failed.values()), None)
    named = [
        error if isinstance(error, BaseExceptionGroup) else BaseExceptionGroup(name, [error])
        for name, error in failed.items()
    ]
    return BaseExceptionGroup(f"{len(failed)} of {count} inputs failed", named)
