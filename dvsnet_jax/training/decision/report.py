"""What a trained decision network is worth: its error and rank correlation beside the simplest predictions."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import AnyDecisionConfig
from dvsnet_jax.media.calibration_plot import calibration_plot
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics.calibration import bins, line_through, mean_absolute_error, rank_correlation
from dvsnet_jax.training.decision.example_set import DecisionSet
from dvsnet_jax.training.decision.loop import predicted
from dvsnet_jax.training.run_folder import write_json


class Row(NamedTuple):
    """One way to predict the agreement, and how it does on the validation set."""

    name: str
    mae: float
    """Points of percent."""
    rank: float | None
    """Spearman's correlation with the true agreement; None for a constant prediction."""


def report(
    params: networks.Params,
    data: DecisionSet,
    validation: DecisionSet,
    save_dir: str | Path,
    *,
    config: AnyDecisionConfig,
) -> list[Row]:
    """Compares the network on all of the validation set; writes `result.json` and `calibration.png` to `save_dir`.

    The mean and the line on flow magnitude are fitted on the training set; the line is left out where a set has no
    `flow_magnitude.npy`. The picture has ten bins of equally many samples: mean predicted score against mean true
    agreement, percent.
    """
    true = validation.confidence
    scores = predicted(params, validation.features, config=config)
    guesses = {"decision network": scores, "mean of the training set": np.full(len(true), data.confidence.mean())}
    if data.flow_magnitude is not None and validation.flow_magnitude is not None:
        slope, offset = line_through(data.flow_magnitude, data.confidence)
        guesses["line on flow magnitude"] = slope * validation.flow_magnitude + offset
    rows = [
        Row(name, mean_absolute_error(guess, true), rank_correlation(guess, true)) for name, guess in guesses.items()
    ]
    groups = bins(scores, true)
    content = {"rows": [row._asdict() for row in rows], "calibration": [group._asdict() for group in groups]}
    write_json(Path(save_dir) / "result.json", content)
    plot = calibration_plot([group.predicted for group in groups], [group.true for group in groups])
    write_png(Path(save_dir) / "calibration.png", plot)
    return rows


def table(rows: list[Row]) -> str:
    """The rows as a markdown table."""
    lines = ["| validation | MAE, points | rank correlation |", "|---|--:|--:|"]
    lines += [f"| {name} | {mae:.2f} | {'–' if rank is None else f'{rank:.3f}'} |" for name, mae, rank in rows]
    return "\n".join(lines)
