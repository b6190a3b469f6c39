"""What a sweep over policies found, as a report: front, classes, calibration, and a run to look at frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.label_sets import named_palette
from dvsnet_jax.evaluation.clips.labelled import LabelledClip
from dvsnet_jax.evaluation.policies.measurement import Measured, SegmentedClip
from dvsnet_jax.evaluation.policies.simulation import DYNAMIC, POLICIES, Run, simulate, threshold
from dvsnet_jax.evaluation.policies.sweep import EVERY, FIRST, TITLES, Sweep
from dvsnet_jax.evaluation.policies.tables import headline, setting_text
from dvsnet_jax.evaluation.reports.evaluation import class_names, known_names
from dvsnet_jax.evaluation.reports.page import Clip, Curve, Frame, Point, Report
from dvsnet_jax.evaluation.segmentation import Counting, as_counted
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.metrics.calibration import bins
from dvsnet_jax.metrics.segmentation import confusion_matrix, mean_iou
from dvsnet_jax.policies import TargetMoves, moved_target


def policy_report(
    params: networks.Params,
    result: Sweep,
    clips: Sequence[LabelledClip],
    video: Sequence[SegmentedClip],
    *,
    config: DVSNetConfig,
    share: float,
    classes: Counting = "own",
    title: str,
    facts: Sequence[tuple[str, str]] = (),
) -> Report:
    """The report of a sweep. The run that is shown is accumulated loss's nearest to `share`, or without one that of
    the policy measured first."""
    policy = "loss" if "loss" in result.policies else next(iter(result.policies))
    of_it = [run for run in result.runs if run.policy == policy]
    chosen = min(of_it or result.runs[:2], key=lambda run: abs(run.share - share))  # every region, or none
    # The runs that segment everything and nothing are the first policy's.
    at = threshold(POLICIES[0] if chosen.policy in (EVERY, FIRST) else policy, chosen.setting)
    runs = [simulate(params, clip.frames, policy, at, clip.draws, config=config) for clip in video]
    learned = np.concatenate([-run.urgency.learned.ravel() for run in runs])
    agreement = np.concatenate([-run.urgency.oracle.ravel() for run in runs])
    known = np.isfinite(learned) & np.isfinite(agreement)  # nothing is expected where the motion is not known
    names = class_names(config, classes)
    shown = f"{TITLES.get(chosen.policy, chosen.policy)}, {setting_text(chosen)}, {chosen.share:.0%} of regions"
    light, heavy = result.multiply_adds
    return Report(
        title=title,
        facts=(
            *facts,
            (
                "Multiply-adds a frame",
                f"{light / 1e9:.3g} G with nothing segmented, {(light + heavy) / 1e9:.3g} G with all",
            ),
            *((("A frame's time", str(result.time)),) if result.time else ()),
            ("Shown below", shown),
        ),
        headline=headline(result),
        curves=_curves(result),
        milliseconds=(result.time.at(0), result.time.at(1)) if result.time else None,
        classes=tuple(names),
        class_ious=((EVERY, result.every.class_ious), (shown, chosen.class_ious)),
        calibration=tuple(bins(learned[known], agreement[known])),
        clips=tuple(
            Clip(
                name=clip.name,
                grid=config.regions,
                overlap=config.overlap,
                frames=_Frames(clip, run, chosen, config.num_classes, classes),
                palette=named_palette(config.num_classes, known_names(config)),
                classes=known_names(config),
            )
            for clip, run in zip(clips, runs, strict=True)
        ),
    )


@dataclass(frozen=True)
class _Frames(Sequence[Frame]):
    """Frames of a run, read again when asked for."""

    clip: LabelledClip
    run: Run
    chosen: Measured
    num_classes: int
    classes: Counting

    def __len__(self) -> int:
        return len(self.run.labels)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        image, truth = self.clip.frames[index]
        labels = as_counted(self.run.labels[index], self.num_classes, self.classes)
        regions = self.run.segmented.shape[1]
        scores: list[float | None] = [None] * regions
        targets = list(scores)
        if index:
            scores = (-self.run.urgency.learned[index - 1]).tolist()
        if index and self.chosen.policy == "learned":
            targets = [self.chosen.setting] * regions
        if index and self.chosen.policy == "dynamic":
            segmented = self.run.segmented[1:index].sum(0)
            moves = TargetMoves(segmented, index - 1 - segmented)
            targets = moved_target(moves, DYNAMIC.target, DYNAMIC.fall, self.chosen.setting).tolist()
        if index and self.chosen.policy == "loss":  # the score below which the limit is passed
            lost = self.run.urgency.loss[index - 1] - np.maximum(100 + self.run.urgency.learned[index - 1], 0)
            targets = (100 - self.chosen.setting + lost).tolist()
        right = mean_iou(np.asarray(confusion_matrix(labels, truth, self.num_classes)))
        return Frame(
            name=f"{self.clip.name} + {index}",
            image=resize_image(image, labels.shape),
            labels=labels,
            segmented=self.run.segmented[index].tolist(),
            scores=scores,
            targets=targets,
            truth=truth,
            mean_iou=right if isfinite(right) else None,
        )


def _curves(result: Sweep) -> tuple[Curve, ...]:
    curves = [
        Curve(
            TITLES.get(policy, policy),
            tuple(Point(run.share, run.mean_iou, setting_text(run)) for run in result.runs if run.policy == policy),
            competes=policy != "oracle",
        )
        for policy in (*result.policies, FIRST, EVERY)
    ]
    return tuple(curve for curve in curves if curve.points)
