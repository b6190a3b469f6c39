"""Which layer of the flow network should the paper's decision network read? One trained for each (paper, section 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from dvsnet_jax import networks
from dvsnet_jax.config import FLOW_FEATURES, DecisionConfig, DVSNetConfig, FlowNet2sConfig
from dvsnet_jax.datasets.clips import Clip
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.policies.sweep import FAR, Sweep
from dvsnet_jax.markdown import Table
from dvsnet_jax.training.accelerate import Acceleration, learn_decision
from dvsnet_jax.training.decision.report import Row
from dvsnet_jax.training.loop import Metrics


class LearnedFrom(NamedTuple):
    """A decision network on one layer."""

    params: networks.Params
    config: DVSNetConfig
    rows: list[Row]
    """It, the mean and a line on flow magnitude, on held-out pairs."""


def learn_from_layers(
    params: networks.Params,
    config: DVSNetConfig,
    clips: Sequence[Clip],
    held_out: Sequence[Clip],
    folder: str | Path,
    options: Acceleration,
    *,
    layers: Sequence[str] = FLOW_FEATURES,
    decision: DecisionConfig | None = None,
    described: Mapping[str, Any] | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_epoch: Callable[[Metrics], None] = lambda record: None,
) -> dict[str, LearnedFrom]:
    """Trains the paper's decision network (`decision`, by default the original's size) on each of `FLOW_FEATURES`, from
    the same pairs of frames, in a folder each; started again, it goes on where it stopped.

    Segmentation and flow stay as they are. `described` is as for `accelerate`. Raises InputError for a flow network
    other than FlowNet2-s, and as `accelerate` does.
    """
    flow = config.flow
    if not isinstance(flow, FlowNet2sConfig):
        raise InputError(f"the weights' flow network is {type(flow).__name__}, expected FlowNet2-s; take other weights")
    found = {}
    for layer in layers:
        changed = config.replace(
            flow=dataclasses.replace(flow, feature=layer),  # type: ignore[arg-type]
            decision=decision or DecisionConfig(),
        )
        made = learn_decision(
            params, changed, clips, held_out, Path(folder) / layer, options, described=described,
            on_stage=lambda stage, layer=layer: on_stage(f"{layer}: {stage}"), on_epoch=on_epoch,  # type: ignore[misc]
        )  # fmt: skip
        found[layer] = LearnedFrom(made.params, changed, made.rows)
    return found


def feature_table(found: Mapping[str, LearnedFrom], swept: Mapping[str, Sweep]) -> Table:
    """A row for each layer: the decision network's error and rank correlation on held-out pairs, and the mIoU that its
    expected confidence keeps at each share; below them, what needs no network."""
    first = next(iter(swept.values()))
    columns = ("decision feature", "channels", "MAE, points", "rank correlation",
               *(f"mIoU at {100 * share:.4g}% of regions (kept)" for share in first.shares))  # fmt: skip
    rows = []
    for layer, (_, config, ways) in found.items():
        assert isinstance(config.flow, FlowNet2sConfig)
        said = [
            f"{at.mean_iou:.2%} ({at.kept:.1%}){'*' if at.off > FAR else ''}" if isfinite(at.mean_iou) else "–"
            for at in swept[layer].policies["learned"]
        ]
        rows.append((layer, str(config.flow.feature_channels), *_errors(ways[0]), *said))
    _, _, ways = next(iter(found.values()))
    rows += [(way.name, "–", *_errors(way), *["–"] * len(first.shares)) for way in ways[1:]]
    return Table(columns, tuple(rows))


def _errors(way: Row) -> tuple[str, str]:
    return f"{way.mae:.2f}", "–" if way.rank is None else f"{way.rank:.3f}"
