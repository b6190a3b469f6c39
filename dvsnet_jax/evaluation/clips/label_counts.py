"""What one way of labelling a clip's frames is counted by: every measure of labels as sums that JSON holds.

way = LabelledWay(19)
for labels, truth in frames: way.count_truth(labels, truth)
total = add_label_counts([way.counts(), ...])
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.metrics.boundary import BoundaryCounts, boundary_counts, mean_boundary_f, pool_counts, tolerance_of
from dvsnet_jax.metrics.object_size import SIZES, size_counts
from dvsnet_jax.metrics.published_tc import VSPW_VIDEOS, AreaCounts, add_counts, etc_tc_counts, vspw_tc_counts
from dvsnet_jax.metrics.segmentation import confusion_matrix, left_void, mean_iou
from dvsnet_jax.metrics.temporal import consistency_counts
from dvsnet_jax.metrics.windows import WindowCounts, WindowedConsistency, add_windows

Matrix = list[list[int]]

DenseFlow = Callable[[np.ndarray, np.ndarray], Float[np.ndarray, "h w 2"]]
"""Flow from a picture to the next one, a number everywhere."""
_PUBLISHED_TC = {"vspw": vspw_tc_counts, "etc": etc_tc_counts, "etc_flownet2": etc_tc_counts}
"""Whose program's temporal consistency. ETC's along its own flow, FlowNet2's, has a name of its own, so that counts
along two flows are never added up."""


def published_of(flows: Mapping[str, DenseFlow] | None, clip: int) -> Mapping[str, DenseFlow] | None:
    """What is counted of the clip with that number in its set, from 0: VSPW's program looks at the first 100 alone."""
    if flows is None or clip < VSPW_VIDEOS:
        return flows
    return {name: find for name, find in flows.items() if name != "vspw"}


def found_flows(
    flows: Mapping[str, DenseFlow], picture: UInt8[np.ndarray, "h w 3"], after: UInt8[np.ndarray, "h w 3"]
) -> dict[str, Float[np.ndarray, "h w 2"]]:
    """The flow of each, found once where several share it."""
    found = {find: find(picture, after) for find in dict.fromkeys(flows.values())}
    return {name: found[find] for name, find in flows.items()}


@dataclass(frozen=True)
class LabelCounts:
    """What one way of labelling a clip's frames gave. None is what was not counted, such
    as by an older version that wrote the log."""

    confusion: Matrix
    """True class (rows) by predicted class, all labelled frames together."""
    outlines: Matrix
    """The four fields of `metrics.boundary.BoundaryCounts`, of the labelled frames."""
    carried: Matrix
    """`metrics.temporal.consistency_counts` over all frames; zeros where no motion was asked for."""
    void: list[int] | None = None
    """Of each true class, pixels that are predicted as void and so not in `confusion`."""
    sizes: list[Matrix] | None = None
    """`metrics.object_size.size_counts` of the labelled frames."""
    windows: dict[str, list[float]] | None = None
    """The fields of `metrics.windows.WindowCounts`, by window length, over labelled frames in a row."""
    published: dict[str, Matrix] | None = None
    """The three fields of `metrics.published_tc.AreaCounts` over all frames, by whose program; where asked for.
    None of VSPW's in clips that its program does not look at."""


class LabelledWay:
    """Counts a clip's frames as they come, labelled in one way."""

    def __init__(self, num_classes: int, *, published_tc: Collection[str] | None = None) -> None:
        """`published_tc` names the programs whose temporal consistency is counted, None where it was not asked for."""
        self._classes = num_classes
        self.confusion, self.carried = np.zeros((2, num_classes, num_classes), np.int64)
        self.outlines = BoundaryCounts(*np.zeros((4, num_classes), np.int64))
        self.void = np.zeros(num_classes, np.int64)
        self.sizes = np.zeros((len(SIZES), num_classes, 3), np.int64)
        self.windows = WindowedConsistency(num_classes)
        nothing = AreaCounts(*np.zeros((3, num_classes), np.int64))
        self.published = None if published_tc is None else dict.fromkeys(published_tc, nothing)
        self._before: np.ndarray | None = None
        self._truth_size: tuple[int, ...] = ()

    def count_truth(self, labels: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"]) -> float:
        """A frame with labels to compare with, of its truth's size. Its own mean IoU, 0..1."""
        confusion = np.asarray(confusion_matrix(labels, truth, self._classes))
        self.confusion += confusion
        self.void += left_void(labels, truth, self._classes)
        found = boundary_counts(labels, truth, self._classes, tolerance=tolerance_of(*truth.shape))
        self.outlines = pool_counts([self.outlines, found])
        self.sizes += size_counts(labels, truth, self._classes)
        if truth.shape != self._truth_size:
            self.windows.restart()
        self._truth_size = truth.shape
        self.windows.add(labels, truth)
        return mean_iou(confusion)

    def count_no_truth(self) -> None:
        """A frame without labels: windows of labelled frames in a row end before it."""
        self.windows.restart()

    def count_steady(
        self,
        labels: UInt8[np.ndarray, "h w"],
        to_before: FlowPair | None,
        from_before: Mapping[str, Float[np.ndarray, "h w 2"]],
    ) -> None:
        """The next frame of all, with the flow to the frame before, and the flow from there for each published form."""
        if self._before is not None:
            if to_before is not None:
                self.carried += np.asarray(
                    consistency_counts(labels, self._before, to_before.flow, self._classes, visible=to_before.valid)
                )
            for name, flow in from_before.items():
                assert self.published is not None
                found = _PUBLISHED_TC[name](self._before, labels, flow, self._classes)
                self.published[name] = add_counts([self.published[name], found])
        self._before = labels

    def forget(self) -> None:
        """The next frame does not follow on those before."""
        self._before = None

    def counts(self) -> LabelCounts:
        """What was counted until now."""
        return LabelCounts(
            self.confusion.tolist(),
            [np.asarray(each).tolist() for each in self.outlines],
            self.carried.tolist(),
            self.void.tolist(),
            self.sizes.tolist(),
            {str(length): [*counts] for length, counts in self.windows.counts().items()},
            None
            if self.published is None
            else {name: [each.tolist() for each in counts] for name, counts in self.published.items()},
        )


def add_label_counts(parts: Iterable[LabelCounts]) -> LabelCounts:
    """The sum over clips; what one of them has not counted is None."""
    counts = list(parts)

    def all_of(name: str) -> list[Any] | None:
        found = [getattr(each, name) for each in counts]
        return None if any(each is None for each in found) else found

    def total_of(name: str) -> Any:
        return None if (found := all_of(name)) is None else _sum(found)

    windows, published = all_of("windows"), all_of("published")
    return LabelCounts(
        confusion=total_of("confusion"),
        outlines=total_of("outlines"),
        carried=total_of("carried"),
        void=total_of("void"),
        sizes=total_of("sizes"),
        windows={length: [*add_windows(WindowCounts(*each[length]) for each in windows)] for length in windows[0]}
        if windows
        else None,
        published=None
        if published is None
        else {
            name: _sum([each[name] for each in published if name in each])
            for name in dict.fromkeys(name for each in published for name in each)
        },
    )


def boundary_score(counts: LabelCounts) -> float:
    """Mean boundary F-score, 0..1, of outlines counted."""
    fields: list[Any] = [np.asarray(each, np.int64) for each in counts.outlines]
    return mean_boundary_f(BoundaryCounts(*fields))


def truth_matrix(counts: LabelCounts) -> Int[np.ndarray, "classes classes"]:
    """The confusion matrix as numpy has it."""
    return np.asarray(counts.confusion, np.int64)


def _sum(parts: list[Any]) -> Any:
    return np.sum(np.asarray(parts, np.int64), 0).tolist()
