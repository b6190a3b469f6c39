r"""Stage 2: train the flow network, on true flow (`supervised`), then through the segmentation network (`joint`).

    python train/flow.py supervised --data street:2000:1 --validate street:40:2 --restore-from WEIGHTS --save-dir RUN_A
    python train/flow.py joint --data cityscapes:ROOT:train:pseudo@0.5 --restore-from RUN_A/weights --save-dir RUN_B

supervised: pairs:FOLDER (FlyingChairs' names), street:COUNT:SEED[:HxW] or flying:COUNT:SEED:HxW:CLIPS (pieces of the
pictures of CLIPS, named as for joint, that fly over others); the network reads the pictures at their own size, so what
DVSNet's is to learn from looks like its half-size regions. With --network FlowNetC (or another of the family) that
network alone is trained and saved, for `dvsnet flow`.
joint: clips, video:FILE, frames:FOLDER[:LABELS], cityscapes:ROOT:SPLIT[:LABELS], camvid:ROOT:SPLIT, street:COUNT:SEED;
--supervision own needs no labels. Segmentation stands; flow and scale head learn (paper, section 4.1).

Both write RUN/metrics.jsonl and RUN/weights; killed at any moment, the same command goes on and ends the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from dvsnet_jax import checkpoints, networks
from dvsnet_jax.datasets.augment.flow import FlowAugmentation, augment_flow
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.batches import Batches
from dvsnet_jax.datasets.clips import clip_sets
from dvsnet_jax.datasets.flow.sets import flow_sets
from dvsnet_jax.errors import InputError
from dvsnet_jax.flow import init_flow_params
from dvsnet_jax.flownet_config import FLOW_NETWORKS, FlowNet2Config
from dvsnet_jax.protocols import FlowFunction
from dvsnet_jax.training import command, loop
from dvsnet_jax.training.flow import joint
from dvsnet_jax.training.flow import supervised as flow
from dvsnet_jax.training.flow.joint_run import fine_tune
from dvsnet_jax.training.flow.validation import endpoint_errors
from dvsnet_jax.training.parallel import by_first, is_first, local_batch
from dvsnet_jax.training.restoring import restore
from dvsnet_jax.training.run_folder import fingerprint
from dvsnet_jax.training.warm_start import PRESETS, begin


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    stages = parser.add_subparsers(dest="stage", required=True)
    both = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    both.add_argument("--data", action="append", required=True, help="may be given again")
    both.add_argument("--validate", action="append", help="the same, to validate on; without, the last is kept")
    both.add_argument("--save-dir", type=Path, required=True)
    both.add_argument("--restore-from", help="a checkpoint of DVSNet")
    both.add_argument("--preset", choices=sorted(PRESETS), default="street", help="without a checkpoint")
    both.add_argument("--learning-rate", type=command.positive(float))
    both.add_argument("--seed", type=int, default=0)
    command.add_run_options(both)

    a = stages.add_parser("supervised", parents=[both], help="true flow", allow_abbrev=False)
    a.add_argument("--network", choices=FLOW_NETWORKS, help="one of the family alone, in the place of DVSNet's")
    a.add_argument("--width", type=command.positive(float), default=1.0, help="with --network: of its channels")
    a.add_argument("--steps", type=command.positive(int), default=flow.FlowTraining.steps)
    a.add_argument("--batch-size", type=command.positive(int), default=flow.FlowTraining.batch_size)
    a.add_argument("--crop", type=command.positive(int), nargs=2, default=(320, 448), metavar=("H", "W"))
    a.add_argument(
        "--zoom", type=command.positive(float), nargs=2, default=FlowAugmentation.zoom, metavar=("LEAST", "MOST")
    )
    a.add_argument(
        "--jitter", type=command.not_negative, default=1.0, help="times what the second picture is moved on its own"
    )
    a.add_argument("--schedule", choices=tuple(flow.SCHEDULES), default=flow.FlowTraining.schedule)
    a.add_argument("--weight-decay", type=command.not_negative, default=flow.FlowTraining.weight_decay)
    a.add_argument("--exponent", type=command.positive(float), help="of a pixel's error; 0.4 for CSS-ft-sd")
    a.add_argument("--whole-stack", action="store_true", help="the networks below the last learn too")
    command.add_precision(a)
    a.add_argument("--in-memory", action="store_true", help="read (or draw) the data once and keep it")

    b = stages.add_parser("joint", parents=[both], help="through the segmentation network", allow_abbrev=False)
    b.add_argument("--steps", type=command.positive(int), default=joint.JointTraining.steps)
    b.add_argument("--batch-size", type=command.positive(int), default=joint.JointTraining.batch_size)
    b.add_argument("--crop", type=command.positive(int), nargs=2, default=(288, 368), metavar=("H", "W"))
    b.add_argument("--scale", type=command.positive(float), nargs=2, default=(0.6, 1.4), metavar=("LEAST", "MOST"))
    b.add_argument("--supervision", choices=("labels", "own"), default="labels")
    b.add_argument("--distances", type=int, nargs=2, default=(0, 9), metavar=("LEAST", "MOST"), help="frames apart")
    b.add_argument("--hold-out", nargs="*", default=[], help="beginnings of clips' names that are not trained on")
    b.add_argument("--only", nargs="*", default=[], help="beginnings of clips' names that are validated on")
    return parser


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    options = command.parse(_parser(), argv)
    command.begin_processes(options)
    return supervised(options) if options.stage == "supervised" else jointly(options)


def supervised(options: argparse.Namespace) -> int:
    """Stage 2a."""
    if options.zoom[0] > options.zoom[1]:
        raise InputError(
            f"--zoom {options.zoom[0]} {options.zoom[1]}: expected LEAST first, then MOST; turn them round"
        )
    names = ("steps", "batch_size", "schedule", "learning_rate", "weight_decay", "exponent", "whole_stack", "seed")
    training = flow.FlowTraining(**{name: getattr(options, name) for name in names}, precision=options.precision)
    if options.network:
        config: Any = FlowNet2Config(network=options.network, width=options.width)
        whole = None
        params = init_flow_params(jax.random.key(training.seed), config)
        if options.restore_from:
            params, config = checkpoints.load_flow(options.restore_from, network=options.network)
    else:
        everything, whole = _begin(options)
        params, config = everything["flow"], whole.flow
        if isinstance(config, FlowFunction):
            raise InputError("the flow network is a function of your own: train it your own way, or use `joint`")
    if min(options.crop) < 128 or (options.network and any(side % 64 for side in options.crop)):
        raise InputError(
            f"--crop {options.crop[0]} {options.crop[1]}: expected 128 or more (the coarsest flow then has 2 pixels), "
            "and with --network multiples of 64"
        )
    limits = FlowAugmentation(crop=tuple(options.crop), zoom=tuple(options.zoom)).jittered(options.jitter)
    source = flow_sets(options.data, in_memory=options.in_memory)
    held = flow_sets(options.validate, in_memory=True) if options.validate else None
    data = Batches(
        source, batch_size=local_batch(training.batch_size), seed=training.seed,
        augment=partial(augment_flow, limits=limits),
        process=jax.process_index(), processes=jax.process_count(),
    )  # fmt: skip
    settings = {
        "kind": "supervised training of the flow network", "training": dataclasses.asdict(training),
        "data": options.data, "samples": len(source), "augmentation": dataclasses.asdict(limits),
        "network": repr(config),
        "began from (CRC-32)": fingerprint(params),
    }  # fmt: skip
    validation = None
    if held is not None:
        validation = loop.Validation(
            measure=lambda state: endpoint_errors(state.params, held, config), by="epe", highest=False
        )
    with command.progress("steps", training.steps) as show:
        state = loop.run(
            options.save_dir,
            settings,
            lambda: flow.start(params, config, training),
            lambda state, batch: flow.train_step(state, *batch, config=config, training=training),
            data,
            command.schedule(options),
            params_of=lambda state: state.params,
            validation=validation,
            on_step=lambda done, metrics: show(done, f"loss {metrics['loss']:.3f} (no flow: {metrics['zero']:.3f})"),
            on_validation=lambda line: command.print_record({"step": line["step"], **line["validation"]}),
        )
    kept = loop.best(options.save_dir, params)[0] if validation else jax.device_get(state.params)
    place = options.save_dir / "weights"
    made = kept if whole is None else {**everything, "flow": kept}
    by_first(lambda: checkpoints.save(place, made, whole or config))
    if is_first():
        print(f"{place}: {'the flow network' if whole is None else 'DVSNet with this flow network'}")
    return 0


def jointly(options: argparse.Namespace) -> int:
    """Stage 2b."""
    names = ("steps", "batch_size", "supervision", "seed")
    training = joint.JointTraining(
        **{name: getattr(options, name) for name in names},
        learning_rate=options.learning_rate or joint.JointTraining.learning_rate,
    )
    everything, config = _begin(options)
    clips = clip_sets(options.data, hold_out=options.hold_out)
    held = clip_sets(options.validate, only=options.only) if options.validate else None
    with command.progress("steps", training.steps) as show:
        kept = fine_tune(
            everything, config, clips, options.save_dir, training, command.schedule(options),
            held_out=held, crops=LabelledAugmentation(crop=tuple(options.crop), scale=tuple(options.scale)),
            distances=tuple(options.distances), described=[*options.data, "without", *options.hold_out],
            on_step=lambda done, metrics: show(done, f"loss {metrics['loss']:.3f}, right {metrics['right']:.3f}"),
            on_validation=lambda line: command.print_record({"step": line["step"], **line["validation"]}),
        )  # fmt: skip
    by_first(lambda: checkpoints.save(options.save_dir / "weights", {**everything, "flow": kept}, config))
    if is_first():
        print(f"{options.save_dir / 'weights'}: DVSNet with this flow network")
    return 0


def _begin(options: argparse.Namespace) -> tuple[networks.Params, Any]:
    if options.restore_from:
        return restore(options.restore_from)
    params, config, _ = begin(None, PRESETS[options.preset], 19, options.seed)
    return params, config


if __name__ == "__main__":
    sys.exit(main())
