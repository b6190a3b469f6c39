"""`dvsnet train decision`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

from dvsnet_jax.cli.option_types import AtMostAll, Count, OptionalPath, OptionalShare, OptionalSteps, Positive
from dvsnet_jax.cli.run_options import GOES_ON, Precision, chosen_precision, join_processes
from dvsnet_jax.cli.screen import print_record, step_progress


@dataclass(frozen=True, kw_only=True)
class TrainDecision:
    """Stage 3, second half: train the decision network on it.

    It learns to predict the agreement, as in the original's train.py. Prints each epoch and, at the end, MAE and rank
    correlation on the validation set beside the mean and a line on flow magnitude; writes metrics.jsonl, result.json,
    calibration.png and, with --restore-from, SAVE_DIR/weights. Killed at any moment, the same command goes on and ends
    with the same parameters.
    """

    interrupted: ClassVar[str] = GOES_ON

    train_data_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of X.npy and Y.npy, as decision-data or the original writes them."""
    val_data_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The same, to validate on."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the run."""
    restore_from: OptionalPath = None
    """A checkpoint of DVSNet, whose decision network is replaced."""
    batch_size: Count = 32
    """Over all devices."""
    learning_rate: Positive = 2e-3
    """In the first epoch."""
    dropout: OptionalShare = None
    """0.5, the original's, if not given; none in a local network."""
    epochs: Count = 100
    """More of them go on with a run that is there."""
    decay: AtMostAll = 0.99
    """Of the learning rate, every epoch."""
    precision: Precision = "float32"
    """Of activations; bfloat16 is for accelerators, but not for depthwise convolutions on a GPU."""
    adam: Literal["optax", "tensorflow"] = "optax"
    """Whose Adam; TensorFlow's has the original's rounding, to follow it step by step."""
    seed: int = 0
    """Of all that is drawn."""
    save_every: OptionalSteps = None
    """Steps between saves, besides after every epoch."""
    distributed: bool = False
    """One of several processes, started by SLURM, a TPU pod or GKE (jax.distributed.initialize)."""

    def run(self) -> int:
        join_processes(self.distributed)

        from dvsnet_jax import DecisionConfig, checkpoints, networks
        from dvsnet_jax.training.decision.example_set import read_set
        from dvsnet_jax.training.decision.loop import train
        from dvsnet_jax.training.decision.network import DecisionTraining
        from dvsnet_jax.training.decision.report import report, table
        from dvsnet_jax.training.parallel import by_first
        from dvsnet_jax.training.restoring import restore

        training = DecisionTraining(
            batch_size=self.batch_size, learning_rate=self.learning_rate, dropout=self.dropout, epochs=self.epochs,
            decay=self.decay, precision=chosen_precision(self.precision), adam=self.adam,
            seed=self.seed,
        )  # fmt: skip
        config: Any = DecisionConfig()
        wanted, source = None, ""
        if self.restore_from:
            params, whole = restore(self.restore_from)
            config, source = whole.decision, self.restore_from
            wanted = (*config.grid, networks.abstract_params(whole)["decision"]["Conv"]["weights"].shape[2])
        data = read_set(self.train_data_dir, wanted, grid_of=source)
        validation = read_set(self.val_data_dir, data.features.shape[1:], grid_of=str(self.train_data_dir))
        config = dataclasses.replace(config, grid=data.features.shape[1:3])
        steps = -(-len(data) // training.batch_size)
        with step_progress("steps", training.epochs * steps) as show:
            trained = train(
                data, validation, self.save_dir, training, config=config, save_every=self.save_every,
                on_step=lambda step, loss: show(step, f"loss {loss:.2f}"), on_epoch=print_record,
            )  # fmt: skip

        def finish() -> None:
            print(table(report(trained, data, validation, self.save_dir, config=config)))
            if self.restore_from:
                checkpoints.save(self.save_dir / "weights", {**params, "decision": trained}, whole)
                print(f"{self.save_dir / 'weights'}: {self.restore_from} with this decision network")

        by_first(finish)
        return 0
