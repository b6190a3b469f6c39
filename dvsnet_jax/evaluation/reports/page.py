"""An evaluation as one HTML page that needs nothing else: tables, plots, and a player for the clips.

    write_report("report.html", Report("CamVid val", headline=table, curves=curves, clips=[clip]))

Any part may be left out, and the page is then without it. Pictures are embedded, so a frame costs 30 to 100 kB; the
page fetches nothing, and works from a file, in light and dark, on a telephone and without a mouse.
"""

from __future__ import annotations

import html
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain
from typing import Any

from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.reports.player import Clip, Frame, check_part, clip_json, number, page_json
from dvsnet_jax.markdown import Table, numeric_columns
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.metrics.calibration import Bin

__all__ = ["Bin", "Clip", "Curve", "Frame", "Point", "Report", "Table", "pareto_front", "write_report"]

_PAGE = "page.html"


@dataclass(frozen=True)
class Point:
    """A run. Both numbers are 0..1."""

    share: float
    """Of all regions those that were segmented."""
    mean_iou: float
    label: str = ""
    """Which setting it is: `target 87`."""


@dataclass(frozen=True)
class Curve:
    """The runs of one policy."""

    name: str
    points: tuple[Point, ...]
    competes: bool = True
    """Whether its points may be Pareto-optimal. An oracle's, which knows the truth, should not."""


@dataclass(frozen=True, eq=False)
class Report:
    """What is in a report. Checked when it is written."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values: data, weights, device, date."""
    headline: Table | None = None
    curves: tuple[Curve, ...] = ()
    milliseconds: tuple[float, float] | None = None
    """What a frame takes with nothing segmented and with everything, for the curves' plot: between them time is linear
    in the share."""
    classes: tuple[str, ...] = ()
    class_ious: tuple[tuple[str, tuple[float | None, ...]], ...] = ()
    """Names of runs, and their IoU of each of `classes`, 0..1; None and NaN for a class that is nowhere."""
    calibration: tuple[Bin, ...] = ()
    clips: tuple[Clip, ...] = ()


def pareto_front(points: Sequence[Point]) -> tuple[bool, ...]:
    """Which points are optimal: no other has a mean IoU as high for a smaller share, or a higher one for no more."""
    return tuple(
        not any(
            other.share <= point.share
            and other.mean_iou >= point.mean_iou
            and (other.share, other.mean_iou) != (point.share, point.mean_iou)
            for other in points
        )
        for point in points
    )


def write_report(path: str | os.PathLike[str], report: Report, *, quality: int = 75, longest_side: int = 640) -> None:
    """Writes the page, atomically.

    `quality` is that of the frames' JPEGs, 1 to 95; larger frames are embedded with `longest_side` pixels. Right
    pixels are counted before that. Raises InputError for parts that do not fit each other, for numbers that are not
    in their range, and where the file cannot be written.
    """
    if not 1 <= quality <= 95 or longest_side < 32:
        raise InputError(
            f"quality {quality} and longest_side {longest_side}: expected a quality of 1 to 95 and at least 32 pixels"
        )
    page = resources.files("dvsnet_jax.evaluation.reports").joinpath(_PAGE).read_text(encoding="utf-8")
    head, rest = page.split("{{title}}")
    between, foot = rest.split("{{data}}")
    content = {
        "title": report.title,
        "facts": report.facts,
        "headline": _headline(report.headline),
        "curves": _curves(report.curves),
        "milliseconds": _milliseconds(report.milliseconds),
        "classes": report.classes,
        "class_ious": _class_ious(report),
        "calibration": [_bin(group) for group in report.calibration],
    }
    start = f"{head}{html.escape(report.title)}{between}{page_json(content)[:-1]}"
    clips = _clips(report.clips, quality, longest_side)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for piece in chain((start, ',"clips":['), clips, ("]}", foot)):
            file.write(piece.encode("utf-8", "xmlcharrefreplace"))


def _clips(clips: Sequence[Clip], quality: int, longest_side: int) -> Iterator[str]:
    """Their JSON. InputError for one that cannot be read, lest it be told of the page that is being written."""
    try:
        for index, clip in enumerate(clips):
            yield "," if index else ""
            yield from clip_json(clip, quality=quality, longest_side=longest_side)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read for the report ({error.strerror or error})") from error


def _headline(table: Table | None) -> dict[str, Any] | None:
    if table is None or not table.columns:
        return None
    return {"columns": table.columns, "rows": table.rows, "numeric": numeric_columns(table)}


def _curves(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    for curve in curves:
        for point in curve.points:
            for what in ("share", "mean_iou"):
                check_part(f"curve {curve.name!r}, point {point.label!r}: {what}", getattr(point, what))
    optimal = iter(pareto_front([point for curve in curves if curve.competes for point in curve.points]))
    written = []
    for curve in curves:
        marked = [(point, curve.competes and next(optimal)) for point in curve.points]
        points = [
            {"share": float(point.share), "mean_iou": float(point.mean_iou), "label": point.label, "optimal": best}
            for point, best in sorted(marked, key=lambda pair: pair[0].share)
        ]
        if points:
            written.append({"name": curve.name, "competes": curve.competes, "points": points})
    return written


def _milliseconds(ends: tuple[float, float] | None) -> list[float] | None:
    if ends is None:
        return None
    if not all(math.isfinite(end) and end >= 0 for end in ends):
        raise InputError(f"milliseconds {ends}: expected what a frame takes with nothing and with everything segmented")
    return [float(end) for end in ends]


def _class_ious(report: Report) -> list[dict[str, Any]]:
    runs = []
    for name, ious in report.class_ious:
        if len(ious) != len(report.classes):
            raise InputError(
                f"run {name!r} has the IoU of {len(ious)} classes, expected {len(report.classes)}, one for each of the "
                "report's classes; give None for a class that does not occur"
            )
        values = [number(value) for value in ious]
        for label, value in zip(report.classes, values, strict=True):
            if value is not None:
                check_part(f"run {name!r}: IoU of {label!r}", value)
        runs.append({"name": name, "ious": values})
    return runs


def _bin(group: Bin) -> dict[str, Any]:
    if not math.isfinite(group.predicted) or not math.isfinite(group.true) or group.size < 0:
        raise InputError(f"{group}: expected finite numbers and a count of 0 or more; leave empty bins out")
    return {"predicted": float(group.predicted), "actual": float(group.true), "count": int(group.size)}
