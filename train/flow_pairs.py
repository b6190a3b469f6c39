r"""Before stage 2a: flow pairs from unlabelled video, the flow found by a classical method (DIS) and checked. Also
`dvsnet train flow-pairs`.

    python train/flow_pairs.py --data cityscapes:CITYSCAPES:train@0.35 --data video:DRIVE.mp4@0.6 --save-dir PAIRS
    python train/flow.py supervised --data pairs:PAIRS --data street:2000:1 --save-dir RUN

Each frame is paired with those --gaps before it, current frame first as DVSNet's flow network reads them. Flow counts
where the way there and the way back agree; pairs with less than --share of such pixels are left out. Nothing is
computed twice, so the same command goes on where it was.

The 1,483 pairs of the bundled weights (commands in docs/model_card.md) took 8 minutes on two cores of an AMD EPYC.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.train.flow_pairs import FlowPairs
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(FlowPairs, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
