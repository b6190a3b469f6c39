"""`dvsnet policies`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from dvsnet_jax.cli.classes import Classes
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.motion import Motion, carried, found_by
from dvsnet_jax.cli.option_types import (
    Chance,
    Count,
    Names,
    OptionalChance,
    OptionalCount,
    OptionalGrid,
    OptionalPath,
    Part,
    Parts,
    Positive,
    either,
    option,
)
from dvsnet_jax.cli.run_options import need
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.evaluation.clips.labelled import LabelledClip
    from dvsnet_jax.evaluation.policies.measurement import Measured
    from dvsnet_jax.evaluation.segmentation import Counting
    from dvsnet_jax.networks import Params

PolicyName = Literal["learned", "loss", "dynamic", "interval", "difference", "flow", "random", "oracle"]
"""Of `evaluation.policies.simulation.POLICIES`."""


_DATA = (
    "Labelled video: camvid:ROOT:SPLIT (measured in its own 11 classes), cityscapes:ROOT:SPLIT[:LABELS], "
    "vspw:ROOT:SPLIT, kitti-step:ROOT:SPLIT, cityscapes-vps:ROOT:SPLIT, apolloscape:ROOT:SPLIT or folder:FRAMES:LABELS."
)


@dataclass(frozen=True, kw_only=True)
class ComparePolicies:
    """Compare policies at equal share of regions segmented.

    Consecutive labelled frames are a clip, whose first frame is segmented whole and counts. Every frame is segmented
    once; then each policy's threshold is searched for with runs that only warp, and what is printed at a share is
    interpolated between the nearest runs. Prints markdown tables: mIoU, outlines, temporal consistency, settings,
    multiply-adds and time a frame, and the Pareto front.
    """

    interrupted: ClassVar[str] = "interrupted; --json has what was measured until now"

    by_place: Annotated[tyro.conf.Positional[tuple[str, ...]], option("DATA", help=_DATA)] = ()
    data: Annotated[str, option("DATA")] = ""
    """The same, as other commands take it."""
    only: Names = ()
    """Beginnings of frames' names that are taken."""
    weights: Annotated[str | None, option("PATH", "--restore-from")] = None
    """A checkpoint's folder, or street-large, the heavier ones that come with the package; if not given, the lighter
    ones, street."""
    segmentation: OwnSegmentation = None
    classes: Classes = None
    motion: Motion = "auto"
    regions: OptionalGrid = None
    """How a frame is cut into regions, such as 2x2; those of the weights if not given."""
    overlap: OptionalCount = None
    """Pixels that a region reaches over its border with the next one."""
    fuse: OptionalChance = None
    """As of 'dvsnet segment'."""
    protocol: Literal["every", "all", "snippets"] = "every"
    """Which frames count: all (or every) that have labels, or as in the paper the last of frames 1 to 20."""
    scale: Positive = 1.0
    """Resizes the frames first."""
    shares: Parts = (0.05, 0.1, 0.2, 0.3, 0.5)
    """Of regions, between 0 and 1."""
    policies: tuple[PolicyName, ...] = (
        "learned", "loss", "dynamic", "interval", "difference", "flow", "random", "oracle",
    )  # fmt: skip
    """Those compared; oracle knows how many warped labels are right."""
    tolerance: Part = 0.005
    """Between share and run."""
    runs: Count = 8
    """At most, for each policy and share."""
    seed: int = 0
    """Of the policy random."""
    no_consistency: bool = False
    """Leave out temporal consistency, which takes optical flow."""
    no_time: bool = False
    """Leave out timing the frame step."""
    report: OptionalPath = None
    """Write a page with plots and a player here, HTML; frames are embedded in it."""
    report_share: Chance = 0.3
    """Whose frames it shows."""
    json: OptionalPath = None
    """Write all measurements here, one JSON object a line."""

    def run(self) -> int:
        given = either(self.by_place, (self.data,) if self.data else ())
        need("--data", given, "camvid:ROOT:SPLIT")
        if len(given) > 1:
            raise UsageError(f"{' '.join(given)}: policies are compared on one data set; name one")
        return replace(self, data=given[0], by_place=())._run()

    def _run(self) -> int:
        need("--policies", self.policies, "learned loss")
        if self.motion == "codec":
            raise UsageError("--motion codec: labelled frames are images, which have no vectors; take dis or encoder")

        from dvsnet_jax.media.atomic import check_folder
        from dvsnet_jax.media.json_lines import JsonLinesWriter

        for path in filter(None, (self.report, self.json)):
            check_folder(path)
        params, config = self._restored()
        clips = self._clips(config)
        with JsonLinesWriter(self.json) if self.json else nullcontext() as lines:
            print(self._measured(params, config, clips, lines.write if lines else lambda record: None))
        return 0

    def _restored(self) -> tuple[Params, DVSNetConfig]:
        from dvsnet_jax import networks

        params, config = load_weights(self.weights, None, self.motion, self.segmentation, self.classes)
        config = carried(self.motion, config)
        config = Settings(regions=self.regions, overlap=self.overlap, fuse=self.fuse).apply(config)
        return networks.prepare(params, config), config

    def _clips(self, config: DVSNetConfig) -> list[LabelledClip]:
        from dvsnet_jax.evaluation.clips.labelled import labelled_clips, snippets
        from dvsnet_jax.evaluation.clips.sources import check_classes

        check_classes([self.data], config)
        if self.protocol == "snippets":
            return snippets(self.data, only=self.only, scale=self.scale)
        return labelled_clips(self.data, num_classes=config.num_classes, only=self.only, scale=self.scale)

    def _measured(
        self, params: Params, config: DVSNetConfig, clips: Sequence[LabelledClip], write: Callable[[Any], None]
    ) -> str:
        """The tables; `write` gets every measurement, and the report is written."""
        from dvsnet_jax.datasets.flow.dis import find_flow
        from dvsnet_jax.evaluation.policies.measurement import segment_clips, time_step
        from dvsnet_jax.evaluation.policies.report import policy_report
        from dvsnet_jax.evaluation.policies.sweep import sweep
        from dvsnet_jax.evaluation.policies.tables import front_table, table
        from dvsnet_jax.evaluation.reports.page import write_report
        from dvsnet_jax.markdown import markdown_table

        def on_run(run: Measured) -> None:
            write({"what": "run", **run.as_json()})
            at = f" {run.setting:.4g}" if isfinite(run.setting) else ""
            tell(f"{run.policy}{at}: {run.share:.1%} of regions segmented, mIoU {run.mean_iou:.2%}")

        classes: Counting = "camvid" if self.data.startswith("camvid:") else "own"
        count = sum(len(clip.frames) for clip in clips)
        names = ("data", "only", "protocol", "scale", "seed", "tolerance")
        cut = {name: getattr(config, name) for name in ("regions", "overlap", "fuse")}
        write({"what": "settings", "weights": str(self.weights), **{name: getattr(self, name) for name in names}, **cut,
               "clips": len(clips), "frames": count})  # fmt: skip
        consistency = None if self.no_consistency else find_flow
        kind: Any = found_by(self.motion) or "dis"
        video = segment_clips(
            params, clips, config=config, seed=self.seed, find_flow=consistency, motion=kind, progress=tell
        )
        time = None if self.no_time else time_step(params, clips, config=config, motion=kind, progress=tell)
        if time:
            write({"what": "step time", **time.as_json()})
        result = sweep(
            params, video, config=config, shares=self.shares, policies=self.policies,
            classes=classes, first_counts=self.protocol != "snippets",
            tolerance=self.tolerance, most_runs=self.runs, on_run=on_run, time=time,
        )  # fmt: skip
        for cells in result.policies.values():
            for cell in cells:
                write({"what": "at share", **cell.as_json()})
        named = " ".join([self.data, *self.only])
        described = f"{named}: {count} frames, {len(clips)} clip{'' if len(clips) == 1 else 's'}"
        if self.report:
            facts = [("Data", described), ("Weights", str(self.weights or "bundled")),
                     ("Regions", f"{config.regions[0]} × {config.regions[1]}, overlap {config.overlap}")]  # fmt: skip
            page = policy_report(
                params, result, clips, video, config=config, share=self.report_share, classes=classes,
                title="When to segment a region anew", facts=facts,
            )  # fmt: skip
            write_report(self.report, page)
        return "\n\n".join([described, table(result), markdown_table(front_table(result))])
