"""Temporal consistency as two papers' code computes it, to stand beside their tables; `metrics.temporal` is our own.

    counts = add_counts(vspw_tc_counts(now, after, flow, 124) for now, after, flow in steps)    # flow: now → after
    print(vspw_tc(counts))

Both take the labels of the next frame along the flow from the current frame to it, and give the mean IoU of those and
the current labels over all frames together. Neither asks whether a pixel is visible in both. Each has its own way of
taking labels along, which is part of the number:

- `vspw_tc_counts` as VSPW's code (VSPW-dataset/VSPW_code, TC_cal.py at f86be0c, with RAFT's flow; of the videos in its
  list it takes the first 100 alone): the nearest label,
  read at x · w / (w − 1) − ½ where x is meant (coordinates scaled for one convention of torch's `grid_sample` and read
  by the other), half a pixel to the upper left at one end and to the lower right at the other; outside of the picture
  it reads class 0. The mean is over classes that the current labels have.
- `etc_tc_counts` as ETC's code (irfanICMLL/ETC-Real-time-Per-frame-Semantic-video-segmentation, tool/eval_tc.py at
  1f946fb, with FlowNet2's flow; Liu et al., Efficient Semantic Video Segmentation with Per-frame Inference, ECCV 2020):
  label numbers interpolated bilinearly, in the float32 of NVIDIA's Resample2d, and cut to whole numbers: half-way
  between class 2 and class 8 it reads class 5, and inside of class 5 it reads 4 wherever the sum is rounded to a hair
  below. Outside of the picture it reads the border. The mean is over all classes, 0 for those that never occur.

Neither paper's networks predict void. Ours may (255): such a pixel is in no class, and one that is taken from one is
left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from dvsnet_jax.errors import InputError

_VOID = 255
VSPW_VIDEOS = 100
"""So many of the list's videos VSPW's program takes, the first ones."""


class AreaCounts(NamedTuple):
    """Pixels by class, int64; they add up over frames, clips and processes."""

    same: Int[np.ndarray, "classes"]
    """Where both have the class."""
    now: Int[np.ndarray, "classes"]
    """Where the current labels have it."""
    taken: Int[np.ndarray, "classes"]
    """Where those taken from the next frame have it."""


def add_counts(counts: Iterable[AreaCounts]) -> AreaCounts:
    """The sum. Raises `InputError` for none."""
    parts = list(counts)
    if not parts:
        raise InputError("there are no counts to add up: at least one pair of frames is needed")
    return AreaCounts(*(np.stack(field).sum(0, dtype=np.int64) for field in zip(*parts, strict=True)))


def vspw_tc_counts(
    labels: UInt8[np.ndarray, "h w"],
    labels_after: UInt8[np.ndarray, "h w"],
    flow: Float[np.ndarray, "h w 2"],
    num_classes: int,
) -> AreaCounts:
    """Of a frame and the next one. `flow` is a displacement (x, y) in pixels, current → next frame.

    Raises `InputError` where the sizes differ or the flow is no number somewhere.
    """
    x, y = _places(labels, labels_after, flow)
    height, width = labels.shape
    column, row = _as_grid_sample(x, width), _as_grid_sample(y, height)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    at = np.where(inside, row, 0).astype(np.intp), np.where(inside, column, 0).astype(np.intp)
    taken = np.where(inside, labels_after[at], np.uint8(0))
    counts = (labels < num_classes) & (taken < num_classes)
    return _areas(labels[counts], taken[counts], num_classes)


def vspw_tc(counts: AreaCounts) -> float:
    """0..1; NaN where no pixel counted."""
    there = counts.now > 0
    return float((counts.same[there] / _union(counts)[there]).mean()) if there.any() else float("nan")


def etc_tc_counts(
    labels: UInt8[np.ndarray, "h w"],
    labels_after: UInt8[np.ndarray, "h w"],
    flow: Float[np.ndarray, "h w 2"],
    num_classes: int,
) -> AreaCounts:
    """Of a frame and the next one. `flow` is a displacement (x, y) in pixels, current → next frame.

    Raises `InputError` where the sizes differ or the flow is no number somewhere.
    """
    x, y = _places(labels, labels_after, flow)
    height, width = labels.shape
    (left, right, alpha), (top, bottom, beta) = _neighbours(x, width), _neighbours(y, height)
    value = np.zeros(labels.shape, np.float32)
    void = np.zeros(labels.shape, bool)
    for row, column, weight in (
        (top, left, (1 - alpha) * (1 - beta)),
        (top, right, alpha * (1 - beta)),
        (bottom, left, (1 - alpha) * beta),
        (bottom, right, alpha * beta),
    ):
        corner = labels_after[row, column]
        void |= corner == _VOID
        value += (weight * corner).astype(np.float32)
    counts = (labels != _VOID) & ~void
    return _areas(labels[counts], value.astype(np.uint8)[counts], num_classes)


def etc_tc(counts: AreaCounts) -> float:
    """0..1; NaN where no pixel counted, where the code says 0."""
    if not counts.now.any():
        return float("nan")
    return float((counts.same / (_union(counts) + 1e-10)).mean())


def _union(counts: AreaCounts) -> Int[np.ndarray, "classes"]:
    return counts.now + counts.taken - counts.same


def _areas(now: UInt8[np.ndarray, "n"], taken: UInt8[np.ndarray, "n"], num_classes: int) -> AreaCounts:
    return AreaCounts(*(np.bincount(which, minlength=256)[:num_classes] for which in (now[now == taken], now, taken)))


def _places(
    labels: UInt8[np.ndarray, "h w"], labels_after: UInt8[np.ndarray, "h w"], flow: Float[np.ndarray, "h w 2"]
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Where each pixel is in the next frame, x and y, float32 as in both programs."""
    if labels.shape != labels_after.shape or flow.shape != (*labels.shape, 2):
        raise InputError(
            f"labels are {list(labels.shape)} and {list(labels_after.shape)} and flow {list(flow.shape)}: "
            "[h, w] twice and [h, w, 2] are needed"
        )
    if not np.isfinite(flow).all():
        raise InputError("the flow is no number somewhere; both programs know no such flow, give one that is whole")
    height, width = labels.shape
    flow = flow.astype(np.float32)
    return np.arange(width, dtype=np.float32) + flow[..., 0], np.arange(height, dtype=np.float32)[:, None] + flow[
        ..., 1
    ]


def _as_grid_sample(place: Float[np.ndarray, "h w"], size: int) -> Float[np.ndarray, "h w"]:
    """The pixel that is read, by `grid_sample(mode="nearest", align_corners=False)`: a half goes to the even one."""
    scaled = np.float32(2) * place / np.float32(max(size - 1, 1)) - np.float32(1)
    return np.rint(((scaled + np.float32(1)) * np.float32(size) - np.float32(1)) / np.float32(2))


def _neighbours(
    place: Float[np.ndarray, "h w"], size: int
) -> tuple[Int[np.ndarray, "h w"], Int[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """The pixels before and after, held inside of the picture, and the weight of the second, in float64."""
    below = np.floor(place)
    first, second = (np.clip(each, 0, size - 1).astype(np.intp) for each in (below, below + 1))
    return first, second, (place - below).astype(np.float64)
