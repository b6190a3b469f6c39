r"""Two segmentation networks, trained one by one, as a pair that is one: its scores are the mean of theirs.

    python train/pair.py FIRST SECOND --save-dir PAIR [--enlarged 1.5]

FIRST is `street`, the package's own, or a checkpoint of DVSNet, and so is SECOND, which sees frames enlarged. Flow and
decision network are those of FIRST, which `train/accelerate.py` then fits to the pair.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvsnet_jax import DeepLabLiteConfig, DeepLabPairConfig, checkpoints
from dvsnet_jax.cli.option_types import Positional, Positive
from dvsnet_jax.cli.running import run_recipe
from dvsnet_jax.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two segmentation networks as one, whose scores are the mean of theirs."""

    first: Positional[str]
    """Sees frames as they are; flow and decision network are its."""
    second: Positional[str]
    """Sees frames enlarged."""
    save_dir: Path
    """Where the checkpoint is written."""
    enlarged: Positive = 1.5
    """How much larger, 1 to 4."""

    def run(self) -> int:
        params, config = checkpoints.load(self.first)
        others, other = checkpoints.load(self.second)
        for path, each in ((self.first, config), (self.second, other)):
            if not isinstance(each.segmentation, DeepLabLiteConfig):
                raise InputError(
                    f"{path}: has a {type(each.segmentation).__name__}, and a pair is of two DeepLab-Lites"
                )
        try:
            pair = DeepLabPairConfig(first=config.segmentation, second=other.segmentation, enlarged=self.enlarged)
        except ValueError as error:
            raise InputError(f"{self.first} and {self.second}: {error}") from error
        networks = {"first": params["segmentation"], "second": others["segmentation"]}
        joined = config.replace(segmentation=pair, class_offsets=())  # which were the first's own
        checkpoints.save(self.save_dir, {**params, "segmentation": networks}, joined)
        print(f"{self.save_dir}: written")
        return 0


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Pair, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
