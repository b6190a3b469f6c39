r"""How good the segmentation network is: every picture segmented, against its labels, whole and cut into regions. Also
`dvsnet measure segmentation`.

    python eval/segmentation.py --data camvid:CAMVID:val [--weights WEIGHTS]
    python eval/segmentation.py --data cityscapes:CITYSCAPES:train:pseudo@0.5 --only aachen_000004 aachen_000005
    python eval/segmentation.py --data cityscapes256:PACKED:train:zurich,ulm

Without --weights, the bundled ones. "In regions" is what DVSNet shows where it segments everything. Prints a markdown
table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.segmentation import MeasureSegmentation
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(MeasureSegmentation, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
