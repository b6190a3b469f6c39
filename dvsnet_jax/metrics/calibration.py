"""How good predicted confidence scores are: mean error, rank correlation, a line, and calibration in bins."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Bin(NamedTuple):
    """Samples whose predicted scores lie side by side."""

    predicted: float
    """Mean predicted score, percent."""
    true: float
    """Mean true agreement, percent."""
    size: int
    """How many samples."""


def mean_absolute_error(predicted: Float[np.ndarray, "n"], true: Float[np.ndarray, "n"]) -> float:
    """In points of percent; what the original calls accuracy."""
    return float(np.abs(np.asarray(predicted, np.float64) - true).mean())


def rank_correlation(predicted: Float[np.ndarray, "n"], true: Float[np.ndarray, "n"]) -> float | None:
    """Spearman's, −1..1, ties at their mean rank; None where one side is constant and has no order."""
    if np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return None
    return float(_statistics().spearmanr(predicted, true).statistic)


def line_through(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> tuple[float, float]:
    """Slope and offset of the least-squares line; slope 0 where x is constant."""
    if np.ptp(x) == 0:
        return 0.0, float(np.mean(y))
    line = _statistics().linregress(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return float(line.slope), float(line.intercept)


def bins(predicted: Float[np.ndarray, "n"], true: Float[np.ndarray, "n"], count: int = 10) -> list[Bin]:
    """Up to `count` bins of nearly as many samples each, by predicted score."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, count) if len(part)]
    return [Bin(float(np.mean(predicted[part])), float(np.mean(true[part])), len(part)) for part in parts]


def _statistics() -> ModuleType:
    """scipy.stats, which takes longer to import than all the rest of a command's modules."""
    from scipy import stats

    return stats
