"""Types of command-line options: what may be given, and how `--help` and errors name it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
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
        example = "2x4" if option == "--regions" else "720x1280"
        raise UsageError(f"{option} is {text!r}; expected two whole numbers with an x between them, such as {example}")
    return int(match[1]), int(match[2])


def either(by_place: tuple[str, ...], named: tuple[str, ...]) -> tuple[str, ...]:
    """What is worked on, which may be given by place (DATA …) or by --data; `UsageError` where it is both."""
    if by_place and named:
        raise UsageError(
            f"data is named twice, by --data ({' '.join(named)}) and without ({' '.join(by_place)}); name all of it in "
            "one way"
        )
    return by_place or named


def check_etc_weights(flownet2: str | None, *, no_consistency: bool) -> None:
    """`UsageError` for `EtcWeights` where what they are for is left out."""
    if no_consistency and flownet2:
        raise UsageError("--flownet2 is for temporal consistency, which --no-consistency leaves out; leave out one")


def option(metavar: str, *aliases: str, help: str | None = None) -> Any:
    """How tyro shows an option that is None where it is not given."""
    return tyro.conf.arg(metavar=metavar, aliases=aliases or None, help=help, help_behavior_hint="")


@dataclass(frozen=True)
class _Kind:
    """A number that an option takes."""

    metavar: str
    read: Callable[[str], Any]
    expected: str
    holds: Callable[[Any], bool] = lambda value: True

    def __call__(self, word: str) -> Any:
        try:
            value = self.read(word)
        except ValueError:
            value = None
        if value is None or not self.holds(value):
            raise ValueError(f"{word!r} is not {self.expected}")
        return value


def _one(kind: _Kind) -> PrimitiveConstructorSpec:
    """How tyro reads a number. By itself it reads `int | None` and tuples badly: its errors tell of types."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.metavar,
        instance_from_str=lambda words: kind(words[0]),
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [_text(value)],
    )


def _many(kind: _Kind, count: int | None = None, *, growing: bool = False) -> PrimitiveConstructorSpec:
    """The same for so many numbers, or for one or more."""

    def read(words: list[str]) -> tuple[Any, ...]:
        if not words:
            raise ValueError(f"expected {kind.expected}, one or more of them")
        values = tuple(map(kind, words))
        if growing and sorted(values) != list(values):
            raise ValueError(f"{' '.join(words)}: expected that LEAST is not above MOST")
        return values

    return PrimitiveConstructorSpec(
        nargs="*" if count is None else count,
        metavar=f"{kind.metavar} …" if count is None else " ".join(count * [kind.metavar]),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [_text(each) for each in value],
    )


def _text(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


_WHOLE = _Kind("COUNT", int, "a whole number")
_ANY = _Kind("NUMBER", float, "a number")
_COUNT = _Kind("COUNT", int, "a whole number of 1 or more", lambda value: value >= 1)
_NONE_OR_MORE = _Kind("COUNT", int, "a whole number of 0 or more", lambda value: value >= 0)
_PLACE = _Kind("NUMBER", int, "a whole number of 0 or more", lambda value: value >= 0)
_POSITIVE = _Kind("NUMBER", float, "a finite number above 0", lambda value: 0 < value < math.inf)
_AMOUNT = _Kind("NUMBER", float, "a finite number of 0 or more", lambda value: 0 <= value < math.inf)
_SHARE = _Kind("SHARE", float, "a number from 0 to below 1", lambda value: 0 <= value < 1)
_CHANCE = _Kind("SHARE", float, "a number from 0 to 1", lambda value: 0 <= value <= 1)
_PART = _Kind("SHARE", float, "a number above 0 and below 1", lambda value: 0 < value < 1)
_AT_MOST_ALL = _Kind("SHARE", float, "a number above 0 and at most 1", lambda value: 0 < value <= 1)
_PERCENT = _Kind("PERCENT", float, "a number of at most 100", lambda value: -math.inf < value <= 100)

Count = Annotated[int, _one(_COUNT)]
"""1 or more."""
CountOrNone = Annotated[int, _one(_NONE_OR_MORE)]
"""0 or more."""
Counts = Annotated[tuple[int, ...], _many(_COUNT)]
"""One or more of them."""
Wholes = Annotated[tuple[int, ...], _many(_WHOLE)]
Positive = Annotated[float, _one(_POSITIVE)]
"""Above 0, and finite."""
Amount = Annotated[float, _one(_AMOUNT)]
"""0 or more, and finite."""
Chance = Annotated[float, _one(_CHANCE)]
"""0 to 1."""
Share = Annotated[float, _one(_SHARE)]
"""0 to below 1."""
Part = Annotated[float, _one(_PART)]
"""Between 0 and 1, neither of them."""
Parts = Annotated[tuple[float, ...], _many(_PART)]
AtMostAll = Annotated[float, _one(_AT_MOST_ALL)]
"""Above 0, and at most 1."""
Percent = Annotated[float, _one(_PERCENT)]
"""At most 100, and finite: a limit below 0 is below them all."""
Pixels = Annotated[tuple[int, int], _many(_COUNT, 2), tyro.conf.arg(metavar="HEIGHT WIDTH")]
Range = Annotated[tuple[float, float], _many(_POSITIVE, 2), tyro.conf.arg(metavar="LEAST MOST")]
Distances = Annotated[tuple[int, int], _many(_NONE_OR_MORE, 2, growing=True), tyro.conf.arg(metavar="LEAST MOST")]
Widths = Annotated[tuple[int, int, int], _many(_COUNT, 3)]
Names = Annotated[tuple[str, ...], option("NAME …")]
Specs = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, option("DATA")]
"""An option that is given once for each data set."""

OptionalPath = Annotated[str | None, option("PATH")]
EtcWeights = Annotated[
    str | None,
    option(
        "PATH",
        help="NVIDIA's FlowNet2 (FlowNet2_checkpoint.pth.tar, or what 'dvsnet import' makes of it): temporal "
        "consistency as ETC's program has it along that network's flow, as there, not along dense inverse search.",
    ),
]
OptionalNumber = Annotated[float | None, _one(_ANY), option("NUMBER")]
OptionalCount = Annotated[int | None, _one(_WHOLE), option("COUNT")]
OptionalPlace = Annotated[int | None, _one(_PLACE), option("NUMBER")]
OptionalSteps = Annotated[int | None, _one(_COUNT), option("STEPS")]
OptionalPositive = Annotated[float | None, _one(_POSITIVE), option("NUMBER")]
OptionalChance = Annotated[float | None, _one(_CHANCE), option("SHARE")]
OptionalAtMostAll = Annotated[float | None, _one(_AT_MOST_ALL), option("SHARE")]
OptionalShare = Annotated[float | None, _one(_SHARE), option("SHARE")]
OptionalGrid = Annotated[str | None, option("ROWSxCOLUMNS")]
OptionalSize = Annotated[str | None, option("HEIGHTxWIDTH")]
