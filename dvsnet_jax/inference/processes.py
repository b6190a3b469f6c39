"""Several processes of one run: which clips are whose, and records brought together.

Each process steps its own clips on its own devices and waits for the others at the beginning and at the end only, so
clips may be of any lengths. `join()` comes first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

T = TypeVar("T")
_PATIENCE = "--xla_cpu_collective_timeout_seconds"
_WEEK = 7 * 24 * 3600


def join() -> None:
    """Joins the other processes (`jax.distributed.initialize`), before anything else of JAX.

    On CPUs XLA ends a process that has waited half an hour for another one, which may be at a long clip, or make data
    for all, for hours: it is told to wait for a week, unless XLA_FLAGS says how long.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _PATIENCE not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_PATIENCE}={_WEEK}".strip()
    jax.distributed.initialize()


def own_part(items: Sequence[T]) -> list[T]:
    """This process's share of what all processes have in the same order: every n-th."""
    return list(items[jax.process_index() :: jax.process_count()])


def gather(value: Any) -> list[Any]:
    """A JSON value of each process → those of all, in their order, on every one. All processes call it together."""
    if jax.process_count() == 1:
        return [value]
    text = np.frombuffer(json.dumps(value, allow_nan=False).encode(), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.int32(text.size)))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: text.size] = text
    texts = np.asarray(multihost_utils.process_allgather(padded))
    return [json.loads(row[:size].tobytes()) for row, size in zip(texts, sizes, strict=True)]
