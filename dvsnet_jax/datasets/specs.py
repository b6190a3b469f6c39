"""Data sets named on a command line, `KIND:REST@SCALE%SHARE`: what all kinds have in common."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.reading.colors import MATRICES


class Spec(NamedTuple):
    """A name taken apart."""

    kind: str
    rest: str
    """What stands after the kind; the kind decides what colons in it mean."""
    scale: float
    """Pictures are resized by it; 1 where none was named."""
    matrix: str | None
    """`bt601` or `bt709`, by which colours are read where a video names none; None where none was named."""


def parse(text: str, forms: str, *, videos: Collection[str] = ()) -> Spec:
    """`camvid:data/camvid:val@0.5` → ("camvid", "data/camvid:val", 0.5, None), and `video:drive.mp4@bt601` → ("video",
    "drive.mp4", 1.0, "bt601"); the two in any order. An @ in a folder's name is left alone.

    The matrix stands here and is no option, since sets that are named together may be made in different ways. Raises
    InputError, which names the `forms` that are expected, for a scale that is not above 0, and for a matrix after a
    kind that is none of `videos`.
    """
    whole, matrix = _split_matrix(text)
    place, at, factor = whole.rpartition("@")
    if not at or "/" in factor:
        place, factor = whole, "1"
    if matrix is None:
        place, matrix = _split_matrix(place)
    try:
        scale = float(factor)
    except ValueError as error:
        raise InputError(f"{text!r}: {factor!r} is no number; expected {forms}") from error
    if not 0 < scale < math.inf:
        raise InputError(f"{text!r}: {factor!r} is no scale above 0; expected {forms}")
    kind, _, rest = place.partition(":")
    if matrix is not None and kind not in videos:
        raise InputError(
            f"{text!r}: @{matrix} says how the colours of videos are read, and {kind} has none here; leave it out"
        )
    return Spec(kind, rest, scale, matrix)


def _split_matrix(text: str) -> tuple[str, str | None]:
    place, at, last = text.rpartition("@")
    return (place, last) if at and last in MATRICES else (text, None)


def split_share(text: str) -> tuple[str, float | None]:
    """`camvid:data/camvid:train@0.5%30` → ("camvid:data/camvid:train@0.5", 30.0), and None where no share is named.

    A % in a folder's name is left alone. Raises InputError for a share that is not above 0 and at most 100.
    """
    place, percent, share = text.rpartition("%")
    if not percent or "/" in share:
        return text, None
    try:
        value = float(share)
    except ValueError as error:
        raise InputError(f"{text!r}: {share!r} is no number; expected a share of all samples, such as %30") from error
    if not 0 < value <= 100:
        raise InputError(f"{text!r}: a share of {share} %, expected above 0 and at most 100")
    return place, value


def nothing_left(
    spec: str, names: Sequence[str], *, hold_out: Collection[str] = (), only: Collection[str] = ()
) -> InputError:
    """What is wrong where none of a set's names begins as one of `only` and not as one of `hold_out`."""
    if not names:
        return InputError(f"{spec}: holds nothing; name another")
    asked = [f"begins with {', '.join(only)}"] if only else []
    asked += [f"is left without {', '.join(hold_out)}"] if hold_out else []
    advice = "hold out less" if hold_out else "correct the name"
    return InputError(
        f"{spec}: none of its {len(names)} {' and '.join(asked)}; they are called like {names[0]}: {advice}"
    )
