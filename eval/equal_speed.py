r"""Networks side by side at equal frames per second: mIoU at each share of regions segmented, from runs of `policies`.
Also `dvsnet measure equal-speed`.

    python eval/policies.py --data camvid:CAMVID:val --policies learned --json street.jsonl
    python eval/policies.py --data camvid:CAMVID:val --policies learned --weights HEAVY --json heavy.jsonl
    python eval/equal_speed.py street.jsonl heavy.jsonl --plot equal_speed.svg

Frames per second are those of the frame step with the host's motion, as `policies` measured them: make all runs on one
machine, one after another. Below the table: what each network has where it is as fast as the first one is with every
frame segmented, interpolated between two shares. --plot wants matplotlib (`pip install 'dvsnet-jax[notebooks]'`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.equal_speed import EqualSpeed
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(EqualSpeed, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
