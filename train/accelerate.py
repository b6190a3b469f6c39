r"""DVSNet around the segmentation network you have, from unlabelled video: one command.

    python train/accelerate.py --data video:DRIVE.mp4 --validate video:OTHER.mp4 --save-dir RUN
    python train/accelerate.py --data frames:FRAMES --validate frames:OTHER --restore-from WEIGHTS --save-dir RUN
    python train/accelerate.py --data video:DRIVE.mp4 --segmentation my_network.py:make --save-dir RUN

Fine-tunes the flow network with its scale head so that warped scores give the segmentation network's own labels, then
trains the decision network to foretell how well they will. Begins from the bundled weights' flow network, or
--restore-from's. --segmentation names a Python file and a function in it that takes nothing and returns
(SegmentationFunction, parameters). Data: video:FILE, frames:FOLDER, cityscapes:ROOT:SPLIT, camvid:ROOT:SPLIT,
street:COUNT:SEED; labels are not looked at, unless --supervision says so. Without --validate a fifth of every clip is
held out. Writes RUN/weights. Killed at any moment, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from dvsnet_jax import DecisionConfig, DVSNetConfig, LocalDecisionConfig, checkpoints, networks
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.clips import Clip, Part, clip_sets
from dvsnet_jax.training import command
from dvsnet_jax.training.accelerate import Acceleration, accelerate
from dvsnet_jax.training.decision.network import DecisionTraining
from dvsnet_jax.training.decision.report import table
from dvsnet_jax.training.flow.joint import JointTraining
from dvsnet_jax.training.own_network import make_network
from dvsnet_jax.training.parallel import by_first, is_first
from dvsnet_jax.training.restoring import restore

DEFAULT = Acceleration()
DECISIONS = {"paper": DecisionConfig(), "local": LocalDecisionConfig()}


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--data", action="append", required=True, help="clips; may be given again")
    parser.add_argument("--validate", action="append", help="other clips")
    parser.add_argument("--save-dir", type=Path, required=True)
    parser.add_argument("--restore-from", help="a checkpoint of DVSNet; default: the bundled weights")
    parser.add_argument("--segmentation", metavar="FILE.py:FUNCTION", help="a network of your own")
    parser.add_argument("--hold-out", nargs="*", default=[], help="beginnings of clips' names that are not trained on")
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of clips' names that are validated on")
    parser.add_argument(
        "--steps", type=command.positive(int), default=DEFAULT.joint.steps, help="of the flow fine-tune"
    )
    parser.add_argument(
        "--supervision", choices=("own", "labels"), default="own", help="of the fine-tune; labels: to compare"
    )
    parser.add_argument("--batch-size", type=command.positive(int), default=DEFAULT.joint.batch_size)
    parser.add_argument("--learning-rate", type=command.positive(float), default=DEFAULT.joint.learning_rate)
    parser.add_argument("--crop", type=command.positive(int), nargs=2, default=(288, 368), metavar=("H", "W"))
    parser.add_argument("--scale", type=command.positive(float), nargs=2, default=(0.6, 1.4), metavar=("LEAST", "MOST"))
    parser.add_argument("--pairs", type=command.positive(int), default=DEFAULT.pairs, help="for the decision network")
    parser.add_argument("--distances", type=int, nargs=2, default=DEFAULT.distances, metavar=("LEAST", "MOST"))
    parser.add_argument(
        "--epochs", type=command.positive(int), default=DEFAULT.decision.epochs, help="of the decision network"
    )
    parser.add_argument(
        "--decision",
        choices=sorted(DECISIONS),
        help="kind of decision network, trained from nothing; default: the checkpoint's",
    )
    parser.add_argument("--decision-rate", type=command.positive(float), default=DEFAULT.decision.learning_rate)
    parser.add_argument("--dropout", type=command.share, help="decision network's")
    parser.add_argument("--seed", type=int, default=0)
    command.add_run_options(parser)
    return parser


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    options = command.parse(_parser(), argv)
    command.begin_processes(options)
    params, config = restore(options.restore_from) if options.restore_from else checkpoints.load_bundled()
    if options.segmentation:
        params, config = _with_own(options.segmentation, params, config)
    if options.decision:
        config = config.replace(decision=DECISIONS[options.decision])
    clips = clip_sets(options.data, hold_out=options.hold_out)
    held: list[Clip] = clip_sets(options.validate, only=options.only) if options.validate else []
    if not held:
        held = [Part(clip, len(clip) * 4 // 5, len(clip)) for clip in clips]
        clips = [Part(clip, 0, len(clip) * 4 // 5) for clip in clips]
    settings = Acceleration(
        joint=JointTraining(
            steps=options.steps, batch_size=options.batch_size, learning_rate=options.learning_rate,
            supervision=options.supervision, seed=options.seed,
        ),
        decision=DecisionTraining(
            epochs=options.epochs, learning_rate=options.decision_rate, dropout=options.dropout, seed=options.seed
        ),
        pairs=options.pairs,
        distances=tuple(options.distances),
        crops=LabelledAugmentation(crop=tuple(options.crop), scale=tuple(options.scale)),
    )  # fmt: skip
    with command.progress("flow steps", options.steps) as show:
        made = accelerate(
            params, config, clips, held, options.save_dir, settings,
            schedule=command.schedule(options), described=options.data,
            on_stage=lambda stage: print(f"stage: {stage}", flush=True) if is_first() else None,
            on_step=lambda done, metrics: show(done, f"right {metrics['right']:.3f}, copied {metrics['copied']:.3f}"),
            on_epoch=command.print_record,
        )  # fmt: skip
    save = checkpoints.save_accelerator if options.segmentation else checkpoints.save
    by_first(lambda: save(options.save_dir / "weights", made.params, config))
    if is_first():
        print(table(made.rows))
        print(f"{options.save_dir / 'weights'}: DVSNet around this segmentation network")
    return 0


def _with_own(spec: str, params: networks.Params, config: DVSNetConfig) -> tuple[networks.Params, DVSNetConfig]:
    """The user's network in the place of the checkpoint's, which gives its flow network."""
    own, own_params = make_network(spec)
    config = config.replace(segmentation=own)
    fresh = networks.init_params(jax.random.key(0), config)
    flow = params["flow"]
    if fresh["flow"]["predict_scale"]["biases"].shape != flow["predict_scale"]["biases"].shape:
        flow = {**flow, "predict_scale": fresh["flow"]["predict_scale"]}  # one scale a class
    return {"segmentation": own_params, "flow": flow, "decision": fresh["decision"]}, config


if __name__ == "__main__":
    sys.exit(main())
