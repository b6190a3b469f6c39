r"""Stage 3, second half: train the decision network to predict the agreement (the original's train.py). Also
`dvsnet train decision`.

    python train/decision.py --train-data-dir decision/train --val-data-dir decision/val --save-dir decision/run \
        --restore-from WEIGHTS

Needs what train/decision_data.py wrote (or the original's X.npy and Y.npy). Prints each epoch and, at the end, MAE and
rank correlation on the validation set beside the mean and a line on flow magnitude; writes metrics.jsonl, result.json,
calibration.png and, with --restore-from, WEIGHTS with the trained decision network in it as --save-dir/weights. Killed
at any moment, the same command goes on and ends with the same parameters. A CPU will do: the network is small. Every
device there is takes a share of each batch; --distributed makes it one of several processes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.train.decision import TrainDecision
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(TrainDecision, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
