"""What an evaluation found: one number for each metric, as a table, as JSON, and as a page to look at."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.multiply_adds import costs
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets import camvid, cityscapes
from dvsnet_jax.datasets.label_sets import named_palette
from dvsnet_jax.evaluation.clips.kept_labels import SHOWN, KeptFrames, kept
from dvsnet_jax.evaluation.clips.label_counts import LabelCounts, boundary_score, truth_matrix
from dvsnet_jax.evaluation.clips.scores import pooled
from dvsnet_jax.evaluation.clips.sources import NamedClip
from dvsnet_jax.evaluation.evaluate import Evaluation
from dvsnet_jax.evaluation.reports.page import Clip, Report
from dvsnet_jax.evaluation.segmentation import Counting
from dvsnet_jax.markdown import Table
from dvsnet_jax.media.motion.attached import Kind
from dvsnet_jax.metrics.calibration import bins, mean_absolute_error, rank_correlation
from dvsnet_jax.metrics.object_size import SIZES, size_ious
from dvsnet_jax.metrics.published_tc import AreaCounts, etc_tc, vspw_tc
from dvsnet_jax.metrics.segmentation import (
    class_ious,
    frequency_weighted_iou,
    mean_iou,
    mean_iou_with_void,
    pixel_accuracy,
    with_void,
)
from dvsnet_jax.metrics.tracking import segmentation_quality
from dvsnet_jax.metrics.windows import LENGTHS, WindowCounts, corrected_vc, vec, vspw_vc
from dvsnet_jax.policies import AccumulatedLoss, Budget, DynamicTarget, ExpectedConfidence

_BY_SCORE = (ExpectedConfidence, DynamicTarget, AccumulatedLoss, Budget)
"""Policies whose targets are percents of expected confidence."""
_TC = {
    "tc": "VSPW's program has it, flow by dense inverse search",
    "tc_etc": "ETC's program has it, flow by dense inverse search",
    "tc_etc_flownet2": "ETC's program has it, flow by FlowNet2 as there",
}
"""Temporal consistency as papers' programs have it: what stands in the table where it was counted."""


def class_names(config: DVSNetConfig, classes: Counting) -> tuple[str, ...]:
    """What the classes that are counted are called."""
    own = () if classes == "camvid" else known_names(config)
    return own or usual_names(config.num_classes, classes)


def usual_names(num_classes: int, classes: Counting) -> tuple[str, ...]:
    """CamVid's, Cityscapes' 19, or numbers."""
    if classes == "camvid":
        return camvid.CLASSES
    return cityscapes.CLASSES if num_classes == 19 else tuple(map(str, range(num_classes)))


def known_names(config: DVSNetConfig) -> tuple[str, ...]:
    """The segmentation network's classes by name: its own, or Cityscapes' 19; empty where they have none."""
    own = getattr(config.segmentation, "classes", None)
    return own or (cityscapes.CLASSES if config.num_classes == 19 else ())


def counted_as(kind: str, num_classes: int) -> Counting:
    """How data of a kind is counted: CamVid in its own 11 classes where labels are of those or of Cityscapes' 19."""
    return "camvid" if kind == "camvid" and num_classes in (len(camvid.CLASSES), 19) else "own"


def results(evaluation: Evaluation, params: networks.Params, config: DVSNetConfig) -> dict[str, Any]:
    """All metrics by name, JSON values: shares 0..1, None for what was not measured or cannot be said.

    `dvsnet` and (where it was asked for) `every_frame` have `mean_iou`, over the classes that occur, `mean_iou_all`,
    over all classes with 0 for those that do not, `mean_iou_true`, over those that the truth has, `weighted_iou`,
    `accuracy`, `boundary_f`, `iou_small`, `iou_medium`, `iou_large`, `segmentation_quality` (SQ of STQ), `vc8`, `vc16`
    and `tc` as VSPW's program has them, `tc_etc` and `tc_etc_flownet2` as ETC's along two flows, `vc8_corrected`,
    `vc16_corrected`, `vec8`, `vec16`, `temporal_consistency` and `class_ious`.
    """
    total = pooled(evaluation.records)
    frames: Counter[tuple[int, int]] = Counter()
    for record in evaluation.records:
        frames[record.height, record.width] += record.frames
    light = heavy = 0.0
    for size, count in frames.items():
        segmentation, *others = (cost.multiply_adds for cost in costs(config, *size, params=params))
        light += config.num_regions * sum(others) * count / total.frames
        heavy += config.num_regions * segmentation * count / total.frames
    share = total.segmented / total.regions if total.regions else None
    found = {
        "clips": len(evaluation.records),
        "failed": evaluation.failures,
        "frames": total.frames,
        "labelled": total.labelled,
        "untrusted_frames": total.untrusted,
        "share": share,
        "multiply_adds": light + share * heavy if share is not None else None,
        "multiply_adds_every_frame": light + heavy,
        "ms_per_frame": 1000 * total.seconds / total.timed if total.timed else None,
        "dvsnet": label_metrics(total.dvsnet),
        "every_frame": label_metrics(total.every_frame) if total.every_frame else None,
        "agreement": total.same / total.pixels if total.pixels else None,
        "decision_mae": None,
        "decision_rank_correlation": None,
        "worst_frames": [{"clip": clip, "frame": frame, "mean_iou": iou} for clip, frame, iou in total.worst],
    }
    if total.predicted:
        predicted, true = np.asarray(total.predicted), np.asarray(total.agreement)
        found["decision_mae"] = mean_absolute_error(predicted, true)
        found["decision_rank_correlation"] = rank_correlation(predicted, true)
    return found


def headline(found: dict[str, Any]) -> Table:
    """The metrics, one a row; a second column has those of every frame segmented, if that was asked for."""
    ours, theirs = found["dvsnet"], found["every_frame"]

    rows = [
        *_label_rows(ours, *([theirs] if theirs else [])),
        ("regions segmented", _percent(found["share"]), *(["100.0%"] if theirs else [])),
        ("G multiply-adds a frame", _giga(found["multiply_adds"]),
         *([_giga(found["multiply_adds_every_frame"])] if theirs else [])),
        ("ms a frame, frame step alone", _plain(found["ms_per_frame"], ".1f"), *(["–"] if theirs else [])),
    ]  # fmt: skip
    if theirs:
        rows += [
            ("mIoU kept", _percent(_ratio(ours["mean_iou"], theirs["mean_iou"])), "100.0%"),
            ("pixels labelled as with every frame segmented", _percent(found["agreement"]), "100.0%"),
            ("error of expected confidence, points", _plain(found["decision_mae"], ".2f"), "–"),
            ("its rank correlation with the true one", _plain(found["decision_rank_correlation"], ".3f"), "–"),
        ]
    return Table(("", "DVSNet", *(["every frame"] if theirs else [])), tuple(rows))


def label_table(metrics: dict[str, Any]) -> Table:
    """The measures of labels alone, one a row."""
    return Table(("", "labels"), tuple(_label_rows(metrics)))


def _label_rows(*ways: dict[str, Any]) -> list[tuple[str, ...]]:
    def percents(name: str) -> list[str]:
        return [_percent(each[name]) for each in ways]

    return [
        ("mIoU, over the classes that occur", *percents("mean_iou")),
        ("mIoU, over all classes", *percents("mean_iou_all")),
        *([("labelled pixels left void, which the above leaves out", *percents("void")),
           ("mIoU, over the classes that occur, void as wrong", *percents("mean_iou_void_wrong"))]
          if any(each.get("void") for each in ways) else []),
        ("pixel accuracy", *percents("accuracy")),
        ("boundary F-score", *percents("boundary_f")),
        *((f"IoU of {size} objects", *percents(f"iou_{size}")) for size in SIZES),
        ("SQ, the semantic half of STQ", *percents("segmentation_quality")),
        ("temporal consistency", *percents("temporal_consistency")),
        *((f"VC{length}: steady and right", *percents(f"vc{length}_corrected")) for length in LENGTHS),
        *((f"VEC{length}", *percents(f"vec{length}")) for length in LENGTHS),
        *((f"VC{length} as VSPW's program has it", *percents(f"vc{length}")) for length in LENGTHS),
        *((f"TC as {title}", *percents(name)) for name, title in _TC.items() if ways[0][name] is not None),
    ]  # fmt: skip


def vspw_table(found: dict[str, Any], name: str) -> Table:
    """The row of VSPW's tables, everything as its programs have it, but that flow by dense inverse search is in the
    place of RAFT's. `name` is that of the method."""
    columns = ("mean_iou_true", "weighted_iou", "tc", "vc8", "vc16")
    ways = ((name, found["dvsnet"]), ("every frame", found["every_frame"]))
    rows = [(way, *(_percent(metrics[column]) for column in columns)) for way, metrics in ways if metrics]
    return Table(("by VSPW's programs", "mIoU", "weighted IoU", "TC (other flow)", "VC8", "VC16"), tuple(rows))


def worst_table(found: dict[str, Any]) -> Table:
    """The frames of lowest mean IoU, worst first."""
    rows = [(each["clip"], str(each["frame"]), _percent(each["mean_iou"])) for each in found["worst_frames"]]
    return Table(("worst frames: clip", "frame, from 0", "mIoU"), tuple(rows))


def class_table(found: dict[str, Any], names: Sequence[str], way: str = "DVSNet") -> Table:
    """IoU of each class that occurs; `way` heads the column."""
    ours, theirs = found["dvsnet"]["class_ious"], (found["every_frame"] or {}).get("class_ious")
    rows = [
        (name, _percent(ours[index]), *([_percent(theirs[index])] if theirs else []))
        for index, name in enumerate(names)
        if ours[index] is not None or (theirs and theirs[index] is not None)
    ]
    return Table(("IoU", way, *(["every frame"] if theirs else [])), tuple(rows))


def clip_table(evaluation: Evaluation) -> Table:
    """A row for each clip, the failed ones too."""
    rows = [
        (record.clip, str(record.frames), str(record.labelled),
         _percent(_finite(mean_iou(truth_matrix(record.dvsnet)))),
         _percent(record.segmented / record.regions if record.regions else None), "")
        for record in evaluation.records
    ]  # fmt: skip
    rows += [(name, "–", "–", "–", "–", error) for name, error in evaluation.failures.items()]
    columns = ("clip", "frames", "labelled", "mIoU", "regions segmented", "failed")
    return Table(columns, tuple(rows)) if evaluation.failures else Table(columns[:-1], tuple(row[:-1] for row in rows))


def evaluation_report(
    evaluation: Evaluation,
    found: dict[str, Any],
    clips: Sequence[NamedClip],
    *,
    config: DVSNetConfig,
    folder: Path,
    classes: Counting,
    title: str,
    names: Sequence[str] | None = None,
    facts: Sequence[tuple[str, str]] = (),
    motion: Kind | None = None,
) -> Report:
    """The report, with a player for the clips whose labels are kept in `folder`, which shows the motion too that was
    carried, if one was. `names` are those of the classes that are counted; of Cityscapes' or CamVid's if not given."""
    total = pooled(evaluation.records)
    failed = [(f"Failed: {name}", error) for name, error in evaluation.failures.items()]
    ways = (("DVSNet", found["dvsnet"]), ("every frame", found["every_frame"]))
    done = {record.clip: record.frames for record in evaluation.records}
    counts = f"{total.frames} in {len(evaluation.records)} clips, {total.labelled} with labels"
    return Report(
        title=title,
        facts=(*facts, ("Frames", counts), *failed),
        headline=headline(found),
        classes=tuple(names or class_names(config, classes)),
        class_ious=tuple((name, tuple(metrics["class_ious"])) for name, metrics in ways if metrics),
        calibration=tuple(bins(np.asarray(total.predicted), np.asarray(total.agreement))) if total.predicted else (),
        clips=tuple(
            Clip(
                name=clip.name if done[clip.name] <= SHOWN else f"{clip.name}, {SHOWN} of {done[clip.name]} frames",
                grid=config.regions,
                overlap=config.overlap,
                frames=KeptFrames(
                    folder, clip, config.num_classes, classes, isinstance(config.policy, _BY_SCORE), motion
                ),
                palette=named_palette(config.num_classes, known_names(config)),
                classes=known_names(config),
            )
            for clip in clips
            if clip.name in done and kept(folder, clip.name)
        ),
    )


def label_metrics(counts: LabelCounts) -> dict[str, Any]:
    """The measures of labels by name, as in `results`."""
    matrix, carried = truth_matrix(counts), np.asarray(counts.carried)
    labelled = bool(matrix.sum())
    return {
        "mean_iou": _finite(mean_iou(matrix)),
        "mean_iou_all": mean_iou(matrix, absent="zero") if labelled else None,
        "accuracy": _finite(pixel_accuracy(matrix)),
        "mean_iou_true": _finite(mean_iou(matrix, absent="untrue")),
        "weighted_iou": _finite(frequency_weighted_iou(matrix)),
        "boundary_f": _finite(boundary_score(counts)),
        **_by_size(counts),
        **_void(matrix, counts.void),
        "segmentation_quality": _quality(matrix, counts.void),
        **_windows(counts),
        **_published(counts),
        "temporal_consistency": _finite(mean_iou(carried)),
        "class_ious": [_finite(value) for value in class_ious(matrix).tolist()],
    }


def _void(matrix: Int[np.ndarray, "classes classes"], void: list[int] | None) -> dict[str, float | None]:
    """How much of what is labelled was left void, and mIoU with that as wrong, as Cityscapes' program counts it."""
    if not void or not matrix.sum() + sum(void):
        return {"void": None, "mean_iou_void_wrong": None}
    as_wrong = mean_iou_with_void(matrix, np.asarray(void))
    return {"void": sum(void) / (matrix.sum() + sum(void)), "mean_iou_void_wrong": _finite(as_wrong)}


def _by_size(counts: LabelCounts) -> dict[str, float | None]:
    ious = [None] * len(SIZES) if counts.sizes is None else size_ious(np.asarray(counts.sizes)).tolist()
    return {f"iou_{size}": _finite(value) for size, value in zip(SIZES, ious, strict=True)}


def _quality(matrix: Int[np.ndarray, "classes classes"], void: list[int] | None) -> float | None:
    if void is None:
        return None
    return _finite(segmentation_quality(with_void(matrix, void)))


def _windows(counts: LabelCounts) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for length in LENGTHS:
        windows = WindowCounts(*counts.windows[str(length)]) if counts.windows else WindowCounts()  # type: ignore[arg-type]
        found[f"vc{length}"] = _finite(vspw_vc(windows))
        found[f"vc{length}_corrected"] = _finite(corrected_vc(windows))
        found[f"vec{length}"] = _finite(vec(windows))
    return found


def _published(counts: LabelCounts) -> dict[str, float | None]:
    found: dict[str, float | None] = dict.fromkeys(_TC)
    for name, areas in (counts.published or {}).items():
        measure, mean = ("tc", vspw_tc) if name == "vspw" else (f"tc_{name}", etc_tc)
        found[measure] = _finite(mean(AreaCounts(*np.asarray(areas))))
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _plain(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _giga(value: float | None) -> str:
    return "–" if value is None else f"{value / 1e9:.3g}"
