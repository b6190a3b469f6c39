"""What an evaluation counts of a clip, as a record that JSON holds and that adds up with those of other clips.

    scores = ClipScores("drive_1", config, ...)
    for frame in frames: scores.add(frame)
    record = scores.record(frames=30)
    total = pooled([record, ...])
    print(total.mean_iou, total.share)

Everything is a sum (confusion matrix, outline pixels, windows, regions), so the metrics of all clips are those of
their sums, whatever the order, the streams, the processes and the number of times that the evaluation was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.samples import VOID
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.label_counts import (
    DenseFlow,
    LabelCounts,
    LabelledWay,
    add_label_counts,
    found_flows,
)
from dvsnet_jax.evaluation.policies.measurement import FindFlow
from dvsnet_jax.evaluation.segmentation import Counting, counting
from dvsnet_jax.inference.streaming.streams import SegmentedFrame
from dvsnet_jax.media.images import resize_image, resize_labels
from dvsnet_jax.ops.regions import RegionGrid
from dvsnet_jax.video import region_grid

_WORST = 10  # frames that are remembered, of a clip and of all


@dataclass(frozen=True)
class ClipRecord:
    """Sums over one clip, or over several."""

    clip: str
    frames: int
    labelled: int
    """Frames with a label that counts."""
    height: int
    width: int
    """Of its frames."""
    regions: int
    """Of the frames whose cost counts."""
    segmented: int
    """Of those regions, how many were segmented anew."""
    timed: int
    """Frames whose time counts."""
    seconds: float
    """What the frame step took for those, reading and compiling not included."""
    dvsnet: LabelCounts
    every_frame: LabelCounts | None
    """With every region of every frame segmented, if that was asked for."""
    same: int
    """Pixels whose label is the one that segmenting every frame gives."""
    pixels: int
    """Those that were compared; 0 where it was not asked for."""
    predicted: list[float]
    """Of each region that was warped: expected confidence score, percent. With `every_frame` only."""
    agreement: list[float]
    """And its pixels whose label is the one that segmenting it gives, percent."""
    untrusted: int = 0
    """Frames of which a region could not be trusted (`FrameResult.untrusted`)."""
    worst: list[tuple[str, int, float]] = field(default_factory=list)
    """The frames of lowest mean IoU, worst first: clip, number from 0, mean IoU 0..1."""
    files: dict[str, int] | None = None
    """What tells the files that it was counted from (`inference.source_identity.state_of`)."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(record: dict[str, Any]) -> ClipRecord:
        """The inverse. Raises KeyError or TypeError for a record of another form."""
        every = record["every_frame"]
        parts = {"dvsnet": LabelCounts(**record["dvsnet"]), "every_frame": LabelCounts(**every) if every else None}
        return ClipRecord(**{**record, **parts, "worst": [tuple(frame) for frame in record.get("worst", ())]})


@dataclass
class ClipScores:
    """Counts the frames of one clip, as they come."""

    clip: str
    config: DVSNetConfig
    classes: Counting = "own"
    first_counts: bool = True
    """Whether the first frame is in the share of regions segmented."""
    find_flow: FindFlow | None = None
    """For temporal consistency."""
    published_tc: Mapping[str, DenseFlow] | None = None
    """For temporal consistency as papers' programs have it, the flow of each."""
    labelled: int = 0
    regions: int = 0
    segmented: int = 0
    timed: int = 0
    seconds: float = 0.0
    same: int = 0
    pixels: int = 0
    predicted: list[float] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)
    untrusted: int = 0
    worst: list[tuple[str, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._merged, self._count = counting(self.config.num_classes, self.classes)
        self._ways = tuple(LabelledWay(self._count, published_tc=self.published_tc) for _ in range(2))
        self._size: tuple[int, ...] = ()
        self._picture: np.ndarray | None = None

    def add(self, frame: SegmentedFrame) -> None:
        """Counts the clip's next frame. Raises InputError for labels that are no class of the network's, and for those
        whose sides are in another proportion than the frame's."""
        labels, truth = frame.labels, frame.sample.labels
        known = truth[truth != VOID]
        if known.size and (largest := int(known.max())) >= self.config.num_classes:
            raise InputError(
                f"frame {frame.number} has the label {largest}, but these weights know the classes 0 to "
                f"{self.config.num_classes - 1}; take weights for the classes of this data set"
            )
        self._size = frame.sample.image.shape
        self.untrusted += bool(frame.untrusted.any())
        if self.first_counts or frame.number:
            self.regions += frame.segmented.size
            self.segmented += int(frame.segmented.sum())
        if frame.seconds is not None:
            self.timed += 1
            self.seconds += frame.seconds
        ways = [(self._ways[0], labels)]
        if frame.whole is not None:
            ways.append((self._ways[1], frame.whole))
            self.same += int((labels == frame.whole).sum())
            self.pixels += labels.size
            self._compare(frame, region_grid(self.config, *frame.sample.image.shape[:2]))
        if known.size:
            self.labelled += 1
            merged = self._merged(truth)
            right, *_ = [
                way.count_truth(self._merged(_at_size(found, truth.shape, frame.number)), merged) for way, found in ways
            ]
            if isfinite(right):
                self.worst = _worst([*self.worst, (self.clip, frame.number, round(right, 6))])
        else:
            for way, _ in ways:
                way.count_no_truth()
        if self.find_flow or self.published_tc:
            picture, before = resize_image(frame.sample.image, (labels.shape[0], labels.shape[1])), self._picture
            to_before = self.find_flow(picture, before) if self.find_flow and before is not None else None
            from_before = found_flows(self.published_tc or {}, before, picture) if before is not None else {}
            for way, found in ways:
                way.count_steady(self._merged(found), to_before, from_before)
            self._picture = picture

    def _compare(self, frame: SegmentedFrame, grid: RegionGrid) -> None:
        """Expected against true confidence of the regions that were warped; regions overlap, so these are the labels
        that the frame has there in the end."""
        assert frame.whole is not None
        right = frame.labels == frame.whole
        for region, (top, left) in enumerate(grid.corners):
            if not frame.segmented[region]:
                part = right[top : top + grid.region_height, left : left + grid.region_width]
                self.predicted.append(round(float(frame.scores[region]), 4))
                self.agreement.append(round(100 * float(part.mean()), 4))

    def record(self, frames: int) -> ClipRecord:
        """What was counted until now."""
        dvsnet, every = (way.counts() for way in self._ways)
        return ClipRecord(
            self.clip, frames, self.labelled, self._size[0], self._size[1], self.regions, self.segmented,
            self.timed, self.seconds, dvsnet, every if self.pixels else None, self.same, self.pixels, self.predicted,
            self.agreement, self.untrusted, self.worst,
        )  # fmt: skip


def pooled(records: Iterable[ClipRecord], name: str = "all clips") -> ClipRecord:
    """The sum over clips. Raises InputError for none, and where only some have every frame segmented."""
    parts = list(records)
    if not parts or len({part.every_frame is None for part in parts}) > 1:
        raise InputError(f"{len(parts)} records to add up: at least one is needed, all of one kind")

    def total(name: str) -> Any:
        return sum(getattr(part, name) for part in parts)

    def total_of_lists(name: str) -> list[Any]:
        return [each for part in parts for each in getattr(part, name)]

    whole = [part.every_frame for part in parts if part.every_frame]
    return ClipRecord(
        name, total("frames"), total("labelled"), parts[0].height, parts[0].width, total("regions"),
        total("segmented"), total("timed"), total("seconds"),
        add_label_counts(part.dvsnet for part in parts), add_label_counts(whole) if whole else None,
        total("same"), total("pixels"),
        total_of_lists("predicted"), total_of_lists("agreement"),
        total("untrusted"), _worst(total_of_lists("worst")),
    )  # fmt: skip


def _worst(frames: list[tuple[str, int, float]]) -> list[tuple[str, int, float]]:
    return sorted(frames, key=lambda frame: frame[2])[:_WORST]


def _at_size(labels: UInt8[np.ndarray, "h w"], size: tuple[int, ...], index: int) -> UInt8[np.ndarray, "height width"]:
    """Labels at the truth's size, so that every labelled pixel counts once."""
    if labels.shape == size:
        return labels
    height, width = labels.shape
    if abs(size[0] / size[1] * width / height - 1) > 0.02:
        raise InputError(
            f"frame {index}: its labels are {size[0]}×{size[1]}, but the frame is {height}×{width}; they may be "
            "larger or smaller, but of the frame's own proportions"
        )
    return resize_labels(labels, (size[0], size[1]))
