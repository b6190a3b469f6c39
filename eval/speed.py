"""Time side by side, in one run: the frame step, one region beside PyTorch, end to end, the flow networks, correlation.
Also `dvsnet measure speed`.

    python eval/speed.py                            # the frame step at 1024×2048 by regions segmented, and without
    python eval/speed.py --forms compact,prepared compact,trained dense,prepared compact,prepared,8 --json speed.jsonl
    python eval/speed.py --weights bundled --size 360x480                       # the bundled weights' networks
    python eval/speed.py stages                     # where the time of a frame with nothing segmented goes
    python eval/speed.py region                     # one region of 576×1088 through DeepLab-Fast, beside PyTorch
    python eval/speed.py end-to-end --input frames/ drive.mp4 --weights bundled # reading, step, writing; each alone
    python eval/speed.py flow correlation           # FlowNet2's family at 512×384, correlation's forms

A form is a routing (compact, dense), prepared or trained, float32 or bfloat16, and the number of streams, in any order.
Without --weights they are seeded (time does not depend on them). Prints markdown tables, as they are in eval/README.md
with the machines they come from; `--json` gets a line a row.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dvsnet_jax.cli.commands.measure.speed import Speed
from dvsnet_jax.cli.running import run_recipe

CONFIG = Speed(peers=str(Path(__file__).parent / "peers"))


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Speed, argv, file=__file__, description=__doc__, default=CONFIG)


if __name__ == "__main__":
    sys.exit(main())
