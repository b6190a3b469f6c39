"""`dvsnet train flow-joint`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, Distances, Names, Pixels, Positive, Range, Specs, option
from dvsnet_jax.cli.run_options import GOES_ON, RunOptions, clips_named, join_processes, need
from dvsnet_jax.cli.screen import print_validation, step_progress


@dataclass(frozen=True, kw_only=True)
class FineTuneFlow:
    """Stage 2b: fine-tune flow and scale head on warped scores.

    Segmentation stands; flow and scale head learn (paper, section 4.1). Writes SAVE_DIR/metrics.jsonl and
    SAVE_DIR/weights; killed at any moment, the same command goes on and ends the same.
    """

    interrupted: ClassVar[str] = GOES_ON

    data: Specs = ()
    """Clips: video:FILE, frames:FOLDER[:LABELS], cityscapes:ROOT:SPLIT[:LABELS], camvid:ROOT:SPLIT or
    street:COUNT:SEED[:HxW]; @SCALE after it resizes it first. May be given again."""
    validate: Specs = ()
    """The same, to validate on; without, the last parameters are kept."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the run."""
    restore_from: Annotated[str | None, option("PATH")] = None
    """A checkpoint of DVSNet."""
    preset: Literal["cityscapes", "deeplab-v2", "street", "street-lite2"] = "street"
    """The networks, where there is no checkpoint."""
    supervision: Literal["labels", "own"] = "labels"
    """By the data's labels, or by the segmentation network's own, which needs none."""
    steps: Count = 20_000
    """Of the whole run."""
    batch_size: Count = 4
    """Over all devices."""
    learning_rate: Positive = 2e-4
    """At the first step."""
    crop: Pixels = (288, 368)
    """Of the frames trained on."""
    scale: Range = (0.6, 1.4)
    """They are resized by a factor between these first."""
    distances: Distances = (0, 9)
    """Frames between key frame and current frame."""
    hold_out: Names = ()
    """Beginnings of clips' names that are not trained on."""
    only: Names = ()
    """Beginnings of clips' names that are validated on."""
    seed: int = 0
    """Of all that is drawn."""
    run_options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)

    def run(self) -> int:
        need("--data", self.data, "frames:FOLDER")
        if self.only and not self.validate:
            raise UsageError("--only chooses among the clips of --validate; add that, or leave it out")
        join_processes(self.run_options.distributed)

        from dvsnet_jax import checkpoints
        from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
        from dvsnet_jax.datasets.clips import clip_sets
        from dvsnet_jax.training.flow.joint import JointTraining
        from dvsnet_jax.training.flow.joint_run import fine_tune
        from dvsnet_jax.training.parallel import by_first, is_first
        from dvsnet_jax.training.warm_start import begin_any

        training = JointTraining(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate,
            supervision=self.supervision, seed=self.seed,
        )  # fmt: skip
        params, config = begin_any(self.restore_from, self.preset, self.seed)
        classes = config.num_classes
        clips = clip_sets(self.data, hold_out=self.hold_out, num_classes=classes)
        held = clip_sets(self.validate, only=self.only, num_classes=classes) if self.validate else None
        with step_progress("steps", self.steps) as show:
            kept = fine_tune(
                params, config, clips, self.save_dir, training, self.run_options.schedule(self.steps), held_out=held,
                crops=LabelledAugmentation(crop=self.crop, scale=self.scale), distances=self.distances,
                described=clips_named(self),
                on_step=lambda done, at: show(done, f"loss {at['loss']:.3f}, right {at['right']:.3f}"),
                on_validation=print_validation,
            )  # fmt: skip
        by_first(lambda: checkpoints.save(self.save_dir / "weights", {**params, "flow": kept}, config))
        if is_first():
            print(f"{self.save_dir / 'weights'}: DVSNet with this flow network")
        return 0
