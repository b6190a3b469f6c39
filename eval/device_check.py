r"""Is this GPU or TPU right, how fast, how soon: within eight minutes, as one JSON file. Also `dvsnet measure
device-check`, which needs `--repository` for the parts parity and tests.

    python eval/device_check.py --json h200.json             # needs a GPU or TPU, or some patience
    python eval/device_check.py --small                      # on a CPU, a minute: does the check itself work?
    python eval/device_check.py --parts "speed street,files" --minutes 3

Parity is with the originals' outputs in tests/golden and with float32 on this machine's CPU; each part says what it
found in the JSON, and a table has a line of each. Exit status 1 where a part failed or was stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dvsnet_jax.cli.commands.measure.device_check import DeviceCheck
from dvsnet_jax.cli.running import run_recipe

CONFIG = DeviceCheck(repository=str(Path(__file__).resolve().parent.parent))


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(DeviceCheck, argv, file=__file__, description=__doc__, default=CONFIG)


if __name__ == "__main__":
    sys.exit(main())
