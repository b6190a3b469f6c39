r"""How good the flow network of a DVSNet is: endpoint error where flow is known, and what warping gains over copying.
Also `dvsnet measure flow`.

    python eval/flow.py --pairs pairs:FLOW --pairs street:40:9 --clips camvid:CAMVID:val [--weights WEIGHTS]

Without --weights, the bundled ones; what they print is in docs/model_card.md. The network reads pairs at their own
size. In clips a key frame's labels, warped or copied, are held against those of segmenting the current frame. Prints
markdown tables.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.flow import MeasureFlow
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(MeasureFlow, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
