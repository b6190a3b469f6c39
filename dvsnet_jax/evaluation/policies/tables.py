"""A sweep over policies as markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from dvsnet_jax.evaluation.policies.measurement import Measured
from dvsnet_jax.evaluation.policies.sweep import EVERY, FAR, TITLES, AtShare, Sweep
from dvsnet_jax.evaluation.reports.page import Point, pareto_front
from dvsnet_jax.markdown import Table, markdown_table

_NONE = "–"


def table(result: Sweep) -> str:
    """Markdown tables of each policy at each share: mIoU, and how much that is of segmenting every frame; its distance
    from the oracle, outlines, temporal consistency, the pixels labelled as with every frame segmented, where any are
    left void how many and the mIoU with them, and settings; then of each share what a frame costs and which policy
    keeps the most."""
    head = " | ".join(f"{100 * share:.4g}%" for share in result.shares)
    every, cells = result.every, [at for each in result.policies.values() for at in each]

    def part(title: str, cell: Callable[[AtShare], str], best: str = "") -> list[str]:
        def said(at: AtShare) -> str:
            return cell(at) if isfinite(at.mean_iou) else _NONE

        rows = [f"| {TITLES[name]} | {' | '.join(map(said, line))} |" for name, line in result.policies.items()]
        if best:
            rows.append(f"| {EVERY} (100%) | " + " | ".join([best] * len(result.shares)) + " |")
        return [f"| {title} | {head} |", "|---" * (len(result.shares) + 1) + "|", *rows, ""]

    optimal = _optimal(result)

    def accuracy(at: AtShare) -> str:
        bold = "**" if at in optimal else ""
        return f"{bold}{at.mean_iou:.2%}{bold} ({at.kept:.1%}){_mark(at)}"

    lines = part("mIoU (kept) at regions segmented", accuracy, f"{every.mean_iou:.2%}")
    if "oracle" in result.policies:
        oracle = {at.share: at.mean_iou for at in result.policies["oracle"]}
        lines += part("mIoU above the oracle, points", lambda at: f"{100 * (at.mean_iou - oracle[at.share]):+.2f}")
    lines += part("boundary F-score", lambda at: f"{at.boundary_f:.2%}", f"{every.boundary_f:.2%}")
    if isfinite(every.consistency):
        lines += part("temporal consistency", lambda at: f"{at.consistency:.2%}", f"{every.consistency:.2%}")
    lines += part("pixels as with every frame segmented", lambda at: f"{at.agreement:.2%}")
    if any(run.void for run in result.runs):
        lines += part(
            "labelled pixels left void, which the above leaves out", lambda at: f"{at.void:.2%}", f"{every.void:.2%}"
        )
        lines += part(
            "mIoU, void as wrong", lambda at: f"{at.mean_iou_void_wrong:.2%}", f"{every.mean_iou_void_wrong:.2%}"
        )
    lines += part("target, limit, rise, interval, threshold, chance", lambda at: f"{at.setting:.4g}")
    lines += [markdown_table(cost_table(result))]
    notes = ["Bold: on the Pareto front of these cells, the oracle's left out"]
    if any(_mark(at) for at in cells):
        notes.append(f"\\*: no run within {FAR:.0%} of this share, interpolated over a wider gap")
    if any(not isfinite(at.mean_iou) for at in cells):
        notes.append(f"{_NONE}: all runs of the policy are on one side of this share, none near")
    if result.time:
        notes.append(f"a frame's time: {result.time}")
    return "\n".join([*lines, "", "; ".join(notes) + "."])


def cost_table(result: Sweep) -> Table:
    """What a frame costs at each share, and the policy but the oracle that keeps the most mIoU there."""
    columns = ("regions segmented", *_cost_names(result), "best policy", "mIoU", "kept")
    rows = []
    for place, share in enumerate(result.shares):
        here = [line[place] for name, line in result.policies.items() if name != "oracle"]
        best = max((at for at in here if isfinite(at.mean_iou)), key=lambda at: at.mean_iou, default=None)
        said = (TITLES[best.policy], f"{best.mean_iou:.2%}", f"{best.kept:.1%}") if best else (_NONE,) * 3
        rows.append((f"{100 * share:.4g}%", *_costs(result, share), *said))
    rows.append(("100%", *_costs(result, 1), EVERY, f"{result.every.mean_iou:.2%}", f"{1:.1%}"))
    return Table(columns, tuple(rows))


def front_table(result: Sweep) -> Table:
    """The runs that no other beats at an equal or smaller share, least share first; the oracle does not take part."""
    runs = [run for run in result.runs if run.policy != "oracle"]
    optimal = pareto_front([Point(run.share, run.mean_iou) for run in runs])
    kept = {(run.policy, run.setting): run for run, best in zip(runs, optimal, strict=True) if best}
    rows = [
        (f"{run.share:.1%}", TITLES.get(run.policy, run.policy), setting_text(run), f"{run.mean_iou:.2%}",
         f"{run.mean_iou / result.every.mean_iou:.1%}", *_costs(result, run.share))
        for run in sorted(kept.values(), key=lambda run: run.share)
    ]  # fmt: skip
    return Table(("regions segmented", "policy", "setting", "mIoU", "kept", *_cost_names(result)), tuple(rows))


def headline(result: Sweep) -> Table:
    """mIoU, and how much is kept, of each policy at each share."""
    columns = ("mIoU (kept)", *(f"{100 * share:.4g}%" for share in result.shares))
    rows = [
        (TITLES[name], *(f"{at.mean_iou:.2%} ({at.kept:.1%})" if isfinite(at.mean_iou) else _NONE for at in cells))
        for name, cells in result.policies.items()
    ]
    return Table(columns, (*rows, (EVERY, *[f"{result.every.mean_iou:.2%}"] * len(result.shares))))


def setting_text(run: Measured) -> str:
    """Which setting of its policy a run is: `target 87`."""
    words = {"learned": "target", "oracle": "target", "loss": "limit", "dynamic": "rise", "interval": "every",
             "random": "chance"}  # fmt: skip
    return f"{words.get(run.policy, 'above')} {run.setting:.4g}" if isfinite(run.setting) else _NONE


def _cost_names(result: Sweep) -> tuple[str, ...]:
    return ("G multiply-adds a frame", *(("ms a frame",) if result.time else ()))


def _costs(result: Sweep, share: float) -> tuple[str, ...]:
    """Of a frame of which this share of the regions is segmented."""
    light, heavy = result.multiply_adds
    milliseconds = (f"{result.time.at(share):,.1f}",) if result.time else ()
    return (f"{(light + share * heavy) / 1e9:.3g}", *milliseconds)


def _optimal(result: Sweep) -> Sequence[AtShare]:
    """The cells that no other beats at an equal or smaller share; the oracle's do not take part."""
    cells = [at for name, line in result.policies.items() if name != "oracle" for at in line if isfinite(at.mean_iou)]
    front = pareto_front([Point(at.share, at.mean_iou) for at in cells])
    return [at for at, best in zip(cells, front, strict=True) if best]


def _mark(at: AtShare) -> str:
    return "\\*" if isfinite(at.off) and at.off > FAR else ""
