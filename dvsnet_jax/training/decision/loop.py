"""Training the decision network from start to end: epochs, validation, the best and the latest state, resuming.

    SAVE_DIR/latest/        parameters, Adam's slots, step: a run killed at any moment goes on from here
    SAVE_DIR/best/          parameters of the epoch with the least validation MAE
    SAVE_DIR/metrics.jsonl  one line an epoch
    SAVE_DIR/settings.json  what the run was started with

A resumed run ends with the parameters, bit for bit, of one that was never killed (on the same machine): the order of
samples and the dropout masks follow from the seed and the step, and all else is in the state. `best/` is written before
`latest/`, so a run killed between the two repeats the epoch and finds the same.

Each batch is dealt out over the devices of all processes, or goes whole to each where it cannot be dealt out evenly:
the number of devices changes rounding alone. Every process reads the same sets; the first one reads and writes the
folder, which need not be there for the others.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.training_state import has_state, load_state, save_state
from dvsnet_jax.config import AnyDecisionConfig
from dvsnet_jax.metrics.calibration import mean_absolute_error, rank_correlation
from dvsnet_jax.training.decision.example_set import DecisionSet
from dvsnet_jax.training.decision.network import DecisionTraining, batches, predict, start, train_step
from dvsnet_jax.training.parallel import by_first, deal_out, from_first, is_first, local_batch, replicate, together
from dvsnet_jax.training.restoring import fresh_decision
from dvsnet_jax.training.run_folder import claim_together, write_lines
from dvsnet_jax.training.state import TrainState, check_finite, diverged

_LOOK = 64  # steps after which losses are fetched from the device and looked at
_PREDICTED_AT_ONCE = 512


@dataclass
class Progress:
    """What a run knows beside its arrays; saved with them, as JSON."""

    loss_sum: float = 0.0
    """Of the current epoch's steps so far."""
    best_mae: float | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    """The lines of metrics.jsonl."""


def train(
    data: DecisionSet,
    validation: DecisionSet,
    save_dir: str | Path,
    training: DecisionTraining,
    *,
    config: AnyDecisionConfig,
    save_every: int | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None,
) -> networks.Params:
    """Trains, or goes on training what is in `save_dir`; the parameters with the least validation MAE.

    Args:
      config: the network; its grid is the features'.
      save_every: steps between two saves within an epoch; there is one after every epoch in any case.
      on_step: is told the steps done and the last loss (squared points), every few steps, in the first process.
      on_epoch: is told each line of metrics.jsonl, in the first process.

    Raises InputError for a folder of another run, a loss that is not finite, and a disk that is full; the last good
    state stands.
    """
    folder = Path(save_dir)
    steps = -(-len(data) // training.batch_size)
    claim_together(folder, _settings(data, validation, training, config))
    state, progress = _resume(folder, training, steps, config, data.features.shape[-1])
    by_first(lambda: write_lines(folder / "metrics.jsonl", progress.epochs))  # without epochs that were not saved
    step = int(state.step)
    part, place = _share(training.batch_size)
    pending: list[jax.Array] = []
    began = time.perf_counter()
    for indices in islice(batches(len(data), training, step), max(0, training.epochs * steps - step)):
        batch = place(tuple(np.asarray(a[indices[part]], np.float32) for a in (data.features, data.confidence)))
        state, loss = train_step(state, *batch, config=config, training=training, steps_per_epoch=steps)
        pending.append(loss)
        step += 1
        ends = step % steps == 0
        saves = ends or bool(save_every and step % save_every == 0)
        if saves or len(pending) == _LOOK:
            _look(pending, progress, step, steps, folder, on_step)
        if saves:
            host = jax.device_get(state)
            check_finite(host.params, step, folder)
            if ends:
                seconds, began = time.perf_counter() - began, time.perf_counter()
                together(partial(_end_epoch, host, progress, validation, training, config, steps, seconds, folder))
                if is_first():
                    on_epoch(progress.epochs[-1])
            by_first(partial(save_state, folder / "latest", host, dataclasses.asdict(progress)))
    shapes = {"params": state.params}
    return from_first(lambda: load_state(folder / "best", shapes), shapes)[0]["params"]


def predicted(
    params: networks.Params, features: Float[np.ndarray, "n gh gw c"], *, config: AnyDecisionConfig
) -> Float[np.ndarray, "n"]:
    """Predicted scores of all samples, percent, some at a time; the last ones are filled up, so there is one shape."""
    size = min(_PREDICTED_AT_ONCE, len(features))
    parts = []
    for first in range(0, len(features), size):
        some = np.asarray(features[first : first + size], np.float32)
        whole = np.resize(some, (size, *some.shape[1:]))
        parts.append(np.asarray(predict(params, whole, config=config))[: len(some)])
    return np.concatenate(parts).astype(np.float64)


def _share(batch_size: int) -> tuple[slice, Callable[[Any], Any]]:
    """Which of a batch's samples this process reads, and what puts them on the devices."""
    if batch_size % jax.device_count():
        return slice(None), replicate
    own = local_batch(batch_size)
    return slice(jax.process_index() * own, (jax.process_index() + 1) * own), deal_out


def _settings(
    data: DecisionSet, validation: DecisionSet, training: DecisionTraining, config: AnyDecisionConfig
) -> dict[str, Any]:
    """What decides the parameters after any step. Not the number of epochs: a run may go on for more of them."""
    options = dataclasses.asdict(training)
    del options["epochs"]
    return {
        "kind": "training of the decision network",
        **options,
        "training samples": len(data),
        "training set (CRC-32)": data.fingerprint,
        "validation samples": len(validation),
        "validation set (CRC-32)": validation.fingerprint,
        "decision network": dataclasses.asdict(config),
    }


def _resume(
    folder: Path, training: DecisionTraining, steps: int, config: AnyDecisionConfig, channels: int
) -> tuple[TrainState, Progress]:
    def fresh() -> TrainState:
        return start(fresh_decision(config, channels, training.seed), training, steps)

    like = jax.eval_shape(fresh)

    def saved() -> tuple[TrainState, dict[str, Any]]:
        if has_state(folder / "latest"):
            return load_state(folder / "latest", like)
        state, record = fresh(), dataclasses.asdict(Progress())
        save_state(folder / "latest", state, record)  # a full disk shows before the first hour
        return state, record

    state, record = from_first(saved, like)
    return replicate(state), Progress(**record)


def _look(
    pending: list[jax.Array],
    progress: Progress,
    step: int,
    steps: int,
    folder: Path,
    on_step: Callable[[int, float], None],
) -> None:
    """Adds up the losses since the last look, and stops where one is not finite."""
    first = step - len(pending)
    losses = [float(loss) for loss in jax.device_get(pending)]
    pending.clear()
    for done, loss in enumerate(losses, first + 1):
        if not math.isfinite(loss):
            raise diverged(f"the loss is {loss}", done, folder)
        if (done - 1) % steps == 0:
            progress.loss_sum = 0.0
        progress.loss_sum += loss
    if is_first():
        on_step(step, losses[-1])


def _end_epoch(
    state: TrainState,
    progress: Progress,
    validation: DecisionSet,
    training: DecisionTraining,
    config: AnyDecisionConfig,
    steps: int,
    seconds: float,
    folder: Path,
) -> None:
    """Validates on all samples, keeps the parameters if they are the best so far, and writes the metrics."""
    epoch = int(state.step) // steps
    scores = predicted(jax.tree.map(jnp.asarray, state.params), validation.features, config=config)
    mae = mean_absolute_error(scores, validation.confidence)
    if not math.isfinite(mae):
        raise diverged(f"the validation error is {mae}", int(state.step), folder)
    best = progress.best_mae is None or mae < progress.best_mae
    if best:
        progress.best_mae = mae
        if is_first():
            save_state(folder / "best", {"params": state.params}, {"epoch": epoch, "validation_mae": mae})
    record = {
        "epoch": epoch,
        "loss": progress.loss_sum / steps,
        "validation_mae": mae,
        "validation_rank_correlation": rank_correlation(scores, validation.confidence),
        "learning_rate": training.learning_rate * training.decay ** (epoch - 1),
        "seconds": round(seconds, 3),
        "best": best,
    }
    progress.epochs.append(record)
    if is_first():
        write_lines(folder / "metrics.jsonl", progress.epochs)
