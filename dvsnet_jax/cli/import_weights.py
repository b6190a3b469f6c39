"""`dvsnet import`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from dvsnet_jax.cli.option_types import OptionalPath
from dvsnet_jax.cli.screen import tell


@dataclass(frozen=True, kw_only=True)
class Import:
    """Turn the original's TensorFlow checkpoint into one of this package."""

    checkpoint: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CHECKPOINT")]
    """TensorFlow checkpoint: its prefix (model.ckpt-7), one of its files, or its folder."""
    out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
    """Checkpoint folder to write."""
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network, which the original keeps apart."""

    def run(self) -> int:
        from dvsnet_jax import checkpoints

        params, config = checkpoints.import_tensorflow(self.checkpoint, decision_from=self.decision_from)
        checkpoints.save(self.out, params, config)
        tell(f"{self.checkpoint} → {self.out}: {config.segmentation}, {config.flow}, {config.decision}")
        return 0
