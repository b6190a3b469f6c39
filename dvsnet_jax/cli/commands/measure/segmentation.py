"""`dvsnet measure segmentation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from dvsnet_jax.cli.classes import Classes, of_classes
from dvsnet_jax.cli.option_types import Names, option
from dvsnet_jax.cli.screen import step_progress, tell_shifted
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.networks import Params


@dataclass(frozen=True, kw_only=True)
class MeasureSegmentation:
    """Measure the segmentation network: mIoU, whole and in regions.

    "In regions" is what DVSNet shows where it segments everything; void pixels do not count, and means are over the
    classes that occur. CamVid is measured in its own 11 classes. Prints a markdown table, and how often neighbouring
    regions differ where they overlap.
    """

    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """Labelled pictures: camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT[:LABELS], cityscapes256:ROOT:SPLIT[:CITIES[:clean]],
    vspw:ROOT:SPLIT, and so kitti-step, cityscapes-vps, apolloscape, bdd100k, vistas, idd and a2d2,
    folder:FRAMES:LABELS or street:COUNT:SEED[:HxW]; @SCALE after it resizes them first."""
    only: Names = ()
    """Beginnings of the pictures' names that are taken."""
    whole_only: bool = False
    """Not cut into regions: quicker."""
    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint of DVSNet; the bundled weights if not given."""
    segmentation: OwnSegmentation = None
    classes: Classes = None

    def run(self) -> int:
        import numpy as np

        from dvsnet_jax import SegmentationFunction
        from dvsnet_jax.datasets.labelled_sets import labelled_set
        from dvsnet_jax.datasets.readers.named import own_classes
        from dvsnet_jax.evaluation.clips.sources import check_classes
        from dvsnet_jax.evaluation.reports.evaluation import class_names, counted_as
        from dvsnet_jax.evaluation.segmentation import counting, disagreement, in_regions, whole
        from dvsnet_jax.metrics.segmentation import class_ious, mean_iou, mean_iou_with_void, pixel_accuracy
        from dvsnet_jax.networks import prepare

        params, config = self._restored()
        kind = self.data.partition(":")[0]
        check_classes([self.data], config)
        params, classes = prepare(params, config), counted_as(kind, config.num_classes)
        void = np.zeros((2, counting(config.num_classes, classes)[1]), np.int64)
        source = labelled_set(self.data, num_classes=config.num_classes, only=self.only)
        with step_progress("pictures", (1 if self.whole_only else 2) * len(source)) as show:
            if isinstance(config.segmentation, SegmentationFunction):  # which takes sides that are multiples of 16
                matrices = {"whole": in_regions(
                    params, source, config.replace(regions=(1, 1), overlap=0), classes=classes, void=void[0],
                    on_picture=lambda done: show(done, "whole"),
                )}  # fmt: skip
            else:
                matrices = {"whole": whole(
                    params["segmentation"], source, config.segmentation, offsets=config.class_offsets,
                    classes=classes, void=void[0],
                    on_picture=lambda done: show(done, "whole"),
                )}  # fmt: skip
            if not self.whole_only:
                matrices["in regions"] = in_regions(
                    params, source, config, classes=classes, void=void[1],
                    on_picture=lambda done: show(len(source) + done, "in regions"),
                )  # fmt: skip
        names = own_classes([kind], config.num_classes) or class_names(config, classes)
        print(f"{' '.join([self.data, *self.only])}: {len(source)} pictures\n")
        print(f"| | {' | '.join(matrices)} |\n|---|{'--:|' * len(matrices)}")
        for title, metric in (("mIoU", mean_iou), ("pixel accuracy", pixel_accuracy)):
            print(f"| **{title}** | {' | '.join(f'{metric(matrix):.2%}' for matrix in matrices.values())} |")
        if void.any():
            counts = list(zip(void, matrices.values(), strict=False))
            left = " | ".join(f"{lost.sum() / (lost.sum() + matrix.sum()):.2%}" for lost, matrix in counts)
            wrong = " | ".join(f"{mean_iou_with_void(matrix, lost):.2%}" for lost, matrix in counts)
            print(
                f"| labelled pixels left void, which the above leaves out | {left} |\n| mIoU, void as wrong | {wrong} |"
            )
        for index, ious in enumerate(zip(*map(class_ious, matrices.values()), strict=True)):
            if not np.isnan(ious).all():  # the class occurs
                print(f"| {names[index]} | {' | '.join(f'{iou:.1%}' for iou in ious)} |")
        tell_shifted(matrices["whole"])
        if not self.whole_only and not np.isnan(share := disagreement(params, source, config)):
            print(f"\nNeighbouring regions differ in {share:.2%} of the pixels that both have.")
        return 0

    def _restored(self) -> tuple[Params, DVSNetConfig]:
        from dvsnet_jax import checkpoints
        from dvsnet_jax.config import OwnSegmentationConfig
        from dvsnet_jax.training.restoring import restore

        if self.segmentation is None:
            params, config = restore(self.weights) if self.weights else checkpoints.load_bundled()
            if not isinstance(config.segmentation, OwnSegmentationConfig):
                return params, config if self.classes is None else of_classes(config, params, self.classes)
        return load_weights(  # which says what is missing
            self.weights, None, segmentation=self.segmentation, classes=self.classes
        )
