"""Types of command-line options: what may be given, and how `--help` and errors name it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

import tyro
from tyro.conf import Positional as Positional
from tyro.constructors import PrimitiveConstructorSpec

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


def _number(
    metavar: str, kind: Callable[[str], Any], expected: str, holds: Callable[[Any], bool] = lambda value: True
) -> PrimitiveConstructorSpec:
    """How tyro reads a number for which `holds` is true. It reads `int | None` badly: the error tells of types."""

    def read(words: list[str]) -> Any:
        try:
            value = kind(words[0])
        except ValueError:
            value = None
        if value is None or not holds(value):
            raise ValueError(f"{words[0]!r} is not {expected}")
        return value

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [f"{value:.12g}" if isinstance(value, float) else str(value)],
    )


_WHOLE = _number("COUNT", int, "a whole number")
_ANY = _number("NUMBER", float, "a number")
_COUNT = _number("COUNT", int, "a whole number of 1 or more", lambda value: value >= 1)
_POSITIVE = _number("NUMBER", float, "a finite number above 0", lambda value: 0 < value < math.inf)
_AMOUNT = _number("NUMBER", float, "a finite number of 0 or more", lambda value: 0 <= value < math.inf)
_SHARE = _number("SHARE", float, "a number from 0 to below 1", lambda value: 0 <= value < 1)

Count = Annotated[int, _COUNT]
"""1 or more."""
Positive = Annotated[float, _POSITIVE]
"""Above 0, and finite."""
Amount = Annotated[float, _AMOUNT]
"""0 or more, and finite."""
Pixels = Annotated[tuple[Count, Count], tyro.conf.arg(metavar="HEIGHT WIDTH")]
Range = Annotated[tuple[Positive, Positive], tyro.conf.arg(metavar="LEAST MOST")]
Distances = Annotated[tuple[int, int], tyro.conf.arg(metavar="LEAST MOST")]
Names = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …", help_behavior_hint="")]
Specs = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, option("DATA")]
"""An option that is given once for each data set."""

OptionalPath = Annotated[str | None, option("PATH")]
OptionalNumber = Annotated[float | None, _ANY, option("NUMBER")]
OptionalCount = Annotated[int | None, _WHOLE, option("COUNT")]
OptionalSteps = Annotated[int | None, _COUNT, option("STEPS")]
OptionalPositive = Annotated[float | None, _POSITIVE, option("NUMBER")]
OptionalShare = Annotated[float | None, _SHARE, option("SHARE")]
OptionalGrid = Annotated[str | None, option("ROWSxCOLUMNS")]
OptionalSize = Annotated[str | None, option("HEIGHTxWIDTH")]
