r"""The last step of a release: weights in the form that comes with the package.

    python train/bundle.py WEIGHTS [OUT.npz] [--limit 30 | --target 90]

Rounds them to float16 and writes dvsnet_jax/weights/street.npz (or OUT). What is measured afterwards is measured with
the rounded ones: they are what users get.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import dvsnet_jax
from dvsnet_jax import AccumulatedLoss, ExpectedConfidence, checkpoints
from dvsnet_jax.training import command

PLACE = Path(dvsnet_jax.__file__).parent / "weights" / checkpoints.BUNDLE


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("weights", type=Path, help="a checkpoint of all of DVSNet")
    parser.add_argument("out", type=Path, nargs="?", default=PLACE)
    policy = parser.add_mutually_exclusive_group()
    policy.add_argument("--limit", type=command.positive(float), help="default policy: accumulated loss, points")
    policy.add_argument("--target", type=command.positive(float), help="default policy: expected confidence, percent")
    options = command.parse(parser, argv)
    params, config = checkpoints.load(options.weights)
    if options.limit:
        config = config.replace(policy=AccumulatedLoss(options.limit))
    if options.target:
        config = config.replace(policy=ExpectedConfidence(options.target))
    size = checkpoints.write_bundle(options.out, params, config)
    print(f"{options.out}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
