r"""Stage 1: train the segmentation network.

    python train/segmentation.py --data camvid:CAMVID:train --data cityscapes:CITYSCAPES:train:pseudo@0.5 \
        --hold-out aachen_000004 aachen_000005 --validate camvid:CAMVID:val --restore-from imagenet --save-dir RUN

Data sets are named camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT[:LABELS], cityscapes256:ROOT:SPLIT[:CITIES[:clean]],
folder:FRAMES:LABELS or street:COUNT:SEED[:HxW], with @SCALE to resize them first; in --data, %30 after it all says
that 30 % of the crops are of this set. Each set of --validate is measured by itself; the mean of their mIoU chooses.
--restore-from is a checkpoint of any DVSNet (with another number of classes the last layers are fresh), or `imagenet`:
the trunk of EfficientNet-Lite0. Without it all is fresh. Writes RUN/metrics.jsonl and RUN/weights, a checkpoint of
DVSNet with this segmentation network in it, the best by validation. Killed at any moment, the same command goes on and
ends with the same parameters.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax

from dvsnet_jax import checkpoints
from dvsnet_jax.datasets.augment import ColorRange, LabelledAugmentation, augment_labelled
from dvsnet_jax.datasets.labelled_sets import count_pixels, labelled_set, labelled_sets
from dvsnet_jax.datasets.pipeline import Batches
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.segmentation import measure_each
from dvsnet_jax.training import command, loop
from dvsnet_jax.training.parallel import is_first, local_batch
from dvsnet_jax.training.run_folder import fingerprint
from dvsnet_jax.training.segmentation import SegmentationTraining, start, train_step
from dvsnet_jax.training.segmentation_loss import weights_by_frequency
from dvsnet_jax.training.warm_start import PRESETS, begin

DEFAULT = SegmentationTraining()


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--data", action="append", required=True, help="a data set; may be given again")
    parser.add_argument(
        "--validate", action="append", help="the same, to validate on; may be given again; without, the last is kept"
    )
    parser.add_argument("--hold-out", nargs="*", default=[], help="beginnings of names that are not trained on")
    parser.add_argument("--save-dir", type=Path, required=True)
    parser.add_argument("--restore-from", help="a checkpoint, or imagenet")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="street", help="without a checkpoint")
    parser.add_argument("--num-classes", type=command.positive(int), default=19)
    parser.add_argument("--steps", type=command.positive(int), default=DEFAULT.steps)
    parser.add_argument("--batch-size", type=command.positive(int), default=DEFAULT.batch_size, help="over all devices")
    parser.add_argument("--crop", type=command.positive(int), nargs=2, default=(320, 320), metavar=("H", "W"))
    parser.add_argument("--scale", type=command.positive(float), nargs=2, default=(0.5, 2.0), metavar=("LEAST", "MOST"))
    parser.add_argument("--crop-tries", type=command.positive(int), default=1,
                        help="crops drawn for each that is taken: the one of the most varied classes")  # fmt: skip
    parser.add_argument("--color", type=command.not_negative, default=1.0, help="how far colours change, over usual")
    parser.add_argument("--sharpness", type=command.chance, default=0.0, help="share made softer or sharper")
    parser.add_argument("--learning-rate", type=command.positive(float), default=DEFAULT.learning_rate)
    parser.add_argument("--trunk-rate", type=command.positive(float), default=DEFAULT.trunk_rate, help="over head's")
    parser.add_argument("--optimizer", choices=("adamw", "sgd"), default=DEFAULT.optimizer)
    parser.add_argument("--weight-decay", type=float, default=DEFAULT.weight_decay)
    parser.add_argument("--warmup", type=int, default=DEFAULT.warmup, help="steps")
    parser.add_argument("--average", type=float, default=DEFAULT.average, help="of the mean of parameters; 0: none")
    parser.add_argument("--batch-norm", choices=("trained", "frozen"), default=DEFAULT.batch_norm)
    parser.add_argument("--freeze", nargs="*", default=[], help="beginnings of layers' names that stay as they are")
    parser.add_argument("--class-weights", type=command.positive(float), metavar="MOST",
                        help="weigh classes by 1/sqrt(frequency), at most so much")  # fmt: skip
    parser.add_argument("--hard-share", type=command.positive(float), help="OHEM: least share of pixels that count")
    parser.add_argument("--loss-every", type=command.positive(int), default=DEFAULT.every, help="n-th pixel")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
                        help="auto: bfloat16 on accelerators")  # fmt: skip
    parser.add_argument("--in-memory", action="store_true", help="read the data once and keep it")
    parser.add_argument("--seed", type=int, default=DEFAULT.seed)
    command.add_run_options(parser)
    return parser


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    options = command.parse(_parser(), argv)
    command.begin_processes(options)
    read = partial(labelled_sets, num_classes=options.num_classes, in_memory=options.in_memory)
    source = read(options.data, hold_out=options.hold_out)
    held = {spec: labelled_set(spec, num_classes=options.num_classes) for spec in options.validate or ()}
    params, config, note = begin(options.restore_from, PRESETS[options.preset], options.num_classes, options.seed)
    if note and is_first():
        print(note, flush=True)

    pixels = count_pixels(source, options.num_classes)
    weights = weights_by_frequency(pixels, most=options.class_weights) if options.class_weights else None
    names = ("steps", "batch_size", "learning_rate", "trunk_rate", "optimizer", "weight_decay", "warmup", "average",
             "batch_norm", "hard_share", "seed")  # fmt: skip
    if unknown := [name for name in options.freeze if not any(k.startswith(name) for k in params["segmentation"])]:
        raise InputError(f"--freeze {' '.join(unknown)}: no layer's name begins so (stem, block0_, res2a …)")
    if not 0 <= options.warmup < options.steps or not 0 <= options.average < 1 or options.weight_decay < 0:
        raise InputError(
            f"--warmup {options.warmup}, --average {options.average}, --weight-decay {options.weight_decay}: expected "
            "0 or more steps, fewer than --steps; a mean's weight from 0 to below 1; and 0 or more"
        )
    training = SegmentationTraining(
        **{name: getattr(options, name) for name in names},
        freeze=tuple(options.freeze),
        class_weights=None if weights is None else tuple(weights.tolist()),
        every=options.loss_every,
        precision=command.precision(options.precision),
    )
    limits = LabelledAugmentation(
        crop=tuple(options.crop), scale=tuple(options.scale), color=ColorRange().scaled(options.color),
        sharpness=options.sharpness, tries=options.crop_tries,
    )  # fmt: skip
    data = Batches(
        source, batch_size=local_batch(training.batch_size), seed=training.seed,
        augment=partial(augment_labelled, limits=limits),
        process=jax.process_index(), processes=jax.process_count(),
    )  # fmt: skip
    segmentation = config.segmentation
    settings = {
        "kind": "training of the segmentation network", "training": vars(training), "data": options.data,
        "held out": options.hold_out, "validated on": options.validate,
        "samples": len(source), "crop": options.crop, "scale": options.scale, "crop tries": options.crop_tries,
        "color": options.color, "sharpness": options.sharpness,
        "network": repr(segmentation), "began from (CRC-32)": fingerprint(params["segmentation"]),
    }  # fmt: skip
    validation = None
    if held:
        validation = loop.Validation(
            measure=lambda state: measure_each(state.average, held, segmentation), by="mean_iou"
        )
    with command.progress("steps", training.steps) as show:
        state = loop.run(
            options.save_dir,
            settings,
            lambda: start(params["segmentation"], segmentation, training),
            lambda state, batch: train_step(state, *batch, config=segmentation, training=training),
            data,
            command.schedule(options),
            params_of=lambda state: state.average,
            validation=validation,
            on_step=lambda done, metrics: show(done, f"loss {metrics['loss']:.3f}"),
            on_validation=lambda line: command.print_record({"step": line["step"], **line["validation"]}),
        )
    if is_first():
        kept = loop.best(options.save_dir, params["segmentation"])[0] if validation else jax.device_get(state.average)
        checkpoints.save(options.save_dir / "weights", {**params, "segmentation": kept}, config)
        print(f"{options.save_dir / 'weights'}: DVSNet with this segmentation network")
    return 0


if __name__ == "__main__":
    sys.exit(main())
