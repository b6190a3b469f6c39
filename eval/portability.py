r"""Does the frame step run elsewhere, and does it say the same there? One row for each platform and precision. Also
`dvsnet measure portability`.

    python eval/portability.py                                       # the bundled weights at 360×480; a minute
    python eval/portability.py --seeded --size 1024x2048 --frames 3  # the original's networks, seeded weights
    python eval/portability.py --input drive.mp4 --size 1024x2048 --json portability.jsonl
    python eval/portability.py --compile tpu:v5e --motion auto       # by a TPU's own compiler; minutes

Lowering needs none of the platforms; where one is here its program is also run, on a drawn street or on the frames of
`--input`, and held against float32 on this CPU: share of equal labels, largest difference of scores, share of equal
routes. Prints a markdown table; `--json` also writes one JSON line a row. The table in eval/README.md is its output.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.portability import Portability
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Portability, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
