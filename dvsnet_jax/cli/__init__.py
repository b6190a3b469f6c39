"""The `dvsnet` command: parse, call, print. Each subcommand is a dataclass of its options with a `run`.

Heavy modules (jax, flax, PyAV) are imported where a subcommand runs, so that `dvsnet --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from dvsnet_jax.cli.commands.accelerate import Accelerate
from dvsnet_jax.cli.commands.demo import Demo
from dvsnet_jax.cli.commands.evaluate import Evaluate
from dvsnet_jax.cli.commands.export import Export
from dvsnet_jax.cli.commands.flow import Flow
from dvsnet_jax.cli.commands.import_weights import Import
from dvsnet_jax.cli.commands.info import Info
from dvsnet_jax.cli.commands.measure import MEASURE
from dvsnet_jax.cli.commands.policies import ComparePolicies
from dvsnet_jax.cli.commands.segment import Segment
from dvsnet_jax.cli.commands.train import TRAIN
from dvsnet_jax.cli.running import Family, run_command

_DESCRIPTION = """Dynamic Video Segmentation Network: the expensive network only where a frame needs it.

--debug, anywhere, or DVSNET_DEBUG=1 shows where an error came from."""

DVSNET = Family(
    _DESCRIPTION,
    {
        "segment": Segment,
        "evaluate": Evaluate,
        "demo": Demo,
        "accelerate": Accelerate,
        "train": TRAIN,
        "policies": ComparePolicies,
        "measure": MEASURE,
        "import": Import,
        "export": Export,
        "flow": Flow,
        "info": Info,
    },
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    return run_command(DVSNET, argv, name="dvsnet", description=_DESCRIPTION)
