"""`dvsnet import`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalPath, option
from dvsnet_jax.cli.screen import tell


@dataclass(frozen=True, kw_only=True)
class Import:
    """Turn weights of other programs into a checkpoint.

    These are DVSNet's and flownet2-tf's TensorFlow checkpoints and NVIDIA's flownet2-pytorch files.
    """

    checkpoint: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CHECKPOINT")]
    """TensorFlow checkpoint (its prefix model.ckpt-7, one of its files, or its folder), or NVIDIA's .pth.tar."""
    out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
    """Checkpoint folder to write."""
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network, which the original keeps apart."""
    network: Annotated[str | None, option("NAME")] = None
    """For weights of a flow network alone: FlowNet2, FlowNetCSS, FlowNetCS, FlowNetC, FlowNetS or FlowNetSD."""

    def run(self) -> int:
        from dvsnet_jax import checkpoints

        if self.network is None and not checkpoints.is_torch(self.checkpoint):
            params, config = checkpoints.import_tensorflow(self.checkpoint, decision_from=self.decision_from)
            checkpoints.save(self.out, params, config)
            tell(f"{self.checkpoint} → {self.out}: {config.segmentation}, {config.flow}, {config.decision}")
            return 0
        if self.decision_from is not None:
            raise UsageError("--decision-from does not go with a flow network alone; leave it out")
        params, flow_config = checkpoints.import_flow(self.checkpoint, network=self.network)
        checkpoints.save(self.out, params, flow_config)
        tell(f"{self.checkpoint} → {self.out}: {flow_config}")
        return 0
