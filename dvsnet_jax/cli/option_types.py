"""Types of optional command-line options, so that `--help` shows a plain name in place of `{None}|STR`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import tyro

from dvsnet_jax.cli.failures import UsageError


def pair(option: str, text: str | None) -> tuple[int, int] | None:
    """The two numbers of `2x2` or `512x1024`; `UsageError` for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if match is None:
        raise UsageError(f"{option} is {text!r}; expected two whole numbers with an x between them, such as 2x4")
    return int(match[1]), int(match[2])


def option(metavar: str, *aliases: str, help: str | None = None) -> Any:
    """How tyro shows an option that is None where it is not given."""
    return tyro.conf.arg(metavar=metavar, aliases=aliases or None, help=help, help_behavior_hint="")


OptionalPath = Annotated[str | None, option("PATH")]
OptionalNumber = Annotated[float | None, option("NUMBER")]
OptionalCount = Annotated[int | None, option("COUNT")]
OptionalGrid = Annotated[str | None, option("ROWSxCOLUMNS")]
OptionalSize = Annotated[str | None, option("HEIGHTxWIDTH")]
