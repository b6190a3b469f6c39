"""`dvsnet segment`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dvsnet_jax.cli.classes import Classes
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.keeping import keeping, tell_other_motion
from dvsnet_jax.cli.motion import Motion, carried, check_program, found_by
from dvsnet_jax.cli.option_types import OptionalCount, OptionalPath, OptionalPlace, OptionalShare, option
from dvsnet_jax.cli.precision import check_precision
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.segmenting.all_inputs import segment_all
from dvsnet_jax.cli.segmenting.going_on import decisive, left_to_do
from dvsnet_jax.cli.segmenting.live import Live, make_live
from dvsnet_jax.cli.segmenting.many import Many, waiting_for_others
from dvsnet_jax.cli.segmenting.outputs import Outputs, output_folders
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights

if TYPE_CHECKING:
    from dvsnet_jax.inference.segment_source import FrameStep
    from dvsnet_jax.media.durable.records import Part


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Segment videos, folders of images, streams and cameras.

    Writes label ids, colour masks, an overlay video, and how each region of each frame was routed.
    """

    inputs: Annotated[tyro.conf.Positional[tuple[str, ...]], option("INPUT …")] = ()
    """A video file, a folder of images, a list of images (.txt), images, a stream (rtsp://…) or a camera."""
    weights: Annotated[str | None, option("PATH", "--restore-from")] = None
    """Checkpoint folder, .safetensors, or a TensorFlow checkpoint of the original; street-large, the heavier ones that
    come with the package; if not given, the lighter ones, street."""
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
    matrix: Literal["auto", "bt601", "bt709"] = "auto"
    """Of the colours of videos that name none: by their size, BT.709 from 720 rows or 1280 columns on, BT.601 below."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)
    outputs: Annotated[Outputs, tyro.conf.arg(name="")] = field(default_factory=Outputs)
    many: Annotated[Many, tyro.conf.arg(name="")] = field(default_factory=Many)
    live: Annotated[Live, tyro.conf.arg(name="")] = field(default_factory=Live)

    def run(self) -> int:
        locations = [*self.inputs, *([self.data_list] if self.data_list is not None else [])]
        if not locations:
            raise UsageError("nothing to segment; name a video, a folder or a list of images, or --data-list")
        if self.num_steps is not None and self.num_steps < 1:
            raise UsageError(f"--num-steps is {self.num_steps}, but it counts frames: 1 or more")

        settings = self.settings
        named = (self.weights, self.segmentation, self.classes, self.decision_from, self.precision)
        settled = (*named, self.keep, self.audit, self.recalibrate, self.settings)
        if self.program is not None and settled != (*[None] * 4, "float32", None, False, False, Settings()):
            raise UsageError(
                "--program holds its weights, and its policy, precision and sizes are settled; leave out --weights, "
                "--segmentation, --classes, --decision-from, --keep, --audit, --recalibrate, --policy and the like, or "
                "export another with 'dvsnet export'"
            )
        if self.keep is not None and (self.weights is None or settings.chooses_policy):
            raise UsageError(
                "--keep chooses the policy's limit by the table of --weights, those that 'dvsnet accelerate --keep' "
                "wrote; add them, and leave out --policy and its numbers"
            )
        if self.keep is not None and settings.makes_other_labels:
            raise UsageError(
                "--keep says what was measured with the regions of --weights, each by itself; leave out --regions, "
                "--overlap, --input-size and --fuse"
            )
        if self.program is not None and self.many.devices > 1:
            raise UsageError(
                "--program holds a step for one device; leave out --devices, or give --weights in its place"
            )
        if self.many.together == "on" and self.many.devices > 1:
            raise UsageError(
                "--together on segments several inputs at once, --devices deals out the frames of one; leave one out"
            )
        if self.program is not None and "scores" in self.outputs.save:
            raise UsageError("--save scores wants scores, which an exported program (--program) does not give")
        if self.many.devices > 1 and "scores" in self.outputs.save:
            raise UsageError("--save scores wants scores, which --devices does not bring together; leave one out")
        if self.outputs.overwrite and self.outputs.resume:
            raise UsageError("--overwrite removes what --resume would go on with; leave one out")
        part = self.many.part()
        if self.outputs.overwrite and part.count > 1:
            raise UsageError("--overwrite does not go with --worker or --distributed: remove the folder beforehand")
        with waiting_for_others(part, distributed=self.many.distributed):
            return self._run(locations, part)

    def _run(self, locations: Sequence[str], part: Part) -> int:
        from dvsnet_jax.inference.further_products import check_further
        from dvsnet_jax.inference.source_identity import is_live
        from dvsnet_jax.media.output_folder import check_products
        from dvsnet_jax.media.reading.opened import Reading
        from dvsnet_jax.media.sources import open_sources
        from dvsnet_jax.media.written_files import WrittenFiles

        # All that can be wrong is looked at before the weights are read, which takes longest.
        reading = Reading(
            rotate=not self.no_rotate, stream=self.stream, matrix=None if self.matrix == "auto" else self.matrix
        )
        opened = open_sources(locations, data_dir=self.data_dir, reading=reading)
        sources = [make_live(source, self.live, self.motion) for source in opened]
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
            group = self.many.group([source for source, _ in inputs if not is_live(source)])
            left = left_to_do(inputs, written, group)
            for source, folder in left:
                written.check_kept(source.files)
                check_products(written, folder, self.outputs.products)
                check_further(written, folder, self.outputs.save)
            segmenter, weights = self._segmenter()
            shared = self.many.shared(segmenter, part)
            written.settle(decisive(self, segmenter, weights, several=len(sources) > 1, together=group))
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
                streams=group or self.many.at_once(segmenter, [source for source, _ in left if not is_live(source)]),
                serve=self.live.serve,
                shared=shared,
                together=group is not None,
                advise_size=self._is_bundled() and self.settings.input_size is None,
            )

    def _is_bundled(self) -> bool:
        """Whether the package's own weights segment."""
        if self.program is not None:  # which runs without what reads checkpoints
            return False

        from dvsnet_jax.checkpoints import bundled_name

        return self.weights is None or bundled_name(self.weights) is not None

    def _segmenter(self) -> tuple[FrameStep, str]:
        """It, and what tells its weights from others: as they are stored, since preparing them may round otherwise on
        another machine."""
        from dvsnet_jax.training.run_folder import fingerprint

        if self.program is not None:
            from dvsnet_jax.program import load_program

            program = load_program(self.program)
            check_program(self.motion, program, self.program)
            return program, fingerprint(program.params)

        from dvsnet_jax.inference.segment_source import Segmenter
        from dvsnet_jax.policies import FixedInterval, FlowMagnitude, FrameDifference

        params, config = load_weights(self.weights, self.decision_from, self.motion, self.segmentation, self.classes)
        config = self.settings.apply(carried(self.motion, config))
        check_precision(config, self.precision)
        if self.keep is not None and self.weights is not None:
            from dvsnet_jax.evaluation.policies.promise import read_table

            table = read_table(self.weights)
            config = keeping(config, table, self.keep, weights=self.weights)
            tell_other_motion(table, "network" if config.searches_motion else found_by(self.motion) or "dis")
        if self.recalibrate and isinstance(config.policy, FixedInterval | FrameDifference | FlowMagnitude):
            tell(
                f"dvsnet: --recalibrate sets the scores in routes.jsonl right, and nothing else: {config.policy} goes "
                "by none, so the same regions are segmented"
            )
        audit = self.audit or self.keep is not None
        segmenter = Segmenter(
            params, config, precision=self.precision, audit=audit, recalibrate=self.recalibrate,
            devices=self.many.chosen_devices(),
            every_score="scores" in self.outputs.save,
        )  # fmt: skip
        return segmenter, fingerprint(params)
