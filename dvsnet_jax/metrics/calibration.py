"""How good predicted confidence scores are: mean error, rank correlation, and a calibration picture."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


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
    a, b = (_ranks(np.asarray(values)) for values in (predicted, true))
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else None


def line_through(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> tuple[float, float]:
    """Slope and offset of the least-squares line; slope 0 where x is constant."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    spread = x - x.mean()
    variance = (spread * spread).sum()
    slope = (spread * y).sum() / variance if variance > 0 else 0.0
    return float(slope), float(y.mean() - slope * x.mean())


def bins(predicted: Float[np.ndarray, "n"], true: Float[np.ndarray, "n"], count: int = 10) -> list[Bin]:
    """Up to `count` bins of nearly as many samples each, by predicted score."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, count) if len(part)]
    return [Bin(float(np.mean(predicted[part])), float(np.mean(true[part])), len(part)) for part in parts]


def picture(groups: list[Bin], side: int = 480) -> UInt8[np.ndarray, "side side 3"]:
    """Predicted score (x) against mean true agreement (y) of each bin, on the diagonal where predictions are right.

    Both axes are percent and cover the same range, which is chosen to hold every bin.
    """
    values = [value for group in groups for value in group[:2]]
    low, high = min(values), max(values)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1 << 30) if (high - low) / step <= 6)
    low, high = step * np.floor(low / step), step * max(np.ceil(high / step), np.floor(low / step) + 1)
    margin, end = side // 8, side - side // 20
    image = np.full((side, side, 3), 255, np.uint8)

    def place(value: float) -> int:
        return round(margin + (value - low) / (high - low) * (end - margin))

    def dot(x: int, y: int, radius: int, colour: tuple[int, int, int]) -> None:
        image[max(0, side - y - radius) : side - y + radius + 1, max(0, x - radius) : x + radius + 1] = colour

    for tick in np.arange(low, high + step / 2, step):
        at = place(float(tick))
        image[side - at, margin:end] = image[side - end : side - margin, at] = 225
        _write(image, f"{tick:.0f}", side - margin + 14, at)
        _write(image, f"{tick:.0f}", side - at, margin - 22)
    for at in range(margin, end):  # the diagonal
        dot(at, at, 0, (150, 150, 150))
    image[side - end : side - margin, margin] = image[side - margin, margin:end] = 0
    _write(image, "PREDICTED", side - margin + 36, (margin + end) // 2)
    _write(image, "TRUE", side - end - 12, margin)
    points = [(place(group.predicted), place(group.true)) for group in groups]
    for (x0, y0), (x1, y1) in pairwise(points):
        for part in np.linspace(0, 1, 2 * side):
            dot(round(x0 + part * (x1 - x0)), round(y0 + part * (y1 - y0)), 0, (31, 119, 180))
    for x, y in points:
        dot(x, y, 4, (31, 119, 180))
    return image


_GLYPHS = {  # 3×5 dots, five rows from the top, the bits of each as an octal digit
    "0": 0o75557, "1": 0o26227, "2": 0o71747, "3": 0o71717, "4": 0o55711, "5": 0o74717, "6": 0o74757, "7": 0o71111,
    "8": 0o75757, "9": 0o75717, "-": 0o00700, "C": 0o74447, "D": 0o65556, "E": 0o74747, "I": 0o72227, "P": 0o75744,
    "R": 0o75765, "T": 0o72222, "U": 0o55557,
}  # fmt: skip


def _write(image: np.ndarray, text: str, y: int, x: int, scale: int = 2) -> None:
    """Text in black, its middle at (y, x)."""
    dots = np.zeros((5, 4 * len(text)), bool)  # a column between the letters
    for index, letter in enumerate(text):
        for row, column in np.ndindex(5, 3):
            dots[row, 4 * index + column] = _GLYPHS[letter] >> 3 * (4 - row) + 2 - column & 1
    dots = np.kron(dots, np.ones((scale, scale), bool))
    top, left = max(0, y - dots.shape[0] // 2), max(0, x - dots.shape[1] // 2)
    under = image[top : top + dots.shape[0], left : left + dots.shape[1]]
    under[dots[: under.shape[0], : under.shape[1]]] = 0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
