"""What every training that counts steps does alike: saving, resuming, metrics, validation, stopping at NaN.

    FOLDER/latest/        the state, and where the data stood: a run killed at any moment goes on from here
    FOLDER/best/          the parameters with the best validation so far
    FOLDER/metrics.jsonl  one line every few steps and one for each validation
    FOLDER/settings.json  what the run was started with

A run that was killed and started again ends with the same parameters, bit for bit, on the same machine: the step is a
pure function of state and batch, and batches follow from their saved place. `best/` is written before `latest/`.

Of several processes the first one reads and writes all of this; the folder need not be there for the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax
import numpy as np

from dvsnet_jax.checkpoints.training_state import has_state, load_state, save_state
from dvsnet_jax.training.parallel import InStep, by_first, deal_out, from_first, is_first, replicate, together
from dvsnet_jax.training.run_folder import append_line, claim_together, write_lines
from dvsnet_jax.training.state import check_finite, diverged

METRICS = "metrics.jsonl"
State = TypeVar("State")
Metrics = dict[str, Any]


class Data(Protocol):
    """Endless batches that know where they are: `datasets.batches.Batches`."""

    def __next__(self) -> Any: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When what happens, in steps."""

    steps: int
    look_every: int = 20
    """Losses are fetched, checked and written."""
    save_every: int = 200
    validate_every: int | None = None
    """Besides after the last step."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How parameters are judged: `measure(state)`, the state on the host, gives metrics; `by` counts."""

    measure: Callable[[Any], Metrics]
    by: str
    highest: bool = True


def run(
    folder: str | Path,
    settings: Mapping[str, Any],
    fresh: Callable[[], State],
    step: Callable[[State, Any], tuple[State, Mapping[str, jax.Array]]],
    data: Data,
    schedule: Schedule,
    *,
    params_of: Callable[[State], Any],
    validation: Validation | None = None,
    on_step: Callable[[int, Metrics], None] = lambda done, metrics: None,
    on_validation: Callable[[Metrics], None] = lambda metrics: None,
) -> State:
    """Trains, or goes on training what is in `folder`; the state after the last step, on the device.

    `settings` is all that decides what a step computes, as JSON values. `step` gets the state and a batch dealt out
    over the devices, and returns scalars with it, one of them `loss`. `params_of(state)` are what `best/` keeps.
    `on_step` and `on_validation` are called in the first process.

    Raises InputError for a folder of another run, a loss or a parameter that is not finite and a disk that is full:
    the state last saved stands.
    """
    folder = Path(folder)
    claim_together(folder, settings)
    state, record = _resume(folder, fresh, data)
    lines, done = record["lines"], record["steps"]
    by_first(lambda: write_lines(folder / METRICS, lines))  # without lines after the state that it goes on from
    batches = InStep(data)
    pending: list[Mapping[str, jax.Array]] = []
    began = time.perf_counter()
    while done < schedule.steps:
        state, metrics = step(state, deal_out(next(batches)))
        pending.append(metrics)
        done += 1
        last = done == schedule.steps
        validates = validation is not None and (last or _due(done, schedule.validate_every))
        saves = last or validates or _due(done, schedule.save_every)
        if saves or len(pending) >= schedule.look_every:
            batches.meet()
            means = _look(pending, done, folder)
            seconds, began = time.perf_counter() - began, time.perf_counter()
            _note(folder, lines, {"step": done, **means, "seconds": round(seconds, 3)})
            if is_first():
                on_step(done, means)
        if not saves:
            continue
        host = jax.device_get(state)
        check_finite(params_of(host), done, folder)
        if validates and validation is not None:
            judged = together(partial(_judge, validation, host, params_of, record, folder, done))
            _note(folder, lines, judged)
            if is_first():
                on_validation(judged)
        by_first(partial(save_state, folder / "latest", host, record | {"steps": done, "data": data.state()}))
        began = time.perf_counter()
    return state


def best(folder: str | Path, like: Any) -> tuple[Any, Metrics]:
    """The parameters that validated best, shaped as `like`, and what they measured; read by the first process."""
    shapes = {"params": like}
    state, record = from_first(lambda: load_state(Path(folder) / "best", shapes), shapes)
    return state["params"], record


def _note(folder: Path, lines: list[Metrics], line: Metrics) -> None:
    """A further line of metrics, which is appended: a long run has tens of thousands."""
    lines.append(line)
    by_first(lambda: append_line(folder / METRICS, line))


def _due(done: int, every: int | None) -> bool:
    return bool(every and done % every == 0)


def _resume(folder: Path, fresh: Callable[[], State], data: Data) -> tuple[State, dict[str, Any]]:
    """The state and its record, which all processes have from the first one's disk."""
    like = jax.eval_shape(fresh)

    def saved() -> tuple[State, tuple[dict[str, Any], bool]]:
        if has_state(folder / "latest"):
            state, record = load_state(folder / "latest", like)
            return state, (record, True)
        state = fresh()
        record = {"steps": 0, "best": None, "lines": [], "data": data.state()}
        save_state(folder / "latest", jax.device_get(state), record)  # a full disk shows before the first hour
        return state, (record, False)

    state, (record, resumed) = from_first(saved, like)
    if resumed:  # every other process stands at the same place of its own shard
        together(lambda: data.restore({**record["data"], "process": jax.process_index()}))
    return replicate(state), record


def _look(pending: list[Mapping[str, jax.Array]], done: int, folder: Path) -> Metrics:
    """Means since the last look; stops where a loss is not finite."""
    fetched = jax.device_get(pending)
    first = done - len(pending) + 1
    pending.clear()
    for number, metrics in enumerate(fetched, first):
        if not math.isfinite(metrics["loss"]):
            raise diverged(f"the loss is {float(metrics['loss'])}", number, folder)
    return {name: float(np.mean([metrics[name] for metrics in fetched])) for name in fetched[0]}


def _judge(
    validation: Validation,
    host: Any,
    params_of: Callable[[Any], Any],
    record: dict[str, Any],
    folder: Path,
    done: int,
) -> Metrics:
    """Validates, and keeps the parameters if they are the best so far."""
    metrics = validation.measure(host)  # from the host: on one device, once
    value = metrics[validation.by]
    if not math.isfinite(value):
        raise diverged(f"the validation's {validation.by} is {value}", done, folder)
    better = record["best"] is None or (value > record["best"] if validation.highest else value < record["best"])
    if better:
        record["best"] = value
        if is_first():
            save_state(folder / "best", {"params": params_of(host)}, {"step": done, **metrics})
    return {"step": done, "validation": metrics, "best": better}
