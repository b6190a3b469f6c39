r"""Stage 3, first half: the training set of the decision network from pairs of frames (the original's gentestcase.py).
Also `dvsnet train decision-data`.

    python train/decision_data.py --data-dir CITYSCAPES --data-list imagestrain_13 --restore-from WEIGHTS \
        --save-dir decision/train

WEIGHTS is a checkpoint of ours or the original's in TensorFlow's files. The list has three columns, key frame, current
frame and labels, of which the labels are neither read nor looked for (write - where there are none). Writes X.npy,
Y.npy, flow_magnitude.npy and samples.jsonl to --save-dir; prints the number of samples and their mean agreement.
Killed at any moment, the same command goes on where it was. Each pair costs two segmentations of a frame.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.train.decision_data import DecisionData
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(DecisionData, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
