"""Temporal consistency of VSPW's and of ETC's program: loops over pixels, torch's sampler, and what they get wrong.

In the making of these tests both were held against the programs' own code on random labels and flow, with a numpy
transcript of NVIDIA's Resample2d kernel in place of its CUDA (VSPW-dataset/VSPW_code, TC_cal.py at commit f86be0c;
irfanICMLL/ETC-Real-time-Per-frame-Semantic-video-segmentation, tool/eval_tc.py at 1f946fb and util/util.py at 7fe7473;
NVIDIA/flownet2-pytorch, resample2d_kernel.cu at 12f794c): equal to 1e-12.
VSPW's also on real ones, the bundled weights' at an interval of 4 along dense inverse search: CamVid val .778836,
aachen_000004 and 5 .549813, equal to 1e-15.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.metrics.published_tc import add_counts, etc_tc, etc_tc_counts, vspw_tc, vspw_tc_counts

CLASSES = 5


def frames(seed, size=(9, 13), length=3.0, classes=CLASSES):
    rng = np.random.default_rng(seed)
    labels, after = rng.integers(0, classes, (2, *size), np.uint8)
    return labels, after, rng.normal(0, length, (*size, 2)).astype(np.float32)


def half_to_even(value):
    return round(float(value))


def slow_vspw(labels, after, flow):
    height, width = labels.shape
    taken = np.zeros_like(labels)
    for y in range(height):
        for x in range(width):
            column = half_to_even((x + float(flow[y, x, 0])) * width / (width - 1) - 0.5)
            row = half_to_even((y + float(flow[y, x, 1])) * height / (height - 1) - 0.5)
            if 0 <= column < width and 0 <= row < height:
                taken[y, x] = after[row, column]
    return taken


def slow_etc(after, flow):
    height, width = after.shape
    taken = np.zeros_like(after)
    for y in range(height):
        for x in range(width):
            u, v = np.float32(x) + flow[y, x, 0], np.float32(y) + flow[y, x, 1]
            a, b = float(u - np.floor(u)), float(v - np.floor(v))
            value = np.float32(0)
            for down, along, weight in (
                (0, 0, (1 - a) * (1 - b)),
                (0, 1, a * (1 - b)),
                (1, 0, (1 - a) * b),
                (1, 1, a * b),
            ):
                row = min(max(math.floor(v) + down, 0), height - 1)
                column = min(max(math.floor(u) + along, 0), width - 1)
                value += np.float32(weight * int(after[row, column]))
            taken[y, x] = int(value)
    return taken


def ious(pairs):
    """Of classes, over all pairs together: those with a current pixel, and all with 0 for those that are nowhere."""
    found, there = [], []
    for which in range(CLASSES):
        same = sum(((now == which) & (taken == which)).sum() for now, taken in pairs)
        union = sum(((now == which) | (taken == which)).sum() for now, taken in pairs)
        found.append(same / union if union else 0.0)
        there.append(any((now == which).any() for now, _ in pairs))
    return np.array(found), np.array(there)


def test_vspw_one_pixel_at_a_time():
    steps = [frames(seed, size) for seed, size in enumerate([(9, 13), (8, 10), (9, 13)])]
    found, there = ious([(now, slow_vspw(now, after, flow)) for now, after, flow in steps])
    counts = add_counts(vspw_tc_counts(*step, CLASSES) for step in steps)
    assert vspw_tc(counts) == pytest.approx(found[there].mean(), abs=1e-9)


def test_etc_one_pixel_at_a_time():
    steps = [frames(seed) for seed in range(3)]
    found, _ = ious([(now, slow_etc(after, flow)) for now, after, flow in steps])
    assert etc_tc(add_counts(etc_tc_counts(*step, CLASSES) for step in steps)) == pytest.approx(found.mean(), abs=1e-9)


@pytest.mark.parametrize("size", [(9, 13), (8, 10), (31, 64)])
def test_vspw_reads_where_torch_reads(size):
    torch = pytest.importorskip("torch")
    _, after, flow = frames(4, size, length=4.0)
    flow[:, ::3] = np.round(flow[:, ::3])  # whole pixels, as of still pictures, land on ties
    height, width = size
    grid = torch.from_numpy(np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32) + flow)
    scaled = torch.stack([2.0 * grid[..., 0] / (width - 1) - 1.0, 2.0 * grid[..., 1] / (height - 1) - 1.0], -1)
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(after)[None, None].float(), scaled[None], mode="nearest", align_corners=False
    ).int()[0, 0].numpy()  # fmt: skip
    counts = vspw_tc_counts(expected.astype(np.uint8), after, flow, CLASSES)
    assert (counts.same == counts.now).all() and (counts.same == counts.taken).all()


def test_a_still_picture_is_not_perfectly_steady_by_vspws_program():
    """At an even width the last column is read outside of the picture, where class 0 is."""
    still, flow = np.full((7, 8), 3, np.uint8), np.zeros((7, 8, 2), np.float32)
    assert vspw_tc(vspw_tc_counts(still, still, flow, CLASSES)) == pytest.approx(7 / 8)
    assert etc_tc(etc_tc_counts(still, still, flow, 4)) == pytest.approx(1 / 4)  # one class of four is there


def test_etc_makes_classes_up_between_others():
    after = np.array([[0, 4]], np.uint8)
    flow = np.array([[[0.5, 0], [0, 0]]], np.float32)
    counts = etc_tc_counts(np.array([[2, 4]], np.uint8), after, flow, CLASSES)
    assert counts.taken.tolist() == [0, 0, 1, 0, 1] and counts.same.tolist() == [0, 0, 1, 0, 1]


def test_etc_reads_another_class_inside_of_one():
    """Four equal labels, weighed and summed in float32, come out a hair below themselves here and there."""
    size = (40, 60)
    _, _, flow = frames(5, size, length=2.0)
    inside = np.full(size, 7, np.uint8)
    taken = etc_tc_counts(inside, inside, flow, 19).taken
    assert taken[6] > 0 and taken[6] + taken[7] == inside.size


def test_void_is_left_out_whole():
    labels, after, flow = frames(6)
    labels[2:4], after[5:7] = 255, 255
    for measure in (vspw_tc_counts, etc_tc_counts):
        counts = measure(labels, after, flow, CLASSES)
        assert counts.now.sum() == counts.taken.sum() < (labels != 255).sum()
    void = np.full_like(labels, 255)
    assert np.isnan(vspw_tc(vspw_tc_counts(void, void, flow, CLASSES)))
    assert np.isnan(etc_tc(etc_tc_counts(void, void, flow, CLASSES)))


def test_what_does_not_fit_is_refused():
    labels, after, flow = frames(0)
    with pytest.raises(InputError, match=r"\[h, w\] twice"):
        vspw_tc_counts(labels, after[:4], flow, CLASSES)
    flow[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="no number somewhere"):
        etc_tc_counts(labels, after, flow, CLASSES)
    with pytest.raises(InputError, match="no counts"):
        add_counts([])
