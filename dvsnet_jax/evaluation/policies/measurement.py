"""How good a policy's labels are on labelled video, and which share of the regions it segmented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import isfinite
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.step_time import StepTime, step_time
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.datasets.samples import VOID
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.labelled import LabelledClip
from dvsnet_jax.evaluation.policies.simulation import SegmentedFrame, Urgency, segmented, setting, simulate
from dvsnet_jax.evaluation.segmentation import Counting, counting
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.motion.attached import estimator
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.media.motion.following import Follower
from dvsnet_jax.metrics.boundary import boundary_counts, mean_boundary_f, pool_counts, tolerance_of
from dvsnet_jax.metrics.segmentation import (
    class_ious,
    confusion_matrix,
    left_void,
    mean_iou,
    mean_iou_with_void,
    pixel_accuracy,
)
from dvsnet_jax.metrics.temporal import consistency_counts
from dvsnet_jax.video import init_state

FindFlow = Callable[[np.ndarray, np.ndarray], FlowPair]
"""Flow from a picture to the one before it, and where it counts: `datasets.flow.dis.find_flow`."""


class SegmentedClip(NamedTuple):
    """A clip, read and segmented once for all runs."""

    name: str
    frames: list[SegmentedFrame]
    truth: UInt8[np.ndarray, "time height width"]
    draws: Float[np.ndarray, "time regions"]
    """For the policy `random`."""
    steps: list[FlowPair]
    """From every frame but the first to the one before; empty where no motion was asked for."""


@dataclass(frozen=True)
class Measured:
    """A run over all clips. Share, mIoU, accuracy and agreement are 0..1."""

    policy: str
    setting: float
    """The policy's own number: target in percent, interval in frames, threshold, chance. Not finite for the two runs
    that segment everything and nothing."""
    share: float
    """Of all regions of all frames those that were segmented. Those of a clip's first frame always are; by the paper's
    protocol they do not count (`first_counts`)."""
    mean_iou: float
    """Over the classes that occur, all frames together."""
    accuracy: float
    agreement: float
    """Pixels whose label is the one that segmenting every frame gives."""
    boundary_f: float
    """F-score of outlines, over the classes that have some (`boundary_metrics`)."""
    consistency: float
    """Temporal consistency: mIoU of labels with the previous frame's, carried along (`temporal_metrics`); NaN where no
    motion was asked for."""
    class_ious: tuple[float, ...]
    """NaN for a class that is nowhere."""
    void: float
    """Of the labelled pixels those that the network left void, 0..1; none of the above but `agreement` counts them."""
    mean_iou_void_wrong: float
    """mIoU with these as wrong."""

    def as_json(self) -> dict[str, Any]:
        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return [plain(each) for each in value]
            return value if isinstance(value, str) or isfinite(value) else None

        return {name: plain(value) for name, value in asdict(self).items()}


def time_step(
    params: networks.Params,
    clips: Sequence[LabelledClip],
    *,
    config: DVSNetConfig,
    motion: Literal["dis", "encoder"] = "dis",
    progress: Callable[[str], None] = lambda line: None,
) -> StepTime:
    """The frame step's time for frames as the first clip's, on the beginning of which the host's motion is timed."""
    images = [frame.image for frame in islice(clips[0].frames, 20)]
    height, width = images[0].shape[:2]
    return step_time(params, config, height=height, width=width, video=images, motion=motion, progress=progress)


def segment_clips(
    params: networks.Params,
    clips: Sequence[LabelledClip],
    *,
    config: DVSNetConfig,
    seed: int = 0,
    find_flow: FindFlow | None = None,
    motion: Literal["dis", "encoder"] = "dis",
    progress: Callable[[str], None] = lambda line: None,
) -> list[SegmentedClip]:
    """Reads every frame and segments it whole; `seed` is for the draws, `find_flow` for temporal consistency, and
    `motion` says what finds that which is carried, where `config.takes_motion`.

    Raises InputError for labels that are all void or not the network's, and for frames that the configuration cannot
    take.
    """
    rng = np.random.default_rng(seed)
    total, done, labelled = sum(len(clip.frames) for clip in clips), 0, 0
    video = []
    for clip in clips:
        frames: list[SegmentedFrame] = []
        truth: list[np.ndarray] = []
        steps: list[FlowPair] = []
        before: np.ndarray | None = None
        follower = Follower(estimator(motion)) if config.takes_motion else None
        for image, labels in clip.frames:
            size = truth[0].shape if truth else config.input_size or labels.shape
            _check(clip.name, labels, size, config.num_classes)
            if not frames:
                try:
                    blank = init_state(params, image[None], config=config)
                except ValueError as error:  # frames too small, or an overlap too large for them
                    raise InputError(f"{clip.name}: {error}") from error
            moved = for_step(follower.step(image), *image.shape[:2]) if follower else None
            frames.append(segmented(params, image, config=config, blank=blank, motion=moved))
            truth.append(labels)
            if find_flow:
                image = resize_image(image, labels.shape)
                if before is not None:
                    steps.append(find_flow(image, before))
                before = image
            labelled += int((labels != VOID).sum())
            done += 1
            if done % 10 == 0 or done == total:
                progress(f"{done} of {total} frames segmented")
        draws = rng.random((len(frames), config.num_regions), np.float32)
        video.append(SegmentedClip(clip.name, frames, np.stack(truth), draws, steps))
    if not labelled:
        raise InputError(f"{clips[0].name} and all other frames ({total}): every label is void; give labelled video")
    return video


def _check(name: str, labels: UInt8[np.ndarray, "h w"], size: tuple[int, ...], num_classes: int) -> None:
    if strange := np.setdiff1d(labels, [*range(num_classes), VOID]).tolist():
        raise InputError(
            f"{name}: there are labels {', '.join(map(str, strange[:5]))}, but these weights know the classes 0 to "
            f"{num_classes - 1}; take weights for the classes of this data set"
        )
    if labels.shape != size:
        raise InputError(f"{name}: has a frame of {labels.shape}, expected {size} as before it or as input_size says")


def measure(
    params: networks.Params,
    video: Sequence[SegmentedClip],
    policy: str,
    threshold: float,
    *,
    config: DVSNetConfig,
    classes: Counting = "own",
    first_counts: bool = True,
    warping: str = "scores",
) -> tuple[Measured, Urgency]:
    """A run of a policy over all clips, and the evidence that it saw, of all clips one after another.

    `camvid` counts 19 classes as CamVid's 11; `first_counts` says whether first frames are in the share.
    """
    merged, count = counting(config.num_classes, classes)
    matrix, carried = np.zeros((2, count, count), np.int64)
    void = np.zeros(count, np.int64)
    taken = regions = same = pixels = 0
    urgencies, outlines = [], []
    for clip in video:
        run = simulate(params, clip.frames, policy, threshold, clip.draws, config=config, warping=warping)
        tolerance = tolerance_of(*clip.truth.shape[1:])
        counted = [merged(labels) for labels in run.labels]
        for labels, frame in zip(run.labels, clip.frames, strict=True):
            same += int((labels == np.asarray(frame.merged)).sum())
            pixels += labels.size
        for labels, truth in zip(counted, clip.truth, strict=True):
            true = merged(truth)
            matrix += np.asarray(confusion_matrix(labels, true, count))
            void += left_void(labels, true, count)
            outlines.append(boundary_counts(labels, true, count, tolerance=tolerance))
        for labels, before, step in zip(counted[1:], counted[:-1], clip.steps, strict=False):
            carried += np.asarray(consistency_counts(labels, before, step.flow, count, visible=step.valid))
        counting_frames = run.segmented if first_counts else run.segmented[1:]
        taken += int(counting_frames.sum())
        regions += counting_frames.size
        urgencies.append(run.urgency)
    measured = Measured(
        policy=policy,
        setting=setting(policy, threshold),
        share=taken / regions,
        mean_iou=mean_iou(matrix),
        accuracy=pixel_accuracy(matrix),
        agreement=same / pixels,
        boundary_f=mean_boundary_f(pool_counts(outlines)),
        consistency=mean_iou(carried),
        class_ious=tuple(class_ious(matrix).tolist()),
        void=float(void.sum() / max(1, void.sum() + matrix.sum())),
        mean_iou_void_wrong=mean_iou_with_void(matrix, void),
    )
    return measured, jax.tree.map(lambda *parts: np.concatenate(parts), *urgencies)
