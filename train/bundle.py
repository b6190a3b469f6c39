r"""The last step of a release: weights in the form that comes with the package.

    python train/bundle.py WEIGHTS [OUT.npz] [--limit 30 | --target 90]

Rounds them to float16 and writes dvsnet_jax/weights/street.npz (or OUT). Of weights that carry motion the
segmentation network is left out, being street.npz's, and the rest is written to street_carried.npz; of a pair of
networks its second is in there, too, and what its first has otherwise, and that is street_large.npz. What is measured
afterwards is measured with the rounded ones: they are what users get.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dvsnet_jax
from dvsnet_jax import AccumulatedLoss, DeepLabPairConfig, ExpectedConfidence, checkpoints
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalPositive, Positional
from dvsnet_jax.cli.running import run_recipe

PLACE = Path(dvsnet_jax.__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Weights in the form that comes with the package."""

    weights: Positional[Path]
    """A checkpoint of all of DVSNet."""
    out: Positional[Path | None] = None
    """File to write; if not given, the package's own for weights of this kind."""
    limit: OptionalPositive = None
    """Default policy: accumulated loss, points."""
    target: OptionalPositive = None
    """Default policy: expected confidence, percent."""

    def run(self) -> int:
        if self.limit and self.target:
            raise UsageError("--limit and --target ask for different policies; leave one out")
        params, config = checkpoints.load(self.weights)
        if self.limit:
            config = config.replace(policy=AccumulatedLoss(self.limit))
        if self.target:
            config = config.replace(policy=ExpectedConfidence(self.target))
        name = checkpoints.CARRIED if config.carries_motion else checkpoints.BUNDLE
        if isinstance(config.segmentation, DeepLabPairConfig):
            name = checkpoints.LARGE
        if name != checkpoints.BUNDLE:
            params = checkpoints.without_bundled(params, config)
        out = self.out or PLACE / name
        size = checkpoints.write_bundle(out, params, config)
        print(f"{out}: {size / 1e6:.2f} MB")
        return 0


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Bundle, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
