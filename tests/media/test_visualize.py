"""Colours of labels, overlays, outlines."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.visualize import CITYSCAPES_COLORS, beside, colorize, label_palette, outline_regions, overlay

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 19, (64, 96), np.uint8)
IMAGE = RNG.integers(0, 256, (64, 96, 3), np.uint8)


def test_the_originals_palette(goldens):
    golden = goldens.arrays("decode_labels")
    np.testing.assert_array_equal(colorize(golden["mask"][..., 0], label_palette(colors="original")), golden["rgb"])


def test_the_palettes_differ_by_one_in_eleven_colours():
    difference = label_palette().astype(int) - label_palette(colors="original")
    assert np.abs(difference).max() == 1 and (difference != 0).any(1).sum() == 11


def test_cityscapes():
    np.testing.assert_array_equal(label_palette()[:19], CITYSCAPES_COLORS)
    assert not label_palette()[19:].any()  # void among them


def test_more_classes_get_colours_of_their_own():
    palette = label_palette(60)[:60].astype(int)
    apart = np.abs(palette[:, None] - palette).sum(-1) + 1000 * np.eye(60, dtype=int)
    assert apart[19:].min() >= 12 and not label_palette(60)[60:].any()
    assert not label_palette(255)[255].any()


def test_unknown_palette():
    with pytest.raises(ValueError, match="'cityscapes' or 'original'"):
        label_palette(colors="rainbow")  # type: ignore[arg-type]


@pytest.mark.parametrize("opacity", [0.0, 0.3, 0.5, 1.0])
def test_overlay_blends(opacity):
    palette = label_palette()
    got = overlay(IMAGE, LABELS, palette, opacity=opacity)
    assert got.dtype == np.uint8
    expected = (1 - opacity) * IMAGE + opacity * palette[LABELS]
    np.testing.assert_allclose(got, expected, atol=2)


def test_overlay_leaves_void_alone():
    labels = np.full_like(LABELS, 255)
    np.testing.assert_array_equal(overlay(IMAGE, labels, label_palette()), IMAGE)


@pytest.mark.parametrize("regions", [(2, 2), (1, 3), (3, 1), (1, 1)])
def test_outlines_say_which_regions_were_segmented(regions):
    count = regions[0] * regions[1]
    rows, columns = np.linspace(0, 64, regions[0] + 1).astype(int), np.linspace(0, 96, regions[1] + 1).astype(int)
    for chosen in range(count):
        picture = np.zeros((64, 96, 3), np.uint8)
        outline_regions(picture, np.arange(count) == chosen, regions)
        amber = (picture == (255, 176, 0)).all(-1)
        for index in range(count):
            row, column = divmod(index, regions[1])
            box = amber[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
            assert box[0].all() and box[:, -1].all() if index == chosen else not box.any()
        assert not picture[rows[0] + 5 : rows[1] - 5, columns[0] + 5 : columns[1] - 5].any()


def test_beside():
    both = beside(IMAGE, 255 - IMAGE)
    assert both.shape == (64, 192, 3)
    np.testing.assert_array_equal(both[:, :96] + both[:, 96:], 255)
