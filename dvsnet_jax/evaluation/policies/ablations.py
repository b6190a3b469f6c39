"""The paper's ablations (section 4): the frame step with one thing changed, each variant a sweep of one policy.

found = {name: sweep_variant(params, clips, config=changed, …) for name, changed in overlaps(config, (0, 32)).items()}
print(markdown_table(ablation_table("overlap", found)))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.labelled import LabelledClip
from dvsnet_jax.evaluation.policies.measurement import Measured, SegmentedClip, segment_clips, time_step
from dvsnet_jax.evaluation.policies.simulation import WARPINGS
from dvsnet_jax.evaluation.policies.sweep import FAR, Sweep, sweep
from dvsnet_jax.evaluation.segmentation import Counting
from dvsnet_jax.markdown import Table
from dvsnet_jax.video import region_grid

WARPING_NAMES = {
    "scores": "scores, with the scale field",
    "unscaled": "scores, without the scale field",
    "labels": "labels",
}


def overlaps(config: DVSNetConfig, pixels: Sequence[int]) -> dict[str, DVSNetConfig]:
    """By name, the configuration with each overlap."""
    return {str(overlap): config.replace(overlap=overlap) for overlap in pixels}


def grids(config: DVSNetConfig, regions: Sequence[tuple[int, int]]) -> dict[str, DVSNetConfig]:
    """By name, the configuration with each number of rows and columns."""
    return {f"{rows}×{columns}": config.replace(regions=(rows, columns)) for rows, columns in regions}


def check_sizes(variants: Mapping[str, DVSNetConfig], clips: Sequence[LabelledClip]) -> None:
    """Raises InputError where a variant cannot cut the frames; before the first is measured, not after."""
    for name, config in variants.items():
        for clip in clips:
            try:
                region_grid(config, *clip.frames[0].image.shape[:2])
            except ValueError as error:
                raise InputError(f"{clip.name}: variant {name}: {error}") from error


def sweep_variant(
    params: networks.Params,
    clips: Sequence[LabelledClip],
    *,
    config: DVSNetConfig,
    policy: str,
    shares: Sequence[float],
    classes: Counting = "own",
    first_counts: bool = True,
    tolerance: float = 0.01,
    most_runs: int = 6,
    timed: bool = True,
    seed: int = 0,
    on_run: Callable[[Measured], None] = lambda measured: None,
    progress: Callable[[str], None] = lambda line: None,
) -> Sweep:
    """Segments all frames with this configuration and sweeps the policy. Raises InputError as `segment_clips` does."""
    video = segment_clips(params, clips, config=config, seed=seed, progress=progress)
    time = time_step(params, clips, config=config, progress=progress) if timed else None
    return sweep(
        params, video, config=config, shares=shares, policies=(policy,), classes=classes, first_counts=first_counts,
        tolerance=tolerance, most_runs=most_runs, time=time, on_run=on_run,
    )  # fmt: skip


def sweep_warpings(
    params: networks.Params,
    video: Sequence[SegmentedClip],
    *,
    config: DVSNetConfig,
    policy: str,
    shares: Sequence[float],
    classes: Counting = "own",
    first_counts: bool = True,
    tolerance: float = 0.01,
    most_runs: int = 6,
    on_run: Callable[[str, Measured], None] = lambda name, measured: None,
) -> dict[str, Sweep]:
    """Of each of `WARPINGS`, by its name in words, the policy's sweep. Only the oracle's routes follow from it."""
    return {
        WARPING_NAMES[warping]: sweep(
            params, video, config=config, shares=shares, policies=(policy,), classes=classes,
            first_counts=first_counts, warping=warping, tolerance=tolerance, most_runs=most_runs,
            on_run=lambda measured, warping=warping: on_run(WARPING_NAMES[warping], measured),  # type: ignore[misc]
        )
        for warping in WARPINGS
    }  # fmt: skip


def ablation_table(changed: str, found: Mapping[str, Sweep]) -> Table:
    """A row for each variant: mIoU with every frame segmented, mIoU and what is kept of it at each share, and what a
    frame costs with nothing and with everything segmented. A star says that no run is within `FAR` of a share."""
    first = next(iter(found.values()))
    timed = all(result.time for result in found.values())
    columns = (
        changed,
        "mIoU, all segmented",
        *(f"at {100 * share:.4g}% of regions (kept)" for share in first.shares),
        "G multiply-adds a frame",
        *(("ms a frame",) if timed else ()),
    )
    rows = []
    for name, result in found.items():
        (cells,) = result.policies.values()
        light, heavy = result.multiply_adds
        said = [
            f"{at.mean_iou:.2%} ({at.kept:.1%}){'*' if at.off > FAR else ''}" if isfinite(at.mean_iou) else "–"
            for at in cells
        ]
        cost = [f"{light / 1e9:.3g} – {(light + heavy) / 1e9:.3g}"]
        if timed and result.time:
            cost.append(f"{result.time.at(0):,.1f} – {result.time.at(1):,.1f}")
        rows.append((name, f"{result.every.mean_iou:.2%}", *said, *cost))
    return Table(columns, tuple(rows))
