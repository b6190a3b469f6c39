r"""The paper's ablation of the decision feature: a decision network trained on each layer of the flow network. Also
`dvsnet measure feature-ablation`.

    python eval/feature_ablation.py --train camvid:CAMVID:train --data camvid:CAMVID:val --save-dir features
    python eval/feature_ablation.py --train street:40:1 --data camvid:CAMVID:val --save-dir features --layers conv6_1

Segmentation and flow are the bundled weights' (or --weights'). For each layer the paper's decision network is trained
from nothing on the same --pairs of frames drawn from --train (labels are not looked at), validated on a quarter as many
from --data, and swept over its targets there. Prints a markdown table: error and rank correlation of the expected
confidence, and the mIoU kept at each share. --json gets a line for every run and every cell. Killed at any moment, the
same command goes on with the training. Other ablations, which need none: eval/ablations.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.feature_ablation import FeatureAblation
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(FeatureAblation, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
