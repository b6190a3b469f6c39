"""The calibration's picture: every point is on it, whatever its range."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.media.calibration_plot import calibration_plot


@pytest.mark.parametrize("values", [[50.0], [0.0, 100.0], [-3.0, 104.5], [97.1, 97.2]])
def test_the_picture_holds_any_range(values):
    picture = calibration_plot(values, np.clip(values, 0, 100).tolist())
    assert picture.shape == (480, 480, 3) and picture.dtype == np.uint8
    blue = (picture == (31, 119, 180)).all(-1)
    assert blue.sum() >= 60  # a whole dot
    assert not blue[:, :55].any() and not blue[425:].any()  # none on the numbers beside the axes


def test_points_lie_where_they_belong():
    picture = calibration_plot([80.0, 90.0], [90.0, 80.0])
    blue = (picture == (31, 119, 180)).all(-1)
    rows, columns = np.nonzero(blue)
    assert rows[columns < 70].mean() < 60 and rows[columns > 450].mean() > 410  # high on the left, low on the right


def test_sides_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        calibration_plot([1.0, 2.0], [1.0])
