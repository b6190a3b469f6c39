"""Rank correlation and lines by hand, and bins."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.metrics import calibration


def arrays(*lists):
    return (np.array(each, np.float64) for each in lists)


def test_rank_correlation():
    assert calibration.rank_correlation(*arrays([1, 2, 3], [10, 20, 90])) == pytest.approx(1)
    assert calibration.rank_correlation(*arrays([1, 2, 3, 4], [4, 3, 2, 1])) == pytest.approx(-1)
    # ties at their mean rank: ranks 1 2.5 2.5 4 against 1 2 3 4
    assert calibration.rank_correlation(*arrays([1, 2, 2, 3], [1, 2, 3, 4])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


@pytest.mark.parametrize("predicted,true", [([1, 1], [1, 2]), ([1, 2], [5, 5]), ([3], [4])])
def test_what_is_constant_has_no_rank_correlation(predicted, true):
    assert calibration.rank_correlation(*arrays(predicted, true)) is None


def test_a_score_that_is_no_number_is_not_ranked():
    assert np.isnan(calibration.rank_correlation(*arrays([1, np.nan, 3], [1, 2, 3])))


def test_line():
    assert calibration.line_through(*arrays([0, 1, 2], [1, 3, 5])) == pytest.approx((2, 1))
    assert calibration.line_through(*arrays([0, 1, 2], [0, 0, 3])) == pytest.approx((1.5, -0.5))
    assert calibration.line_through(*arrays([1, 1], [1, 3])) == (0, 2)


def test_bins_are_of_nearly_one_size_and_in_order():
    rng = np.random.default_rng(0)
    predicted = rng.uniform(0, 100, 23)
    groups = calibration.bins(predicted, predicted / 2, 5)
    assert [group.size for group in groups] == [5, 5, 5, 4, 4]
    assert groups == sorted(groups) and all(group.true == pytest.approx(group.predicted / 2) for group in groups)
