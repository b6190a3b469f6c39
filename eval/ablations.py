r"""The paper's ablations: the frame step with one thing changed, on labelled video. Also `dvsnet measure ablations`.

    python eval/ablations.py overlap regions warping --data camvid:CAMVID:val --json ablations.jsonl
    python eval/ablations.py overlap regions warping --data cityscapes:CITYSCAPES:val --protocol snippets --scale 0.5

`overlap`: regions reach 0, 32, 64 or 128 pixels over their border. `regions`: a frame cut into 1×1, 1×2, 2×2, 4×4.
`warping`: the key frame's scores with and without the scale field, or its labels. Weights stay as they are (the bundled
ones, or --weights); each variant is swept over --policy's range to the --shares (`evaluation.policies.ablations`).

Prints a markdown table for each, as they are in eval/README.md; --json gets a line for every run and every row. Which
layer of the flow network the paper's decision network should read takes training: eval/feature_ablation.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.ablations import Ablations
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Ablations, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
