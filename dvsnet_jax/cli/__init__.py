"""The `dvsnet` command: parse, call, print. Each subcommand is a dataclass of its options with a `run`.

Heavy modules (jax, PyAV) are imported where a subcommand runs, so that `dvsnet --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from dvsnet_jax.cli.commands.demo import Demo
from dvsnet_jax.cli.commands.evaluate import Evaluate
from dvsnet_jax.cli.commands.export import Export
from dvsnet_jax.cli.commands.flow import Flow
from dvsnet_jax.cli.commands.import_weights import Import
from dvsnet_jax.cli.commands.info import Info
from dvsnet_jax.cli.commands.segment import Segment
from dvsnet_jax.cli.failures import UsageError, lines
from dvsnet_jax.cli.freed_memory import keep_freed_memory

_DESCRIPTION = """Dynamic Video Segmentation Network: the expensive network only where a frame needs it.

--debug, anywhere, or DVSNET_DEBUG=1 shows where an error came from."""
_SUBCOMMANDS: dict[str, Callable[..., Any]] = {
    "segment": Segment,
    "evaluate": Evaluate,
    "demo": Demo,
    "import": Import,
    "export": Export,
    "flow": Flow,
    "info": Info,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    if argv is None:  # a process of its own
        keep_freed_memory()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or os.environ.get("DVSNET_DEBUG", "") not in ("", "0")
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            _SUBCOMMANDS,
            prog="dvsnet",
            description=_DESCRIPTION,
            args=[argument for argument in arguments if argument != "--debug"],
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        return command.run()
    except SystemExit as stop:  # tyro's: --help, or wrong usage, which it has told
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except KeyboardInterrupt as interrupt:
        if interrupt.__cause__ is not None:  # what had failed before
            _print(interrupt.__cause__)
        print("dvsnet: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        _print(error)
        return 2 if isinstance(error, UsageError) else 1


def _print(error: BaseException) -> None:
    print("dvsnet: " + "\n".join(lines(error)), file=sys.stderr)
