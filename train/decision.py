r"""Stage 3, second half: train the decision network to foresee the agreement (the original's train.py).

    python train/decision.py --train-data-dir decision/train --val-data-dir decision/val --save-dir decision/run \
        --restore-from WEIGHTS

Needs what train/decision_data.py wrote (or the original's X.npy and Y.npy). Prints each epoch and, at the end, MAE and
rank correlation on the validation set beside the mean and a line on flow magnitude; writes metrics.jsonl, result.json,
calibration.png and, with --restore-from, WEIGHTS with the trained decision network in it as --save-dir/weights. Killed
at any moment, the same command goes on and ends with the same parameters. A CPU will do: the network is small. Every
device there is takes a share of each batch; --distributed makes it one of several processes.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvsnet_jax import DecisionConfig, checkpoints, networks
from dvsnet_jax.training import command
from dvsnet_jax.training.decision.example_set import read_set
from dvsnet_jax.training.decision.loop import train
from dvsnet_jax.training.decision.network import DecisionTraining
from dvsnet_jax.training.decision.report import report, table
from dvsnet_jax.training.parallel import by_first
from dvsnet_jax.training.restoring import restore

CONFIG = DecisionTraining()


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--train-data-dir", type=Path, required=True, help="folder of X.npy and Y.npy")
    parser.add_argument("--val-data-dir", type=Path, required=True, help="the same, to validate on")
    parser.add_argument("--save-dir", type=Path, required=True)
    parser.add_argument("--restore-from", type=Path, help="weights whose decision network is replaced")
    parser.add_argument("--batch-size", type=command.positive(int), default=CONFIG.batch_size, help="over all devices")
    parser.add_argument("--learning-rate", type=command.positive(float), default=CONFIG.learning_rate)
    parser.add_argument("--dropout", type=command.share, help="default: 0.5, the original's; none in a local network")
    parser.add_argument("--epochs", type=command.positive(int), default=CONFIG.epochs)
    parser.add_argument("--decay", type=command.positive(float), default=CONFIG.decay, help="of the rate, every epoch")
    command.add_precision(parser)
    parser.add_argument("--seed", type=int, default=CONFIG.seed)
    parser.add_argument("--save-every", type=command.positive(int), help="steps; besides after every epoch")
    parser.add_argument("--distributed", action="store_true",
                        help="one of several processes (jax.distributed.initialize)")  # fmt: skip
    options = command.parse(parser, argv)
    command.begin_processes(options)
    names = ("learning_rate", "decay", "batch_size", "epochs", "dropout", "seed")
    training = DecisionTraining(**{name: getattr(options, name) for name in names}, precision=options.precision)

    config: Any = DecisionConfig()
    wanted, source = None, ""
    if options.restore_from:
        params, whole = restore(options.restore_from)
        config, source = whole.decision, str(options.restore_from)
        wanted = (*config.grid, networks.abstract_params(whole)["decision"]["Conv"]["weights"].shape[2])
    data = read_set(options.train_data_dir, wanted, grid_of=source)
    validation = read_set(options.val_data_dir, data.features.shape[1:], grid_of=str(options.train_data_dir))
    config = dataclasses.replace(config, grid=data.features.shape[1:3])
    steps = -(-len(data) // training.batch_size)
    with command.progress("steps", training.epochs * steps) as show:
        trained = train(
            data, validation, options.save_dir, training, config=config, save_every=options.save_every,
            on_step=lambda step, loss: show(step, f"loss {loss:.2f}"), on_epoch=command.print_record,
        )  # fmt: skip

    def finish() -> None:
        print(table(report(trained, data, validation, options.save_dir, config=config)))
        if options.restore_from:
            checkpoints.save(options.save_dir / "weights", {**params, "decision": trained}, whole)
            print(f"{options.save_dir / 'weights'}: {options.restore_from} with this decision network")

    by_first(finish)
    return 0


if __name__ == "__main__":
    sys.exit(main())
