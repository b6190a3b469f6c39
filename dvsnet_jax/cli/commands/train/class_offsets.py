"""`dvsnet train class-offsets`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from dvsnet_jax.cli.option_types import Count, Names, Positional, Positive, Specs
from dvsnet_jax.cli.run_options import need
from dvsnet_jax.cli.screen import step_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.datasets.samples import LabelledImage
    from dvsnet_jax.networks import Params
    from dvsnet_jax.training.class_offsets import PixelScores


@dataclass(frozen=True, kw_only=True)
class ClassOffsets:
    """After stage 1: how readily each class is chosen.

    Looks for what to add to each class's scores so that the mean IoU of the pictures trained on is largest, and writes
    a checkpoint whose configuration says so: it is added to the network's scores. For after --class-weights, which has
    rare classes found too often.
    """

    weights: Positional[str]
    """A checkpoint of DVSNet."""
    data: Specs = ()
    """A data set, as for segmentation, but for shares: each counts the same. May be given again."""
    validate: Specs = ()
    """The same, to see what it does to others; chooses nothing."""
    hold_out: Names = ()
    """Beginnings of names in DATA that are not looked at."""
    most: Positive = 1.0
    """Added or taken away; more fits what is rare in DATA too well."""
    pictures: Count = 400
    """Looked at in each set, at most."""
    pixels: Count = 1000
    """Looked at in each picture, at most."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Where the checkpoint is written."""

    def run(self) -> int:
        need("--data", self.data, "folder:FRAMES:LABELS")

        from dvsnet_jax import SegmentationFunction, checkpoints
        from dvsnet_jax.config import OwnSegmentationConfig
        from dvsnet_jax.datasets.labelled_sets import labelled_set
        from dvsnet_jax.errors import InputError
        from dvsnet_jax.evaluation.reports.evaluation import class_names
        from dvsnet_jax.markdown import Table, markdown_table
        from dvsnet_jax.training.class_offsets import class_offsets, offset_mean_iou
        from dvsnet_jax.training.restoring import restore

        params, config = restore(self.weights)
        if isinstance(config.segmentation, SegmentationFunction | OwnSegmentationConfig):
            raise InputError(
                f"{self.weights}: is around a network of your own; this is for those that are trained here"
            )
        none = (0.0,) * config.num_classes
        sources = {
            spec: labelled_set(spec, num_classes=config.num_classes, hold_out=self.hold_out) for spec in self.data
        } | {spec: labelled_set(spec, num_classes=config.num_classes) for spec in self.validate}
        sets = {spec: self._pixels(spec, source, params, config) for spec, source in sources.items()}
        offsets = class_offsets([sets[spec] for spec in self.data], most=self.most)
        checkpoints.save(self.save_dir, params, config.replace(class_offsets=offsets))
        rows = [
            (spec, f"{offset_mean_iou(each, none):.2%}", f"{offset_mean_iou(each, offsets):.2%}")
            for spec, each in sets.items()
        ]
        print(markdown_table(Table(("mIoU of the pixels looked at", "before", "after"), tuple(rows))) + "\n")
        names = class_names(config, "own")
        print(", ".join(f"{name} {offset:+.1f}" for name, offset in zip(names, offsets, strict=True)))
        print(f"{self.save_dir}: written")
        return 0

    def _pixels(self, spec: str, source: Sequence[LabelledImage], params: Params, config: DVSNetConfig) -> PixelScores:
        from dvsnet_jax.evaluation.reports.evaluation import counted_as
        from dvsnet_jax.training.class_offsets import pixel_scores

        with step_progress(spec, min(self.pictures, len(source))) as show:
            return pixel_scores(
                params["segmentation"], source, config.segmentation, pictures=self.pictures, pixels=self.pixels,
                classes=counted_as(spec.partition(":")[0], config.num_classes),
                on_picture=lambda done: show(done, ""),
            )  # fmt: skip
