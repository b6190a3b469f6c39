"""`dvsnet measure feature-ablation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from dvsnet_jax.cli.classes import Classes
from dvsnet_jax.cli.option_types import Count, Distances, OptionalPath, Part, Parts, Positive, Widths, option
from dvsnet_jax.cli.run_options import GOES_ON, need
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights

if TYPE_CHECKING:
    from dvsnet_jax.evaluation.policies.measurement import Measured, SegmentedClip
    from dvsnet_jax.evaluation.policies.sweep import Sweep
    from dvsnet_jax.training.decision.feature_ablation import LearnedFrom

Layer = Literal["conv1", "conv2", "conv3_1", "conv4_1", "conv5_1", "conv6_1"]
"""Of `config.FLOW_FEATURES`."""


@dataclass(frozen=True, kw_only=True)
class FeatureAblation:
    """Ablate the decision feature: which layer of the flow network.

    It is the paper's question which layer the decision network should read. Segmentation and flow stay as they are. For
    each layer the paper's decision network is trained from nothing on the same --pairs of frames drawn from --train
    (labels are not looked at), validated on a quarter as many from --data, and swept over its targets there. Prints a
    markdown table. Killed at any moment, the same command goes on with the training.
    """

    interrupted: ClassVar[str] = GOES_ON

    train: Annotated[str, tyro.conf.arg(metavar="CLIPS")]
    """Clips: video:FILE, camvid:ROOT:SPLIT, street:COUNT:SEED, …"""
    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """Labelled video, as for 'dvsnet policies'."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the runs, one for each layer."""
    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint's folder; the bundled weights if not given."""
    segmentation: OwnSegmentation = None
    classes: Classes = None
    layers: tuple[Layer, ...] = ("conv1", "conv2", "conv3_1", "conv4_1", "conv5_1", "conv6_1")
    """Those tried."""
    pairs: Count = 400
    """Of frames, to train on."""
    distances: Distances = (1, 12)
    """Frames between the two."""
    epochs: Count = 40
    """Of the decision network."""
    learning_rate: Positive = 2e-3
    """In the first epoch."""
    hidden: Widths = (1024, 1024, 10)
    """Widths of the decision network's layers."""
    shares: Parts = (0.1, 0.2, 0.3)
    """Of regions, between 0 and 1."""
    tolerance: Part = 0.01
    """Between share and run."""
    runs: Count = 6
    """At most, for each share."""
    json: OptionalPath = None
    """Write all measurements here, one JSON object a line."""

    def run(self) -> int:
        need("--layers", self.layers, "conv6_1")

        from dvsnet_jax.config import DecisionConfig
        from dvsnet_jax.datasets.clips import clip_set
        from dvsnet_jax.evaluation.clips.labelled import labelled_clips
        from dvsnet_jax.evaluation.clips.sources import check_classes
        from dvsnet_jax.evaluation.policies.measurement import segment_clips
        from dvsnet_jax.markdown import markdown_table
        from dvsnet_jax.media.json_lines import JsonLinesWriter
        from dvsnet_jax.training.accelerate import Acceleration
        from dvsnet_jax.training.decision.feature_ablation import feature_table, learn_from_layers
        from dvsnet_jax.training.decision.network import DecisionTraining

        params, config = load_weights(self.weights, None, segmentation=self.segmentation, classes=self.classes)
        check_classes([self.data], config)
        clips = labelled_clips(self.data, num_classes=config.num_classes)
        training = DecisionTraining(epochs=self.epochs, learning_rate=self.learning_rate)
        train = clip_set(self.train, num_classes=config.num_classes)
        found = learn_from_layers(
            params, config, train, [clip.frames for clip in clips], self.save_dir,
            Acceleration(decision=training, pairs=self.pairs, distances=self.distances),
            layers=self.layers, decision=DecisionConfig(hidden=self.hidden),
            described={"data": self.train, "validated on": self.data}, on_stage=tell,
        )  # fmt: skip
        video = segment_clips(params, clips, config=config, progress=tell)
        with JsonLinesWriter(self.json) if self.json else nullcontext() as lines:
            swept = self._swept(found, video, lines.write if lines else lambda record: None)
        print(f"{self.data}, trained on {self.pairs} pairs of {self.train}\n")
        print(markdown_table(feature_table(found, swept)))
        return 0

    def _swept(
        self, found: Mapping[str, LearnedFrom], video: list[SegmentedClip], write: Callable[[Any], None]
    ) -> dict[str, Sweep]:
        from dvsnet_jax import networks
        from dvsnet_jax.evaluation.policies.sweep import sweep

        def on_run(layer: str, run: Measured) -> None:
            tell(f"{layer}, {run.policy} {run.setting:.4g}: {run.share:.1%} of regions, {run.mean_iou:.2%}")
            write({"layer": layer, "is": "run", **run.as_json()})

        swept = {}
        for layer, learned in found.items():
            swept[layer] = sweep(
                networks.prepare(learned.params, learned.config), video, config=learned.config, shares=self.shares,
                policies=("learned",), classes="camvid" if self.data.startswith("camvid:") else "own",
                tolerance=self.tolerance, most_runs=self.runs, on_run=partial(on_run, layer),
            )  # fmt: skip
            for at in swept[layer].policies["learned"]:
                write({"layer": layer, "is": "at share", **at.as_json(), "mae": learned.rows[0].mae,
                       "rank_correlation": learned.rows[0].rank})  # fmt: skip
        return swept
