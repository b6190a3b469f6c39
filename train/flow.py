r"""Stage 2: train the flow network, on true flow (`supervised`), then through the segmentation network (`joint`). Also
`dvsnet train flow-supervised` and `dvsnet train flow-joint`.

    python train/flow.py supervised --data street:2000:1 --validate street:40:2 --restore-from WEIGHTS --save-dir RUN_A
    python train/flow.py joint --data cityscapes:ROOT:train:pseudo@0.5 --restore-from RUN_A/weights --save-dir RUN_B

Both write RUN/metrics.jsonl and RUN/weights; killed at any moment, the same command goes on and ends the same. Each has
a --help of its own.

The bundled weights' three supervised runs, 15,500 steps (commands in docs/model_card.md), took 101 minutes on two cores
of an AMD EPYC and ended at an endpoint error of 8.4 px on drawn streets, where no flow at all has 18.8, and of 5.9 on
pairs of Cityscapes, where it has 14.3.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.train.flow_joint import FineTuneFlow
from dvsnet_jax.cli.commands.train.flow_supervised import TrainFlow
from dvsnet_jax.cli.running import Family, run_recipe

STAGES = Family("Stage 2.", {"supervised": TrainFlow, "joint": FineTuneFlow})


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(STAGES, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
