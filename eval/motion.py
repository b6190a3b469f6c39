r"""Which source of motion carries labels best. Also `dvsnet measure motion`.

    python eval/motion.py CAMVID/val --encoded as-is no-b-frames x264 --every 4

Prints a markdown table for each input and coding.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.motion import MeasureMotion
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(MeasureMotion, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
