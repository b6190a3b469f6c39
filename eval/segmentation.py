r"""How good the segmentation network is: every picture segmented, against its labels, whole and cut into regions.

    python eval/segmentation.py --data camvid:CAMVID:val [--weights WEIGHTS]
    python eval/segmentation.py --data cityscapes:CITYSCAPES:train:pseudo@0.5 --only aachen_000004 aachen_000005
    python eval/segmentation.py --data cityscapes256:PACKED:train:zurich,ulm

Without --weights, the bundled ones. Data: camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT[:LABELS],
cityscapes256:ROOT:SPLIT[:CITIES[:clean]], folder:FRAMES:LABELS, street:COUNT:SEED[:HxW], with @SCALE. "In regions" is
what DVSNet shows where it segments everything; void pixels do not count, and means are over the classes that occur.
CamVid is measured in its own 11 classes. Prints a markdown table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from dvsnet_jax import checkpoints
from dvsnet_jax.datasets import camvid, cityscapes
from dvsnet_jax.datasets.labelled_sets import labelled_set
from dvsnet_jax.evaluation.segmentation import in_regions, whole
from dvsnet_jax.networks import prepare
from dvsnet_jax.segmentation_metrics import class_ious, mean_iou, pixel_accuracy
from dvsnet_jax.training import command
from dvsnet_jax.training.restoring import restore


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--weights", help="a checkpoint of DVSNet; default: the bundled weights")
    parser.add_argument("--data", required=True, help="a labelled set, as above")
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of the pictures' names")
    parser.add_argument("--whole-only", action="store_true", help="not cut into regions: quicker")
    options = command.parse(parser, argv)
    params, config = restore(options.weights) if options.weights else checkpoints.load_bundled()
    params = prepare(params, config)
    classes = "camvid" if options.data.startswith("camvid:") and config.num_classes == 19 else "own"
    source = labelled_set(options.data, num_classes=config.num_classes, only=options.only)
    matrices = {}
    with command.progress("pictures", (1 if options.whole_only else 2) * len(source)) as show:
        matrices["whole"] = whole(
            params["segmentation"], source, config.segmentation, classes=classes,
            on_picture=lambda done: show(done, "whole"),
        )  # fmt: skip
        if not options.whole_only:
            matrices["in regions"] = in_regions(
                params, source, config, classes=classes, on_picture=lambda done: show(len(source) + done, "in regions")
            )
    names = camvid.CLASSES if classes == "camvid" else cityscapes.CLASSES if config.num_classes == 19 else ()
    print(f"{' '.join([options.data, *options.only])}: {len(source)} pictures\n")
    print(f"| | {' | '.join(matrices)} |\n|---|{'--:|' * len(matrices)}")
    for title, metric in (("mIoU", mean_iou), ("pixel accuracy", pixel_accuracy)):
        print(f"| **{title}** | {' | '.join(f'{metric(matrix):.2%}' for matrix in matrices.values())} |")
    for index, ious in enumerate(zip(*(class_ious(matrix) for matrix in matrices.values()), strict=True)):
        if not np.isnan(ious).all():  # the class occurs
            print(f"| {names[index] if names else index} | {' | '.join(f'{iou:.1%}' for iou in ious)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
