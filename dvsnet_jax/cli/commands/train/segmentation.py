"""`dvsnet train segmentation`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import tyro

from dvsnet_jax.cli.option_types import (
    Amount,
    Chance,
    Count,
    CountOrNone,
    Names,
    OptionalAtMostAll,
    OptionalPositive,
    Pixels,
    Positive,
    Range,
    Share,
    Specs,
    option,
)
from dvsnet_jax.cli.run_options import GOES_ON, Precision, RunOptions, chosen_precision, join_processes, need
from dvsnet_jax.cli.screen import print_validation, step_progress

if TYPE_CHECKING:
    from dvsnet_jax.networks import Params
    from dvsnet_jax.training.segmentation import SegmentationTraining


@dataclass(frozen=True, kw_only=True)
class TrainSegmentation:
    """Stage 1: train the segmentation network on labelled frames.

    Writes SAVE_DIR/metrics.jsonl and SAVE_DIR/weights, a checkpoint of DVSNet with this segmentation network in it, the
    best by validation. Killed at any moment, the same command goes on and ends with the same parameters.
    """

    interrupted: ClassVar[str] = GOES_ON

    data: Specs = ()
    """A data set, camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT[:LABELS], cityscapes256:ROOT:SPLIT[:CITIES[:clean]],
    vspw:ROOT:SPLIT, and so kitti-step, cityscapes-vps, apolloscape, bdd100k, vistas, idd and a2d2,
    folder:FRAMES:LABELS or street:COUNT:SEED[:HxW]; @SCALE after it resizes it first. May be given again; %30 after it
    all says that 30 % of the crops are of this set."""
    validate: Specs = ()
    """The same, to validate on, each measured by itself: the mean of their mIoU chooses. Without, the last parameters
    are kept."""
    hold_out: Names = ()
    """Beginnings of names that are not trained on."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the run."""
    restore_from: Annotated[str | None, option("PATH")] = None
    """A checkpoint of any DVSNet (with another number of classes the last layers are fresh), or imagenet: the trunk of
    the street presets' EfficientNet-Lite. Without it all is fresh."""
    preset: Literal["cityscapes", "deeplab-v2", "street", "street-lite2"] = "street"
    """The networks, where there is no checkpoint."""
    num_classes: Count = 19
    """Of the labels."""
    steps: Count = 1000
    """Of the whole run."""
    batch_size: Count = 8
    """Over all devices."""
    crop: Pixels = (320, 320)
    """Of the pictures trained on."""
    scale: Range = (0.5, 2.0)
    """They are resized by a factor between these first."""
    crop_tries: Count = 1
    """Crops drawn for each that is taken: the one of the most varied classes."""
    color: Amount = 1.0
    """How far colours change, over the usual."""
    sharpness: Chance = 0.0
    """Share of the crops that are made softer or sharper."""
    learning_rate: Positive = 3e-3
    """Of the head, at the first step."""
    trunk_rate: Positive = 0.15
    """The trunk's learning rate over the head's."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """How the parameters move."""
    weight_decay: Amount = 1e-4
    """Of kernels."""
    warmup: CountOrNone = 0
    """Steps in which the learning rate rises from 0."""
    average: Share = 0.998
    """Of the exponential mean of the parameters, which is what is kept; 0 keeps the last ones."""
    batch_norm: Literal["trained", "frozen"] = "trained"
    """frozen: with the moments that are stored."""
    freeze: Names = ()
    """Beginnings of layers' names that stay as they are."""
    class_weights: Annotated[OptionalPositive, tyro.conf.arg(metavar="MOST")] = None
    """Weigh classes by 1/√frequency, at most so much."""
    hard_share: OptionalAtMostAll = None
    """Online hard example mining: the least share of pixels that count."""
    loss_every: Count = 1
    """The loss looks at every n-th pixel down and across."""
    precision: Precision = "float32"
    """Of activations; bfloat16 is for accelerators, but not for depthwise convolutions on a GPU."""
    in_memory: bool = False
    """Read the data once and keep it."""
    seed: int = 0
    """Of all that is drawn."""
    run_options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)

    def run(self) -> int:
        need("--data", self.data, "folder:FRAMES:LABELS")
        join_processes(self.run_options.distributed)

        from dvsnet_jax import checkpoints
        from dvsnet_jax.datasets.augment.labelled import ColorRange, LabelledAugmentation
        from dvsnet_jax.datasets.labelled_sets import check_labelled, count_pixels, labelled_set, labelled_sets
        from dvsnet_jax.training.parallel import by_first, is_first
        from dvsnet_jax.training.segmentation_loss import weights_by_frequency
        from dvsnet_jax.training.segmentation_run import train_segmentation
        from dvsnet_jax.training.warm_start import PRESETS, begin

        source = labelled_sets(
            self.data, num_classes=self.num_classes, in_memory=self.in_memory, hold_out=self.hold_out
        )
        held = {spec: labelled_set(spec, num_classes=self.num_classes) for spec in self.validate}
        for spec, each in ((" ".join(self.data), source), *held.items()):  # before the training, not after
            check_labelled(each, spec)
        params, config, note = begin(self.restore_from, PRESETS[self.preset], self.num_classes, self.seed)
        if note and is_first():
            print(note, flush=True)
        self._check(params)
        config = config.replace(class_offsets=())  # of the parameters that it began from
        pixels = count_pixels(source, self.num_classes)  # in any case: a label that is no class shows now
        weights = weights_by_frequency(pixels, most=self.class_weights).tolist() if self.class_weights else None
        training = self._training(tuple(weights) if weights else None)
        with step_progress("steps", self.steps) as show:
            kept = train_segmentation(
                params["segmentation"], config.segmentation, source, self.save_dir, training,
                self.run_options.schedule(self.steps), held_out=held,
                crops=LabelledAugmentation(
                    crop=self.crop, scale=self.scale, color=ColorRange().scaled(self.color), sharpness=self.sharpness,
                    tries=self.crop_tries,
                ),
                described={
                    "data": self.data, "held out": self.hold_out, "validated on": self.validate or None,
                    "color": self.color,
                },
                on_step=lambda done, metrics: show(done, f"loss {metrics['loss']:.3f}"),
                on_validation=print_validation,
            )  # fmt: skip
        by_first(lambda: checkpoints.save(self.save_dir / "weights", {**params, "segmentation": kept}, config))
        if is_first():
            print(f"{self.save_dir / 'weights'}: DVSNet with this segmentation network")
        return 0

    def _check(self, params: Params) -> None:
        from dvsnet_jax.errors import InputError

        if unknown := [name for name in self.freeze if not any(k.startswith(name) for k in params["segmentation"])]:
            raise InputError(f"--freeze {' '.join(unknown)}: no layer's name begins so (stem, block0_, res2a …)")
        if self.warmup >= self.steps:
            raise InputError(f"--warmup is {self.warmup}, but --steps {self.steps}; warm up in fewer than all of them")

    def _training(self, class_weights: tuple[float, ...] | None) -> SegmentationTraining:
        from dvsnet_jax.training.segmentation import SegmentationTraining

        return SegmentationTraining(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate, trunk_rate=self.trunk_rate,
            optimizer=self.optimizer, weight_decay=self.weight_decay, warmup=self.warmup, average=self.average,
            batch_norm=self.batch_norm, freeze=self.freeze, hard_share=self.hard_share, every=self.loss_every,
            class_weights=class_weights,
            precision=chosen_precision(self.precision), seed=self.seed,
        )  # fmt: skip
