r"""When to segment a region anew: policies compared on labelled video at equal share of regions segmented. Also
`dvsnet policies`.

    python eval/policies.py --data camvid:CAMVID:val --json policies.jsonl --report policies.html
    python eval/policies.py --weights WEIGHTS --data cityscapes:CITYSCAPES:train:pseudo --scale 0.5 \
        --only aachen_000004 aachen_000005
    python eval/policies.py --data cityscapes:CITYSCAPES:val --protocol snippets

Consecutive labelled frames are a clip, whose first frame is segmented whole and counts (--protocol every). The paper's
protocol (snippets): frames 1 to 20, of which the first does not count and the last alone has labels. Every frame is
segmented once; then each policy's threshold is searched for with runs that only warp, and what is printed at a share is
interpolated between the nearest runs (dvsnet_jax.evaluation.policies.sweep). `oracle` knows how many warped labels are
right. CamVid is measured in its own 11 classes. Prints markdown tables: mIoU, outlines, temporal consistency (along
flow that dense inverse search finds), settings, multiply-adds and time a frame, and the Pareto front. --json gets a
line for every run and every cell, --report is a page with plots and a player. The tables are in eval/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.policies import ComparePolicies
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(ComparePolicies, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
