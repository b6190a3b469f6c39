"""`dvsnet import`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalPath, option
from dvsnet_jax.cli.screen import tell


@dataclass(frozen=True, kw_only=True)
class Import:
    """Turn weights of other programs into a checkpoint.

    These are DVSNet's and flownet2-tf's TensorFlow checkpoints and NVIDIA's flownet2-pytorch files; and the safetensors
    that 'dvsnet export' writes.
    """

    checkpoint: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CHECKPOINT")]
    """TensorFlow checkpoint (its prefix model.ckpt-7, one of its files, or its folder), NVIDIA's .pth.tar, or
    our own .safetensors."""
    out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
    """Checkpoint folder to write."""
    format: Literal["auto", "safetensors"] = "auto"
    """What CHECKPOINT is; auto: as it looks."""
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network, which the original keeps apart."""
    network: Annotated[str | None, option("NAME")] = None
    """For weights of a flow network alone: FlowNet2, FlowNetCSS, FlowNetCS, FlowNetC, FlowNetS or FlowNetSD."""

    def run(self) -> int:
        from dvsnet_jax import checkpoints

        if self.format == "safetensors" or checkpoints.is_safetensors(self.checkpoint):
            if not checkpoints.is_safetensors(self.checkpoint):
                raise UsageError(f"--format safetensors: {self.checkpoint} is no file that ends in .safetensors")
            if self.network is not None or self.decision_from is not None:
                raise UsageError("a safetensors file says what is in it; leave out --network and --decision-from")
            params, config = checkpoints.load_any(self.checkpoint)
            checkpoints.save(self.out, params, config)
            tell(f"{self.checkpoint} → {self.out}: {config}")
            return 0
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
