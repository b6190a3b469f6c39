"""Data parallelism: parameters on every device, each batch dealt out over all of them, over processes too.

One process for each host is started by whatever runs the job (SLURM, a TPU pod and GKE are found by themselves):

    jax.distributed.initialize()

The program is written for the whole batch; XLA adds the sums over devices (batch moments and losses among them are
those of the whole batch, whatever the number of devices).
"""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dvsnet_jax.errors import InputError

Tree = TypeVar("Tree")


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
