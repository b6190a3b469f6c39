"""Networks held against each other at equal frames per second: from the records of sweeps over policies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dvsnet_jax.errors import InputError
from dvsnet_jax.markdown import Table
from dvsnet_jax.media.atomic import atomic_path


class Point(NamedTuple):
    """A network at a share of its regions."""

    share: float
    """Of regions segmented, 0..1."""
    frames_per_second: float
    """Of the frame step and the host's motion."""
    mean_iou: float
    """0..1."""


def read_line(path: str | Path, policy: str) -> list[Point]:
    """A policy's points in what `dvsnet policies --json` wrote, by share, every frame segmented last.

    Raises InputError for another file, and for a run without this policy or without times.
    """
    try:
        records: list[dict[str, Any]] = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
        kinds = {kind: [each for each in records if each["what"] == kind] for kind in ("step time", "at share", "run")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no file of 'dvsnet policies --json' ({error})") from error
    cells = [each for each in kinds["at share"] if each["policy"] == policy and each["mean_iou"] is not None]
    every = [each for each in kinds["run"] if each["share"] == 1]
    if not (kinds["step time"] and every and cells):
        raise InputError(f"{path}: has not all of policy {policy}, every frame and times; run it without --no-time")
    time = kinds["step time"][-1]
    light, each_region = time["motion"] + time["nothing"], time["each_region"] * time["regions"]
    found = {each["share"]: each["mean_iou"] for each in [*cells, every[-1]]}
    return [Point(share, 1e3 / (light + share * each_region), found[share]) for share in sorted(found)]


def at_speed(line: Sequence[Point], frames_per_second: float) -> float | None:
    """mIoU where a network is so fast, on the straight line between two shares; None past its ends."""
    speeds = [-point.frames_per_second for point in line]
    if not speeds[0] <= -frames_per_second <= speeds[-1]:
        return None
    return float(np.interp(-frames_per_second, speeds, [point.mean_iou for point in line]))


def table(lines: Mapping[str, Sequence[Point]]) -> Table:
    """A row for each network: mIoU at frames per second, every frame segmented first."""
    shares = [f"{100 * point.share:.4g}%" for point in next(iter(lines.values()))]
    rows = [
        (name, *(f"{100 * point.mean_iou:.1f} at {point.frames_per_second:.1f}" for point in reversed(line)))
        for name, line in lines.items()
    ]
    return Table(("mIoU, % at frames/s, regions segmented", *reversed(shares)), tuple(rows))


def draw(lines: Mapping[str, Sequence[Point]], path: str | Path) -> None:
    """mIoU against frames per second, a line for each network; .svg or .png. Raises InputError for other names, without
    matplotlib, and where the file cannot be written."""
    if Path(path).suffix not in (".svg", ".png"):
        raise InputError(f"{path}: plots are .svg or .png; name the file so")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(f"{path}: plots want matplotlib; pip install 'dvsnet-jax[notebooks]'") from error
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, line in lines.items():
        axes.plot([p.frames_per_second for p in line], [100 * p.mean_iou for p in line], "o-", label=name)
        for point in line:
            place = (point.frames_per_second, 100 * point.mean_iou)
            axes.annotate(f"{100 * point.share:.4g} %", place, textcoords="offset points", xytext=(4, 4), fontsize=8)
    axes.set(xlabel="frames per second", ylabel="mIoU, %")
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
