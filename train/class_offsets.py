r"""After stage 1: how readily each class is chosen, so that the mean IoU is largest. Also `dvsnet train class-offsets`.

    python train/class_offsets.py RUN/weights --data camvid:CAMVID:train \
        --data cityscapes256:PACKED:train:-zurich,-darmstadt:clean --save-dir EVEN

--class-weights has rare classes found too often. What is to be added to each class's scores is looked for on pictures
that were trained on, 1,000 pixels each of 400 at most, and is in the configuration of the checkpoint that is written.
Prints the mIoU before and after, which --validate adds other sets to.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.train.class_offsets import ClassOffsets
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(ClassOffsets, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
