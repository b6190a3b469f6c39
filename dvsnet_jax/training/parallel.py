"""Data parallelism: parameters on every device, each batch dealt out over all of them, over processes too.

One process for each host is started by whatever runs the job (SLURM, a TPU pod and GKE are found by themselves):

    inference.processes.join()  # jax.distributed.initialize, with patience

The program is written for the whole batch; XLA adds the sums over devices (batch moments and losses among them are
those of the whole batch, whatever the number of devices).

Files are the first process's business: it alone writes them, and what a training reads back of its own files the others
get from it. What can fail in one process alone (a disk that is full, a picture that cannot be read) is done `together`:
then no process waits for one that has ended.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dvsnet_jax.errors import InputError
from dvsnet_jax.inference.processes import gather

T = TypeVar("T")
Tree = TypeVar("Tree")
_TOLD = "All processes know of this and stop."
_PATIENCE = 10.0  # seconds that a shared disk may take to show the others what the first process wrote


def _sharding(*axes: str) -> NamedSharding:
    return NamedSharding(Mesh(np.asarray(jax.devices()), ("data",)), PartitionSpec(*axes))


def replicate(tree: Tree) -> Tree:
    """The arrays of a pytree on every device of every process; each process has the whole of it already."""
    sharding = _sharding()
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), tree)


def deal_out(batch: Any) -> Any:
    """This process's part of a batch (a pytree of numpy arrays) → arrays of the whole batch, dealt out over devices."""
    sharding = _sharding("data")
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), batch)


def local_batch(batch_size: int) -> int:
    """How much of a batch is this process's. Raises InputError where it cannot be dealt out evenly."""
    devices = jax.device_count()
    if batch_size % devices:
        raise InputError(
            f"a batch of {batch_size} cannot be dealt out evenly over {devices} devices; choose a multiple of {devices}"
        )
    return batch_size // jax.process_count()


def is_first() -> bool:
    """Whether this process is the one that writes files and shows progress."""
    return jax.process_index() == 0


def told_by_all(value: Any) -> list[Any]:
    """A JSON value of each process → those of all, in their order. All processes call it at the same point.

    Raises InputError, in all processes, where one of them stops in place of this (`stop_others`).
    """
    return _meet(value, None)


def together(work: Callable[[], T]) -> T:
    """Does `work` in every process, and waits until all have done it. All processes call it at the same point.

    Raises what `work` raised, here or, as an InputError that names the process, in another one: so all end, or none.
    """
    if jax.process_count() == 1:
        return work()
    failure: Exception | None = None
    try:
        result = work()
    except Exception as error:
        failure = error
    _meet(None, failure)
    return result


def by_first(work: Callable[[], T]) -> T | None:
    """The same, of which the first process does everything; None in the others."""
    return together(lambda: work() if is_first() else None)


def stop_others(error: Exception) -> None:
    """Tells the others, at what they do `together` next, that this process ends with an error that they do not know."""
    if jax.process_count() > 1 and _TOLD not in getattr(error, "__notes__", ()):
        with suppress(InputError):
            _meet(None, error)


def from_first(read: Callable[[], tuple[Tree, Any]], like: Tree) -> tuple[Tree, Any]:
    """What `read` gives in the first process, a pytree of arrays and a JSON value, in all of them, bit for bit.

    `like` has the pytree's shapes and types. Raises as `together` does.
    """
    if jax.process_count() == 1:
        return read()
    found = by_first(read)
    leaves, structure = jax.tree.flatten(like)
    sizes = [leaf.size * np.dtype(leaf.dtype).itemsize for leaf in leaves]
    content = np.zeros(sum(sizes), np.uint8)
    if found is not None:
        arrays = [np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in jax.tree.leaves(found[0])]
        content = np.concatenate([*arrays, content[:0]])
    # As bytes: the broadcast is a sum, which would make 0 of -0.
    content = np.asarray(broadcast_one_to_all(content))
    parts = np.split(content, np.cumsum(sizes)[:-1])
    arrays = [part.copy().view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    value = told_by_all(None if found is None else found[1])[0]
    return jax.tree.unflatten(structure, arrays), value


class InStep(Iterator[Any]):
    """The batches of this process; one that cannot be read ends all processes when they next meet.

    `batches` is anything with a `__next__`. The others are in the midst of a step that wants a batch of each: so the
    batch before it is taken once more, and `meet`, which all call together before anything is kept, raises.
    """

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._last: Any = None
        self._failure: Exception | None = None

    def __next__(self) -> Any:
        if self._last is None:
            self._last = together(lambda: next(self._batches))
        elif self._failure is None:
            try:
                self._last = next(self._batches)
            except Exception as error:
                if jax.process_count() == 1:
                    raise
                self._failure = error
        return self._last

    def meet(self) -> None:
        """Raises what has happened to any process's batches since the last time, in all of them."""
        together(self._raise)

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure


def check_shared(folder: str | Path) -> None:
    """Raises InputError, in all processes, where they do not see one and the same folder; the first one makes it."""
    if jax.process_count() == 1:
        return
    seen = Path(folder) / told_by_all(f".shared-{secrets.token_hex(8)}")[0]

    def write() -> None:
        try:
            seen.parent.mkdir(parents=True, exist_ok=True)
            seen.touch()
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another save folder") from error

    def look() -> None:
        until = time.monotonic() + _PATIENCE
        while not seen.exists():
            if time.monotonic() > until:
                raise InputError(
                    f"{folder}: is not the folder that the first process sees; with several processes this training "
                    "needs a save folder on a disk that all of them share"
                )
            time.sleep(0.05)

    by_first(write)
    try:
        together(look)
    finally:
        if is_first():
            seen.unlink(missing_ok=True)


def _meet(value: Any, failure: Exception | None) -> list[Any]:
    """What all processes bring, after a look whether one brings a failure: then it is raised in all."""
    if jax.process_count() > 1:
        message = str(failure) if isinstance(failure, InputError) else f"{type(failure).__name__}: {failure}"
        brought = gather({"value": value, "stopped": None if failure is None else message})
    else:
        brought = [{"value": value, "stopped": None}]
    if failure is not None:
        failure.add_note(_TOLD)
        raise failure
    for process, each in enumerate(brought):
        if each["stopped"] is not None:
            error = InputError(f"process {process} of {jax.process_count()} stopped: {each['stopped']}")
            error.add_note(_TOLD)
            raise error
    return [each["value"] for each in brought]
