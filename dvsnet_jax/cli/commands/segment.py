"""`dvsnet segment`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dvsnet_jax.cli.classes import Classes
from dvsnet_jax.cli.compile_cache import keep_compiled
from dvsnet_jax.cli.failures import UsageError, lines
from dvsnet_jax.cli.going_on import decisive, left_to_do
from dvsnet_jax.cli.interrupts import stop_on_interrupt
from dvsnet_jax.cli.keeping import keeping
from dvsnet_jax.cli.many import Many, at_once, waiting_for_others
from dvsnet_jax.cli.motion import Motion, carried, found_by
from dvsnet_jax.cli.option_types import (
    OptionalCount,
    OptionalNumber,
    OptionalPath,
    OptionalPlace,
    OptionalShare,
    option,
)
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
    from dvsnet_jax.media.durable.records import Part
    from dvsnet_jax.media.motion.attached import Kind
    from dvsnet_jax.media.sources import Source
    from dvsnet_jax.media.written_files import WrittenFiles


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What is written, and how."""

    out: Annotated[str, tyro.conf.arg(metavar="DIR", aliases=["--save-dir"])] = "segmented"
    """Folder to write to; with several inputs, each gets a folder of its own in it."""
    overwrite: bool = False
    """Write in the place of what an earlier run wrote there: its files are removed, all others stay. Without this or
    --resume such a folder is refused."""
    resume: bool = False
    """Go on where an earlier run of this command was: inputs that are done and have not changed are passed over, one
    that was begun is begun again, with the same files in the end. A folder of other weights or options is refused; a
    new one is begun."""
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
    """Of overlay.mp4; if not given its frames have the input's times, and images 25 a second."""

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
    classes: Classes = None
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network, where --weights is one without."""
    keep: OptionalShare = None
    """Of the pixels those that are to be what the segmentation network itself would say, such as 0.98, by the table
    that 'dvsnet accelerate --keep' wrote with the weights. Segments as few regions as do."""
    audit: bool = False
    """Have each region that is segmented anew tell how well warping would have done, in routes.jsonl and at the end,
    beside what was expected; for one more warp a frame. --keep does so by itself."""
    recalibrate: bool = False
    """Set expected scores right while running by what --audit sees; with a video of another kind than was trained on
    that keeps a target or limit to what it says. Forgotten at cuts."""
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
    no_rotate: bool = False
    """Take videos and images as they are stored, not turned and mirrored as they are to be shown."""
    stream: OptionalPlace = None
    """Which video stream of a file that has several, from 0; the largest if not given."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)
    outputs: Annotated[Outputs, tyro.conf.arg(name="")] = field(default_factory=Outputs)
    many: Annotated[Many, tyro.conf.arg(name="")] = field(default_factory=Many)

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
        named = (self.weights, self.segmentation, self.classes, self.decision_from, self.precision)
        settled = (*named, self.audit, self.recalibrate, self.settings)
        if self.program is not None and settled != (None, None, None, None, "float32", False, False, Settings()):
            raise UsageError(
                "--program holds its weights, and its policy, precision and sizes are settled; leave out --weights, "
                "--segmentation, --decision-from, --policy and the like, or export another with 'dvsnet export'"
            )

        if self.outputs.overwrite and self.outputs.resume:
            raise UsageError("--overwrite removes what --resume would go on with; leave one out")
        part = self.many.part()
        if self.outputs.overwrite and part.count > 1:
            raise UsageError("--overwrite does not go with --worker or --distributed: remove the folder beforehand")
        with waiting_for_others(part, distributed=self.many.distributed):
            return self._run(locations, part)

    def _run(self, locations: Sequence[str], part: Part) -> int:
        from dvsnet_jax.media.output_folder import check_products
        from dvsnet_jax.media.reading.opened import Reading
        from dvsnet_jax.media.sources import open_sources
        from dvsnet_jax.media.written_files import WrittenFiles

        # All that can be wrong is looked at before the weights are read, which takes longest.
        reading = Reading(rotate=not self.no_rotate, stream=self.stream)
        sources = open_sources(locations, data_dir=self.data_dir, reading=reading)
        folders = output_folders(sources, self.outputs.out)
        written = WrittenFiles(
            self.outputs.out,
            writer="dvsnet segment",
            overwrite=self.outputs.overwrite,
            resume=self.outputs.resume,
            part=part,
        )
        with closing(written):
            inputs = list(zip(sources, folders, strict=True))[part.index :: part.count]
            left = left_to_do(inputs, written)
            for source, folder in left:
                written.check_kept(source.files)
                check_products(written, folder, self.outputs.products)
            segmenter, weights = self._segmenter()
            written.settle(decisive(self, segmenter, weights, several=len(sources) > 1))
            if not left:
                tell(f"nothing is left to do in {self.outputs.out}")
                return 0
            return segment_all(
                [source for source, _ in left],
                written,
                segmenter,
                self.outputs,
                folders=[folder for _, folder in left],
                motion=found_by(self.motion),
                skip_unreadable=self.skip_unreadable,
                num_frames=self.num_steps,
                streams=self.many.at_once(segmenter, [source for source, _ in left]),
            )

    def _segmenter(self) -> tuple[FrameStep, str]:
        """It, and what tells its weights from others: as they are stored, since preparing them may round otherwise on
        another machine."""
        from dvsnet_jax.training.run_folder import fingerprint

        if self.program is not None:
            from dvsnet_jax.program import load_program

            program = load_program(self.program)
            return program, fingerprint(program.params)

        from dvsnet_jax.inference.segment_source import Segmenter

        params, config = load_weights(self.weights, self.decision_from, self.motion, self.segmentation, self.classes)
        config = self.settings.apply(carried(self.motion, config))
        if self.keep is not None and self.weights is not None:
            from dvsnet_jax.evaluation.policies.promise import read_table

            config = keeping(config, read_table(self.weights), self.keep, weights=self.weights)
        audit = self.audit or self.keep is not None
        segmenter = Segmenter(params, config, precision=self.precision, audit=audit, recalibrate=self.recalibrate)
        return segmenter, fingerprint(params)


def output_folders(sources: Sequence[Source], out: str) -> list[Path]:
    """One folder per source: `out` itself for a single one, else below it, by name."""
    return [Path(out)] if len(sources) == 1 else [Path(out) / source.name for source in sources]


def segment_all(
    sources: Sequence[Source],
    written: WrittenFiles,
    segmenter: FrameStep,
    outputs: Outputs,
    *,
    folders: Sequence[Path] | None = None,
    motion: Kind | None = None,
    skip_unreadable: bool = False,
    num_frames: int | None = None,
    streams: int = 1,
) -> int:
    """Segments one source after the other, or so many at once, each into its folder (`output_folders` if not given),
    and prints the closing table; returns the exit status.

    A source that fails does not keep the others from their turn. When they are through, what was wrong with it is
    raised: of one source alone as it came, of several as a group with their names.
    """
    keep_compiled()

    from dvsnet_jax.datasets.label_sets import named_palette
    from dvsnet_jax.inference.segment_source import Summary, segment_source
    from dvsnet_jax.inference.source_identity import identity
    from dvsnet_jax.media.output_folder import OutputFolder

    if outputs.frame_rate is not None and not (math.isfinite(outputs.frame_rate) and outputs.frame_rate > 0):
        raise UsageError(f"--frame-rate is {outputs.frame_rate}, but it counts frames per second: more than 0")
    palette = named_palette(segmenter.num_classes, segmenter.class_names, outputs.palette)
    places = folders or output_folders(sources, outputs.out)
    done: list[tuple[str, Summary]] = []
    failed: dict[str, BaseException] = {}
    together: Summary | None = None
    current = "all together"

    def open_output(source: Source, folder: Path) -> OutputFolder:
        rate = outputs.frame_rate or source.frame_rate or 25
        return OutputFolder(
            folder, palette=palette, classes=segmenter.class_names, frame_rate=rate, products=outputs.products,
            keep_times=outputs.frame_rate is None, written=written,
        )  # fmt: skip

    try:
        with stop_on_interrupt() as stop:
            if streams > 1:
                together = Summary()
                at_once(
                    sources, places, open_output, segmenter, done, failed, together, motion=motion,
                    skip_unreadable=skip_unreadable, num_frames=num_frames, stop=stop, streams=streams,
                )  # fmt: skip
            for source, folder in zip(sources, places, strict=True) if streams == 1 else ():
                if stop.is_set():
                    break
                current = source.name
                try:
                    came = identity(source)
                    total = min(filter(None, (source.count, num_frames)), default=None)
                    output = open_output(source, folder)
                    with progress_bar(source.name, total) as on_progress:
                        summary = segment_source(
                            source,
                            segmenter,
                            output,
                            motion=motion,
                            skip_unreadable=skip_unreadable,
                            num_frames=num_frames,
                            stop=stop,
                            on_progress=on_progress,
                        )
                    if not summary.interrupted:
                        output.finish(came)
                except Exception as error:
                    failed[source.name] = error
                    if source is not sources[-1]:
                        tell(f"dvsnet: {source.name} failed, going on with the others: {lines(error)[0]}")
                    continue
                done.append((source.name, summary))
                tell_skipped(summary)
            interrupted = stop.is_set()
    except KeyboardInterrupt as interrupt:
        if interrupt.__cause__ is not None:
            failed[current] = interrupt.__cause__
        raise interrupt from _together(failed, len(sources))
    finally:
        if done:
            closing_table(done, together)
            for name, summary in done:
                tell_pace(name, summary)
                tell_motion(name, summary)
                tell_audit(name, summary)
                tell_untrusted(name, summary.untrusted, summary.frames, '"untrusted" in routes.jsonl says which')
            tell(f"written to {outputs.out}")
    wrong = _together(failed, len(sources))
    if interrupted:
        if wrong is not None:
            tell("dvsnet: " + "\n".join(lines(wrong)))
        tell(f"dvsnet: interrupted; everything until here is written{'' if folders is None else ', --resume goes on'}")
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
