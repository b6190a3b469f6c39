"""Policies compared on labelled video at equal share of regions segmented.

The threshold that gives a share is searched for with runs over the whole video; what is reported at a share lies on
the straight line between the nearest runs below and above it. Two runs serve all policies: nothing segmented after the
first frames, and everything. Which intervals are nearest to a share needs no search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.multiply_adds import costs
from dvsnet_jax.benchmarks.step_time import StepTime
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.policies.measurement import Measured, SegmentedClip, measure
from dvsnet_jax.evaluation.policies.simulation import POLICIES, threshold

TITLES = {
    "learned": "expected confidence",
    "loss": "accumulated loss",
    "dynamic": "dynamic target",
    "interval": "fixed interval",
    "difference": "frame difference",
    "flow": "flow magnitude",
    "random": "random",
    "oracle": "oracle: true agreement",
}
EVERY, FIRST = "every frame", "first frames only"
FAR = 0.01
"""A share further than this from every run is told apart: it is interpolated over a wide gap."""


class Point(NamedTuple):
    """A run as the search sees it."""

    threshold: float
    share: float
    seen: Float[np.ndarray, "n"]
    """All evidence that was held against the threshold, but for that of regions that no threshold spares."""


@dataclass(frozen=True)
class AtShare(Measured):
    """A policy at a share, on the line between two runs. NaN all over where the policy has no run below the share, or
    none above: a dynamic target, which starts at `DYNAMIC`'s, falls until it has found its place; and of video with
    many cuts more is segmented than the share, whatever the threshold."""

    kept: float
    """mIoU over that of segmenting every frame."""
    off: float
    """How far the share of the nearest run is from this one."""


_NUMBERS = tuple(each.name for each in fields(AtShare) if each.name not in ("policy", "share", "class_ious"))


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
    time: StepTime | None = None
    """Where it was measured."""


def sweep(
    params: networks.Params,
    video: Sequence[SegmentedClip],
    *,
    config: DVSNetConfig,
    shares: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.5),
    policies: Sequence[str] = POLICIES,
    classes: Literal["own", "camvid"] = "own",
    first_counts: bool = True,
    warping: str = "scores",
    tolerance: float = 0.005,
    most_runs: int = 8,
    time: StepTime | None = None,
    on_run: Callable[[Measured], None] = lambda measured: None,
) -> Sweep:
    """Runs each policy until a run's share is within `tolerance` of each share, at most `most_runs` times for each.
    `time` is kept with what comes out.

    Raises InputError for a share below that of first frames, and for weights whose output is not finite, or nowhere
    right.
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
            params, video, policy, at, config=config, classes=classes, first_counts=first_counts, warping=warping
        )
        if np.isinf(at):
            measured = replace(measured, policy=EVERY if at < 0 else FIRST)
        all_runs.append(measured)
        on_run(measured)
        return measured, urgency

    ends = [(threshold, *run(POLICIES[0], threshold)) for threshold in (-np.inf, np.inf)]
    every = ends[0][1]
    if not all((np.isfinite(values) | (values == np.inf)).all() for _, _, urgency in ends for values in urgency):
        raise InputError("what the weights give on these frames is not finite; take other weights")
    if not every.mean_iou > 0:
        raise InputError(
            "of every frame segmented no labelled pixel is right, so there is nothing to keep; check that weights and "
            "labels are of the same classes"
        )
    lengths = [len(clip.frames) for clip in video]
    found = {}
    for policy in policies:
        points = [_point(at, measured, getattr(urgency, policy)) for at, measured, urgency in ends]
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
                points.append(_point(at, measured, getattr(urgency, policy)))
        if policy == "dynamic":  # which no rise brings to either end
            runs = runs[2:]
        found[policy] = [_between(runs, share, policy, every, max(tolerance, FAR)) for share in shares]
    heavy, *light = (cost.multiply_adds for cost in costs(config, *video[0].truth.shape[1:], params=params))
    multiply_adds = config.num_regions * sum(light), config.num_regions * heavy
    return Sweep(tuple(shares), every, found, all_runs, multiply_adds, time)


def _point(at: float, measured: Measured, seen: Float[np.ndarray, "time regions"]) -> Point:
    return Point(at, measured.share, seen[np.isfinite(seen)])


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
    """The threshold to run next in search of a share; None where a run is near enough, where no threshold between the
    two runs around the share could do anything else than one of them did, and where all runs are above it.

    A threshold does something else than a run only where a value that the run saw lies between it and the run's. So
    the next one is put between two values that the two runs saw, by rank: in the middle (`halve`), or as far from the
    two as the share is from theirs.
    """
    ordered = sorted(points, key=lambda point: point.threshold)
    around = next(((a, b) for a, b in pairwise(ordered) if a.share >= share > b.share), None)
    if around is None:  # as at many cuts, where no threshold spares a region
        return None
    low, high = around
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


def _between(runs: Sequence[Measured], share: float, policy: str, every: Measured, near: float) -> AtShare:
    """On the straight line between the nearest runs below and above a share; where all are on one side, the nearest, if
    it is `near`."""
    below = max((run for run in runs if run.share <= share), key=lambda run: run.share, default=None)
    above = min((run for run in runs if run.share >= share), key=lambda run: run.share, default=None)
    one = below or above
    if (not below or not above) and one and abs(one.share - share) <= near:
        below = above = one
    if not below or not above:
        nothing = dict.fromkeys(_NUMBERS, np.nan)
        return AtShare(policy=policy, share=share, **nothing, class_ious=(np.nan,) * len(every.class_ious))
    low, high = below, above
    part = (share - low.share) / (high.share - low.share) if high.share > low.share else 0.0

    def line(name: str) -> float:
        return (1 - part) * getattr(low, name) + part * getattr(high, name)

    numbers = {name: line(name) for name in _NUMBERS if name not in ("setting", "kept", "off")}
    finite = [run.setting for run in (low, high) if np.isfinite(run.setting)]
    return AtShare(
        policy=policy,
        setting=line("setting") if len(finite) == 2 else finite[0] if finite else np.nan,
        share=share,
        **numbers,
        class_ious=tuple((1 - part) * a + part * b for a, b in zip(low.class_ious, high.class_ious, strict=True)),
        kept=numbers["mean_iou"] / every.mean_iou,
        off=min(abs(share - low.share), abs(high.share - share)),
    )
