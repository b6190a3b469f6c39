r"""The paper's ablation of the decision feature: a decision network trained on each layer of the flow network.

    python eval/feature_ablation.py --train camvid:CAMVID:train --data camvid:CAMVID:val --save-dir features
    python eval/feature_ablation.py --train street:40:1 --data camvid:CAMVID:val --save-dir features --layers conv6_1

Segmentation and flow are the bundled weights' (or --weights'). For each layer the paper's decision network is trained
from nothing on the same --pairs of frames drawn from --train (labels are not looked at), validated on a quarter as many
from --data, and swept over its targets there. Prints a markdown table: error and rank correlation of the expected
confidence, and the mIoU kept at each share. --json gets a line for every run and every cell. Killed at any moment, the
same command goes on with the training. Other ablations, which need none: eval/ablations.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from dvsnet_jax import checkpoints, networks
from dvsnet_jax.config import FLOW_FEATURES, DecisionConfig
from dvsnet_jax.datasets.clips import clip_set
from dvsnet_jax.evaluation.clips.labelled import labelled_clips
from dvsnet_jax.evaluation.policies.measurement import Measured, segment_clips
from dvsnet_jax.evaluation.policies.sweep import sweep
from dvsnet_jax.markdown import markdown_table
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.training import command
from dvsnet_jax.training.accelerate import Acceleration
from dvsnet_jax.training.decision.feature_ablation import feature_table, learn_from_layers
from dvsnet_jax.training.decision.network import DecisionTraining

DEFAULT = DecisionConfig()


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--train", required=True, help="clips: video:FILE, camvid:ROOT:SPLIT, street:COUNT:SEED, …")
    parser.add_argument("--data", required=True, help="labelled video, as for eval/policies.py")
    parser.add_argument("--save-dir", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="a checkpoint's folder; default: the bundled weights")
    parser.add_argument("--layers", nargs="+", choices=FLOW_FEATURES, default=FLOW_FEATURES)
    parser.add_argument("--pairs", type=command.positive(int), default=400, help="to train on, of frames")
    parser.add_argument("--distances", type=int, nargs=2, default=(1, 12), metavar=("LEAST", "MOST"))
    parser.add_argument("--epochs", type=command.positive(int), default=40)
    parser.add_argument("--learning-rate", type=command.positive(float), default=DecisionTraining().learning_rate)
    parser.add_argument(
        "--hidden", type=command.positive(int), nargs=3, default=DEFAULT.hidden, help="decision network's"
    )
    parser.add_argument("--shares", type=command.positive(float), nargs="+", default=(0.1, 0.2, 0.3), help="of regions")
    parser.add_argument("--tolerance", type=command.positive(float), default=0.01, help="between share and run")
    parser.add_argument("--runs", type=command.positive(int), default=6, help="at most, for each share")
    parser.add_argument("--json", type=Path, help="write all measurements here, one JSON object a line")
    options = command.parse(parser, argv)
    params, config = checkpoints.load(options.weights) if options.weights else checkpoints.load_bundled()
    clips = labelled_clips(options.data, num_classes=config.num_classes)
    training = DecisionTraining(epochs=options.epochs, learning_rate=options.learning_rate)
    amount = Acceleration(decision=training, pairs=options.pairs, distances=tuple(options.distances))
    found = learn_from_layers(
        params, config, clip_set(options.train), [clip.frames for clip in clips], options.save_dir, amount,
        layers=options.layers, decision=DecisionConfig(hidden=tuple(options.hidden)), on_stage=_progress,
    )  # fmt: skip
    video = segment_clips(params, clips, config=config, progress=_progress)
    classes = "camvid" if options.data.startswith("camvid:") else "own"
    swept = {}
    with JsonLinesWriter(options.json) if options.json else nullcontext() as lines:
        for layer, learned in found.items():

            def on_run(run: Measured, layer: str = layer) -> None:
                _progress(f"{layer}, {run.policy} {run.setting:.4g}: {run.share:.1%} of regions, {run.mean_iou:.2%}")
                if lines:
                    lines.write({"layer": layer, "is": "run", **run.as_json()})

            swept[layer] = sweep(
                networks.prepare(learned.params, learned.config), video, config=learned.config, shares=options.shares,
                policies=("learned",),
                classes=classes, tolerance=options.tolerance, most_runs=options.runs, on_run=on_run,
            )  # fmt: skip
            for at in swept[layer].policies["learned"] if lines else ():
                lines.write({"layer": layer, "is": "at share", **at.as_json(), "mae": learned.rows[0].mae,
                             "rank_correlation": learned.rows[0].rank})  # fmt: skip
    print(f"{options.data}, trained on {options.pairs} pairs of {options.train}\n")
    print(markdown_table(feature_table(found, swept)))
    return 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
