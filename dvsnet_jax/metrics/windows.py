"""Consistency over windows of labelled video: VC8 and VC16 as VSPW publishes them, VEC, and a corrected form of VC.

    video = WindowedConsistency(num_classes=124)
    for labels, truth in clip: video.add(labels, truth)
    counts = video.counts()                                   # of this clip, by window length; they add up
    print(vspw_vc(counts[8]), corrected_vc(counts[8]), vec(counts[8]))

A window is n frames in a row. Where the truth keeps its label through a window, a steady prediction keeps one too:

- `vspw_vc` is VC as VSPW's code has it (VSPW-dataset/VSPW_code, VC_perclip.py at f86be0c; Miao et al., VSPW: A
  Large-scale Dataset for Video Scene Parsing in the Wild, CVPR 2021): of the pixels whose true label stays the same,
  those whose predicted label does, a mean over windows. The code leaves out the last window of each video, so a video
  of exactly n frames has none; it counts void as a class; it never asks whether the prediction is right; and long
  videos weigh more, by their windows. Others compute it after "others" and void have become one (GuoleiSun/VSS-CFFM and
  what grew out of it), and leave out, for both lengths, videos of 16 frames or fewer: that is this function on such
  labels, but for those videos.
- `corrected_vc` differs in these four points: every window counts; void has no share in it; the prediction must be the
  true class, which is how the paper writes it; and each video is one number (its pixels of all windows together), so
  that the mean is over videos.
- `vec` is Video Effective Consistency (Xu et al., Dual-Temporal Exemplar Representation Network for Video Semantic
  Segmentation, ICCV 2025, equation 17): in each window, for each class, the IoU of where the truth and where the
  prediction keeps that class, a mean over classes, then over windows. The authors' repository (zlxilo/DTERN) holds no
  code for it; what the equation leaves open is done as those do it who have published code: classes that neither keeps
  are left out, so is a pixel that is void in any frame of the window, and every window counts, the last one too.
  An earlier state of their work (IxxdbxxI/DTERN, IOU_perclip.py at 8030f0f) has a program of the same intent, which is
  not the equation and may or may not have made the paper's numbers: one IoU over all windows of all videos, without
  each video's last one; pixels whose truth changes do not count; a prediction that changes counts as the class with
  the next number, so that this class loses too; and windows of 8 are counted on labels that those of 16 have altered.

Nothing but one frame and three small counters a pixel is kept, whatever the lengths of clip and window.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8

from dvsnet_jax.errors import InputError

LENGTHS = (8, 16)
"""Frames of the windows that papers report."""


class WindowCounts(NamedTuple):
    """Of windows of one length: sums, which add up over clips and processes field by field (`add_windows`)."""

    vspw_sum: float = 0.0
    """Sum over windows of VSPW's ratio."""
    vspw_windows: int = 0
    """How many windows had one: somewhere the true label stayed the same."""
    vec_sum: float = 0.0
    """Sum over windows of the mean class IoU."""
    vec_windows: int = 0
    clip_sum: float = 0.0
    """Sum over clips of the corrected ratio."""
    clips: int = 0
    """How many clips had one."""


def add_windows(counts: Iterable[WindowCounts]) -> WindowCounts:
    """The sum; zeros for none."""
    parts = [WindowCounts(*each) for each in counts]
    return WindowCounts(*(sum(field) for field in zip(*parts, strict=True))) if parts else WindowCounts()


def vspw_vc(counts: WindowCounts) -> float:
    """VC_n as VSPW's code gives it, 0..1; NaN without a window."""
    return counts.vspw_sum / counts.vspw_windows if counts.vspw_windows else float("nan")


def corrected_vc(counts: WindowCounts) -> float:
    """Steady and right, 0..1: the mean over clips; NaN without a window."""
    return counts.clip_sum / counts.clips if counts.clips else float("nan")


def vec(counts: WindowCounts) -> float:
    """VEC_n, 0..1; NaN without a window."""
    return counts.vec_sum / counts.vec_windows if counts.vec_windows else float("nan")


class WindowedConsistency:
    """Counts one clip, frame by frame, for several window lengths at once."""

    def __init__(self, num_classes: int, lengths: Iterable[int] = LENGTHS) -> None:
        """`num_classes` says which labels are classes: 255, or any other past them, is void. Lengths are 2 to 254."""
        self.num_classes = num_classes
        self.lengths = tuple(lengths)
        if not all(2 <= length <= 254 for length in self.lengths):
            raise InputError(f"windows of {self.lengths} frames: expected lengths of 2 to 254")
        self._counts = {length: WindowCounts() for length in self.lengths}
        self._pixels = {length: np.zeros(2, np.int64) for length in self.lengths}  # steady and right, steady
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._frames = 0
        self._runs: list[np.ndarray] = []  # frames in a row of each pixel: one label, one true label, a true class
        self._held: dict[int, float] = {}  # VSPW's ratios of the windows that end with the last frame

    def add(self, labels: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"]) -> None:
        """The clip's next frame. Raises `InputError` where its size is not that of its truth or of the frame before."""
        if labels.shape != truth.shape or (self._before is not None and self._before[0].shape != labels.shape):
            before = "" if self._before is None else f" after frames of {list(self._before[0].shape)}"
            raise InputError(
                f"labels are {list(labels.shape)} and truth {list(truth.shape)}{before}: one size is needed"
            )
        known = truth < self.num_classes
        if self._before is None:
            self._frames = 1
            self._runs = [np.ones(labels.shape, np.uint8) for _ in range(3)]
        else:
            self._frames += 1
            # The window that ended with the frame before was not the last one after all.
            for length, ratio in self._held.items():
                self._add(length, vspw_sum=ratio, vspw_windows=1)
            same = labels == self._before[0], truth == self._before[1], known
            self._runs = [_longer(*each) for each in zip(self._runs, same, strict=True)]
        self._runs[2][~known] = 0
        self._held = {}
        self._before = labels.copy(), truth.copy()
        for length in self.lengths:
            if self._frames >= length:
                self._window(length, labels, truth)

    def restart(self) -> None:
        """What comes next does not follow on what was there, such as after a frame without labels."""
        self._before, self._held = None, {}

    def counts(self) -> dict[int, WindowCounts]:
        """What was counted until now, by window length."""
        found = {}
        for length in self.lengths:
            right, steady = self._pixels[length].tolist()
            own = self._counts[length]
            found[length] = own._replace(clip_sum=right / steady, clips=1) if steady else own
        return found

    def _window(self, length: int, labels: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"]) -> None:
        steady, steady_truth, known = (run >= length for run in self._runs)
        if total := int(np.count_nonzero(steady_truth)):
            self._held[length] = int(np.count_nonzero(steady & steady_truth)) / total
        steady_truth &= known  # steadily void is void
        right = steady & steady_truth & (labels == truth)
        self._pixels[length] += (int(np.count_nonzero(right)), int(np.count_nonzero(steady_truth)))
        predicted = steady & known & (labels < self.num_classes)
        both, true, found = (
            self._by_class(where, which)
            for where, which in ((right, truth), (steady_truth, truth), (predicted, labels))
        )
        union = true + found - both
        if (there := union > 0).any():
            self._add(length, vec_sum=float((both[there] / union[there]).mean()), vec_windows=1)

    def _by_class(self, where: Bool[np.ndarray, "h w"], which: UInt8[np.ndarray, "h w"]) -> Int[np.ndarray, "classes"]:
        return np.bincount(which[where], minlength=self.num_classes)

    def _add(self, length: int, **amounts: float) -> None:
        counts = self._counts[length]
        self._counts[length] = counts._replace(
            **{name: getattr(counts, name) + amount for name, amount in amounts.items()}
        )


def _longer(run: UInt8[np.ndarray, "h w"], same: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """For how many frames in a row each pixel has been the same, at most 254."""
    return np.where(same, np.minimum(run, 253) + np.uint8(1), np.uint8(1))
