"""VC, its corrected form and VEC, against a re-statement that keeps whole clips and looks at every window by itself.

In the making of these tests `vspw_vc` was held against VSPW's own program on random label sequences with void, single
classes and clips of 0 to 40 frames (VSPW-dataset/VSPW_code, VC_perclip.py at commit f86be0c): equal to 1e-12. And
on real ones, the bundled weights' at an interval of 4 beside the truth, VC8 and VC16: CamVid val's 101 frames .947203
and .937986, aachen_000004 and 5 (two of 30 frames) .941840 and .943293, equal to 1e-15.
"""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.metrics.windows import WindowedConsistency, add_windows, corrected_vc, vec, vspw_vc


def clip(seed, frames, classes=3, size=(5, 7), steadiness=0.93):
    """Labels and truth that mostly stay what they were; void among both."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(2):
        now = rng.integers(0, classes + 1, size)
        video = []
        for _ in range(frames):
            now = np.where(rng.random(size) < steadiness, now, rng.integers(0, classes + 1, size))
            video.append(np.where(now == classes, 255, now).astype(np.uint8))
        found.append(np.array(video, np.uint8).reshape(frames, *size))
    labels, truth = found
    return np.where(rng.random(labels.shape) < 0.7, truth, labels).astype(np.uint8), truth


def counted(clips, classes=3, lengths=(3, 8, 16)):
    per_clip = []
    for labels, truth in clips:
        video = WindowedConsistency(classes, lengths)
        for each in zip(labels, truth, strict=True):
            video.add(*each)
        per_clip.append(video.counts())
    return {length: add_windows(counts[length] for counts in per_clip) for length in lengths}


def windows(clips, length, *, last):
    """Every window of labels and truth; without each clip's last one where the program leaves it out."""
    for labels, truth in clips:
        for start in range(len(labels) - length + last):
            yield labels[start : start + length], truth[start : start + length]


def constant(video):
    return (video == video[:1]).all(0)


def slow_vc(clips, length):
    ratios = []
    for labels, truth in windows(clips, length, last=False):
        if constant(truth).any():
            ratios.append((constant(labels) & constant(truth)).sum() / constant(truth).sum())
    return np.mean(ratios)


def slow_corrected(clips, length, classes=3):
    ratios = []
    for each in clips:
        right = steady = 0
        for labels, truth in windows([each], length, last=True):
            same = constant(truth) & (truth[0] < classes)
            right += (same & (labels == truth).all(0)).sum()
            steady += same.sum()
        if steady:
            ratios.append(right / steady)
    return np.mean(ratios)


def slow_vec(clips, length, classes=3):
    means = []
    for labels, truth in windows(clips, length, last=True):
        known = (truth < classes).all(0)
        ious = []
        for which in range(classes):
            true, found = ((video == which).all(0) & known for video in (truth, labels))
            if (true | found).any():
                ious.append((true & found).sum() / (true | found).sum())
        if ious:
            means.append(np.mean(ious))
    return np.mean(means)


@pytest.mark.parametrize("length", [3, 8, 16])
def test_all_three_are_those_of_whole_clips(length):
    clips = [clip(seed, frames) for seed, frames in enumerate((25, 3, 8, 9, 16, 17, 1))]
    counts = counted(clips)[length]
    for measure, slow in ((vspw_vc, slow_vc), (corrected_vc, slow_corrected), (vec, slow_vec)):
        assert measure(counts) == pytest.approx(slow(clips, length), abs=1e-12), measure
    assert len({round(measure(counts), 3) for measure in (vspw_vc, corrected_vc, vec)}) == 3


def test_the_published_form_has_no_last_window_and_the_others_do():
    exact = counted([clip(0, 8)])[8]
    assert (exact.vspw_windows, exact.vec_windows, exact.clips) == (0, 1, 1)
    assert np.isnan(vspw_vc(exact)) and not np.isnan(corrected_vc(exact))
    one_more = counted([clip(0, 9)])[8]
    assert (one_more.vspw_windows, one_more.vec_windows) == (1, 2)


def test_what_each_form_thinks_of_wrong_labels_and_of_void():
    """Steadily wrong is perfect by VSPW's program and worth nothing by the two others; so is steady void."""
    truth = np.zeros((10, 4, 4), np.uint8)
    wrong = counted([(np.ones_like(truth), truth)])[8]
    assert (vspw_vc(wrong), corrected_vc(wrong), vec(wrong)) == (1.0, 0.0, 0.0)
    void = counted([(np.zeros_like(truth), np.full_like(truth, 255))])[8]
    assert vspw_vc(void) == 1.0
    assert np.isnan(corrected_vc(void)) and np.isnan(vec(void))


def test_long_clips_weigh_more_in_the_published_form_alone():
    short, long = np.zeros((9, 2, 2), np.uint8), np.zeros((40, 2, 2), np.uint8)
    flicker = np.arange(40, dtype=np.uint8)[:, None, None] % 2 + np.zeros_like(long)
    counts = counted([(short, short), (flicker, long)])[8]
    assert vspw_vc(counts) == pytest.approx(1 / 33) and corrected_vc(counts) == 0.5


def test_a_break_is_an_end():
    labels, truth = clip(3, 30)
    video = WindowedConsistency(3, (8,))
    for number, each in enumerate(zip(labels, truth, strict=True)):
        if number == 12:
            video.restart()
        video.add(*each)
    parts = [(labels[:12], truth[:12]), (labels[12:], truth[12:])]
    assert vspw_vc(video.counts()[8]) == pytest.approx(slow_vc(parts, 8), abs=1e-12)
    assert vec(video.counts()[8]) == pytest.approx(slow_vec(parts, 8), abs=1e-12)


def test_long_clips_do_not_overflow_the_counters():
    still = np.zeros((600, 1, 2), np.uint8)
    still[590:, 0, 1] = 1
    counts = counted([(still, still)], lengths=(16, 254))
    assert vspw_vc(counts[16]) == 1.0 and counts[254].vec_windows == 600 - 253


def test_nothing_and_what_does_not_fit():
    assert np.isnan(vspw_vc(add_windows([]))) and np.isnan(corrected_vc(add_windows([])))
    with pytest.raises(InputError, match="expected lengths of 2 to 254"):
        WindowedConsistency(3, (1,))
    video = WindowedConsistency(3)
    video.add(np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(InputError, match=r"labels are \[2, 4\] .* one size is needed"):
        video.add(np.zeros((2, 4), np.uint8), np.zeros((2, 4), np.uint8))
