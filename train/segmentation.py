r"""Stage 1: train the segmentation network. Also `dvsnet train segmentation`.

    python train/segmentation.py --data camvid:CAMVID:train --data cityscapes:CITYSCAPES:train:pseudo@0.5 \
        --hold-out aachen_000004 aachen_000005 --validate camvid:CAMVID:val --restore-from imagenet --save-dir RUN

Writes RUN/metrics.jsonl and RUN/weights, a checkpoint of DVSNet with this segmentation network in it, the best by
validation. Killed at any moment, the same command goes on and ends with the same parameters.

The bundled weights took 1,600 steps (the whole command is in docs/model_card.md), an hour on two cores of an AMD EPYC,
and reached a mIoU of 67.3 % on CamVid val's whole pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.train.segmentation import TrainSegmentation
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(TrainSegmentation, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
