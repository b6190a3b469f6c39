"""Policies compared on labelled video at equal share of regions segmented.

The threshold that gives a share is searched for with runs over the whole video; what is reported at a share lies on
the straight line between the nearest runs below and above it. Two runs serve all policies: nothing segmented after the
first frames, and everything. Which intervals are nearest to a share needs no search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.multiply_adds import costs
from dvsnet_jax.evaluation.policy_measurement import Measured, SegmentedClip, measure
from dvsnet_jax.evaluation.policy_simulation import POLICIES, threshold

if TYPE_CHECKING:
    from jaxtyping import Float

TITLES = {
    "learned": "expected confidence",
    "loss": "accumulated loss",
    "interval": "fixed interval",
    "difference": "frame difference",
    "flow": "flow magnitude",
    "random": "random",
    "oracle": "oracle: true agreement",
}
EVERY, FIRST = "every frame", "first frames only"
_FAR = 0.01
"""Shares further than this from every run are marked in the table."""


class Point(NamedTuple):
    """A run as the search sees it."""

    threshold: float
    share: float
    seen: Float[np.ndarray, "n"]
    """All evidence that was held against the threshold."""


@dataclass(frozen=True)
class AtShare(Measured):
    """A policy at a share, on the line between two runs."""

    kept: float
    """mIoU over that of segmenting every frame."""
    off: float
    """How far the share of the nearest run is from this one."""


@dataclass(frozen=True)
class Sweep:
    """What came out."""

    shares: tuple[float, ...]
    every: Measured
    """Every frame segmented."""
    policies: dict[str, list[AtShare]]
    """By policy, for each share."""
    runs: list[Measured]
    """All that were measured, in their order."""
    multiply_adds: tuple[int, int]
    """Of a frame with nothing segmented, and of all its regions' segmentation on top."""


def sweep(
    params: networks.Params,
    video: Sequence[SegmentedClip],
    *,
    config: DVSNetConfig,
    shares: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.5),
    policies: Sequence[str] = POLICIES,
    classes: Literal["own", "camvid"] = "own",
    first_counts: bool = True,
    tolerance: float = 0.005,
    most_runs: int = 8,
    on_run: Callable[[Measured], None] = lambda measured: None,
) -> Sweep:
    """Runs each policy until a run's share is within `tolerance` of each share, at most `most_runs` times for each.

    Raises InputError for a share below that of first frames, and for weights whose output is not finite.
    """
    least = len(video) / sum(len(clip.frames) for clip in video) if first_counts else 0.0
    if wrong := [share for share in shares if not least < share < 1]:
        raise InputError(
            f"share {wrong[0]:g}: expected more than {least:.4f}, which are the first frames (always segmented), and "
            "less than 1"
        )

    all_runs: list[Measured] = []

    def run(policy: str, at: float) -> tuple[Measured, Any]:
        measured, urgency = measure(
            params, video, policy, at, config=config, classes=classes, first_counts=first_counts
        )
        if np.isinf(at):
            measured = replace(measured, policy=EVERY if at < 0 else FIRST)
        all_runs.append(measured)
        on_run(measured)
        return measured, urgency

    ends = [(threshold, *run(POLICIES[0], threshold)) for threshold in (-np.inf, np.inf)]
    every = ends[0][1]
    if not all(np.isfinite(values).all() for _, _, urgency in ends for values in urgency):
        raise InputError("the weights' flow or confidence is not finite on these frames; take other weights")
    lengths = [len(clip.frames) for clip in video]
    found = {}
    for policy in policies:
        points = [Point(at, measured.share, getattr(urgency, policy).ravel()) for at, measured, urgency in ends]
        runs = [measured for _, measured, _ in ends]
        for share in shares:
            intervals = nearest_intervals(lengths, share, first_counts=first_counts)
            for tries in range(most_runs):
                at: float | None
                if policy == "interval":
                    done = {point.threshold for point in points}  # 1 is every frame
                    left = {threshold(policy, interval) for interval in intervals if interval > 1} - done
                    at = min(left, default=None)
                else:
                    at = next_threshold(points, share, tolerance, halve=tries % 2 == 1)
                if at is None:
                    break
                measured, urgency = run(policy, at)
                runs.append(measured)
                points.append(Point(at, measured.share, getattr(urgency, policy).ravel()))
        found[policy] = [_between(runs, share, policy, every.mean_iou) for share in shares]
    heavy, *light = (cost.multiply_adds for cost in costs(config, *video[0].truth.shape[1:], params=params))
    return Sweep(tuple(shares), every, found, all_runs, (config.num_regions * sum(light), config.num_regions * heavy))


def nearest_intervals(lengths: Sequence[int], share: float, *, first_counts: bool = True) -> tuple[int, int]:
    """The intervals whose shares are next to a share, below and above, for clips of these lengths.

    Of several with the same share the shortest: its key frames lie the most evenly.
    """
    intervals = range(1, max(lengths) + 1)
    left_out = 0 if first_counts else len(lengths)
    frames = sum(lengths) - left_out
    shares = [(sum(-(-length // interval) for length in lengths) - left_out) / frames for interval in intervals]
    below = next(place for place, value in enumerate(shares) if value <= share)
    return intervals[below], intervals[shares.index(shares[max(below - 1, 0)])]


def next_threshold(points: Sequence[Point], share: float, tolerance: float, *, halve: bool = False) -> float | None:
    """The threshold to run next in search of a share; None where a run is near enough, or where no threshold between
    the two runs around the share could do anything else than one of them did.

    A threshold does something else than a run only where a value that the run saw lies between it and the run's. So
    the next one is put between two values that the two runs saw, by rank: in the middle (`halve`), or as far from the
    two as the share is from theirs.
    """
    ordered = sorted(points, key=lambda point: point.threshold)
    low, high = next((a, b) for a, b in pairwise(ordered) if a.share >= share > b.share)
    if min(low.share - share, share - high.share) <= tolerance:
        return None
    by_low, by_high = (run.seen[(run.seen > low.threshold) & (run.seen <= high.threshold)] for run in (low, high))
    if not len(by_low) or not len(by_high) or by_low.min() >= by_high.max():
        return None
    values = np.unique(np.concatenate([by_low, by_high]))
    values = values[(values >= by_low.min()) & (values <= by_high.max())]
    part = 0.5 if halve else float(np.clip((low.share - share) / (low.share - high.share), 0.1, 0.9))
    place = min(int(part * (len(values) - 1)), len(values) - 2)
    return float(values[place] + (values[place + 1] - values[place]) / 2)


def _between(runs: Sequence[Measured], share: float, policy: str, best: float) -> AtShare:
    """On the straight line between the nearest runs below and above a share."""
    below = max((run for run in runs if run.share <= share), key=lambda run: run.share)
    above = min((run for run in runs if run.share >= share), key=lambda run: run.share)
    part = (share - below.share) / (above.share - below.share) if above.share > below.share else 0.0

    def line(name: str) -> float:
        return (1 - part) * getattr(below, name) + part * getattr(above, name)

    finite = [run.setting for run in (below, above) if np.isfinite(run.setting)]
    return AtShare(
        policy=policy,
        setting=line("setting") if len(finite) == 2 else finite[0] if finite else float("nan"),
        share=share,
        mean_iou=line("mean_iou"),
        accuracy=line("accuracy"),
        agreement=line("agreement"),
        boundary_f=line("boundary_f"),
        consistency=line("consistency"),
        class_ious=tuple((1 - part) * a + part * b for a, b in zip(below.class_ious, above.class_ious, strict=True)),
        kept=line("mean_iou") / best,
        off=min(share - below.share, above.share - share),
    )


def table(result: Sweep) -> str:
    """Markdown tables of each policy at each share: mIoU, and how much that is of segmenting every frame; outlines,
    temporal consistency, the pixels labelled as with every frame segmented, the settings, and multiply-adds."""
    head = " | ".join(f"{100 * share:.4g}%" for share in result.shares)

    def part(title: str, cell: Callable[[AtShare], str], best: str = "") -> list[str]:
        rows = [f"| {TITLES[name]} | {' | '.join(map(cell, cells))} |" for name, cells in result.policies.items()]
        if best:
            rows.append(f"| {EVERY} (100%) | " + " | ".join([best] * len(result.shares)) + " |")
        return [f"| {title} | {head} |", "|---" * (len(result.shares) + 1) + "|", *rows, ""]

    every = result.every
    lines = part(
        "mIoU (kept) at regions segmented", lambda at: f"{at.mean_iou:.2%} ({at.kept:.1%}){_mark(at)}",
        f"{every.mean_iou:.2%}",
    )  # fmt: skip
    if "oracle" in result.policies:
        oracle = {at.share: at.mean_iou for at in result.policies["oracle"]}
        lines += part("mIoU above the oracle, points", lambda at: f"{100 * (at.mean_iou - oracle[at.share]):+.2f}")
    lines += part("boundary F-score", lambda at: f"{at.boundary_f:.2%}", f"{every.boundary_f:.2%}")
    if np.isfinite(every.consistency):
        lines += part("temporal consistency", lambda at: f"{at.consistency:.2%}", f"{every.consistency:.2%}")
    lines += part("pixels as with every frame segmented", lambda at: f"{at.agreement:.2%}")
    lines += part("target, interval, threshold, chance", lambda at: f"{at.setting:.4g}")
    light, heavy = result.multiply_adds
    costs_at = [f"{(light + share * heavy) / 1e9:.3g}" for share in result.shares]
    lines += [f"G multiply-adds a frame: {', '.join(costs_at)}; all segmented {(light + heavy) / 1e9:.3g}."]
    if any(_mark(at) for cells in result.policies.values() for at in cells):
        lines += ["", f"\\* no run within {_FAR:.0%} of this share: interpolated over a wider gap"]
    return "\n".join(lines)


def _mark(at: AtShare) -> str:
    return "\\*" if at.off > _FAR else ""
