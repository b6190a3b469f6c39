"""How good a policy's labels are on labelled video, and which share of the regions it segmented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.samples import VOID
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.labelled_clips import LabelledClip
from dvsnet_jax.evaluation.policy_simulation import SegmentedFrame, Urgency, segmented, setting, simulate
from dvsnet_jax.evaluation.segmentation import Counting, counting
from dvsnet_jax.segmentation_metrics import confusion_matrix, mean_iou, pixel_accuracy
from dvsnet_jax.video import init_state

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


class SegmentedClip(NamedTuple):
    """A clip, read and segmented once for all runs."""

    frames: list[SegmentedFrame]
    truth: UInt8[np.ndarray, "time height width"]
    draws: Float[np.ndarray, "time regions"]
    """For the policy `random`."""


@dataclass(frozen=True)
class Measured:
    """A run over all clips. Share, mIoU, accuracy and agreement are 0..1."""

    policy: str
    setting: float
    """The policy's own number: target in percent, interval in frames, threshold, chance. Not finite for the two runs
    that segment everything and nothing."""
    share: float
    """Of all regions of all frames those that were segmented; those of each clip's first frame always are."""
    mean_iou: float
    """Over the classes that occur, all frames together."""
    accuracy: float
    agreement: float
    """Pixels whose label is the one that segmenting every frame gives."""

    def as_json(self) -> dict[str, Any]:
        return {name: value if isinstance(value, str) or isfinite(value) else None
                for name, value in asdict(self).items()}  # fmt: skip


def segment_clips(
    params: networks.Params,
    clips: Sequence[LabelledClip],
    *,
    config: DVSNetConfig,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> list[SegmentedClip]:
    """Reads every frame and segments it whole; `seed` is for the draws.

    Raises InputError for labels that are all void or not the network's, and for frames that the configuration cannot
    take.
    """
    rng = np.random.default_rng(seed)
    total, done, labelled = sum(len(clip.frames) for clip in clips), 0, 0
    video = []
    for clip in clips:
        frames: list[SegmentedFrame] = []
        truth: list[np.ndarray] = []
        for image, labels in clip.frames:
            size = truth[0].shape if truth else config.input_size or labels.shape
            _check(clip.name, labels, size, config.num_classes)
            if not frames:
                try:
                    blank = init_state(params, image[None], config=config)
                except ValueError as error:  # frames too small, or an overlap too large for them
                    raise InputError(f"{clip.name}: {error}") from error
            frames.append(segmented(params, image, config=config, blank=blank))
            truth.append(labels)
            labelled += int((labels != VOID).sum())
            done += 1
            if done % 10 == 0 or done == total:
                progress(f"{done} of {total} frames segmented")
        draws = rng.random((len(frames), config.num_regions), np.float32)
        video.append(SegmentedClip(frames, np.stack(truth), draws))
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
) -> tuple[Measured, Urgency]:
    """A run of a policy over all clips, and the evidence that it saw, of all clips one after another.

    `camvid` counts 19 classes as CamVid's 11.
    """
    merged, count = counting(config.num_classes, classes)
    matrix = np.zeros((count, count), np.int64)
    taken = regions = same = pixels = 0
    urgencies = []
    for clip in video:
        run = simulate(params, clip.frames, policy, threshold, clip.draws, config=config)
        for labels, truth, frame in zip(run.labels, clip.truth, clip.frames, strict=True):
            matrix += np.asarray(confusion_matrix(merged(labels), merged(truth), count))
            same += int((labels == np.asarray(frame.merged)).sum())
            pixels += labels.size
        taken += int(run.segmented.sum())
        regions += run.segmented.size
        urgencies.append(run.urgency)
    measured = Measured(
        policy=policy,
        setting=setting(policy, threshold),
        share=taken / regions,
        mean_iou=mean_iou(matrix),
        accuracy=pixel_accuracy(matrix),
        agreement=same / pixels,
    )
    return measured, jax.tree.map(lambda *parts: np.concatenate(parts), *urgencies)
