"""`dvsnet measure labels`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dvsnet_jax.cli.option_types import EtcWeights, check_etc_weights
from dvsnet_jax.cli.screen import step_progress, tell_shifted


@dataclass(frozen=True, kw_only=True)
class MeasureLabels:
    """Measure label files of any program as evaluate does its own.

    Prints markdown tables: the row of VSPW's tables, every measure, IoU by class. With ids of things, for KITTI-STEP,
    STQ whole.
    """

    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """The truth: vspw:ROOT:SPLIT, and so kitti-step, cityscapes-vps, apolloscape, bdd100k, vistas, idd and a2d2,
    camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT[:LABELS] or frames:FRAMES:LABELS."""
    predicted: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder with a folder for each clip, in it a PNG for each frame, called as the frame: 0 to the number of classes
    less one, 255 void. For kitti-step also panoptic maps, as its truth is."""
    num_classes: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 19
    """Of the labels; the data is read in classes of its own where it has as many, else as Cityscapes' 19."""
    no_consistency: bool = False
    """Leave out temporal consistency, which takes optical flow."""
    flownet2: EtcWeights = None

    def run(self) -> int:
        check_etc_weights(self.flownet2, no_consistency=self.no_consistency)

        from dvsnet_jax.datasets.clips import named_clips
        from dvsnet_jax.datasets.flow.dis import find_flow
        from dvsnet_jax.datasets.readers.named import own_classes
        from dvsnet_jax.evaluation.clips.label_counts import truth_matrix
        from dvsnet_jax.evaluation.predicted import measure_predicted
        from dvsnet_jax.evaluation.published_flow import flows_for, load_etc_flow
        from dvsnet_jax.evaluation.reports import evaluation as reports
        from dvsnet_jax.markdown import markdown_table
        from dvsnet_jax.metrics.tracking import association_quality, stq

        kind = self.data.partition(":")[0]
        classes = reports.counted_as(kind, self.num_classes)
        clips = named_clips([self.data], num_classes=self.num_classes)
        etc_flow = load_etc_flow(self.flownet2) if self.flownet2 else None
        with step_progress("clips", len(clips)) as show:
            found = measure_predicted(
                clips, self.predicted, has_ids=kind == "kitti-step", num_classes=self.num_classes, classes=classes,
                find_flow=None if self.no_consistency else find_flow,
                published_tc=flows_for(etc_flow, vspw=not self.no_consistency),
                on_clip=lambda done: show(done, ""),
            )  # fmt: skip
        metrics = reports.label_metrics(found.labels)
        numbers = {"dvsnet": metrics, "every_frame": None}
        names = own_classes([kind], self.num_classes) or reports.usual_names(self.num_classes, classes)
        print(f"{self.data}: {found.clips} clips, {found.frames} frames, {found.labelled} with labels\n")
        print(markdown_table(reports.vspw_table(numbers, str(self.predicted))), end="\n\n")
        print(markdown_table(reports.label_table(metrics)), end="\n\n")
        print(markdown_table(reports.class_table(numbers, names, "labels")))
        tell_shifted(truth_matrix(found.labels))
        if found.tubes is not None:
            association = association_quality(found.tubes)
            print(f"\nAQ {association:.2%}, STQ {stq(association, metrics['segmentation_quality'] or 0):.2%}")
        return 0
