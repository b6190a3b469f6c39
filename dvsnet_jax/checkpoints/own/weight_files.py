"""Weights of PyTorch networks in files: safetensors, and torch's own read as arrays alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax.checkpoints.foreign.torch_files import as_arrays, read_torch
from dvsnet_jax.checkpoints.foreign.wrappers import state_dict_in, without_wrappers
from dvsnet_jax.errors import InputError, first_line

WEIGHTS = "model.safetensors"


def read_weights(path: str | Path) -> dict[str, jax.Array]:
    """Arrays by name from a `.safetensors` file. Raises InputError where it is missing, damaged or something else."""
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise InputError("reading safetensors needs a library: pip install 'dvsnet-jax[torch]'") from error
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected weights in safetensors")
    try:
        return jax.device_put(load_file(path))
    except Exception as error:  # its own SafetensorError, OSError, KeyError for a type that numpy lacks
        raise InputError(
            f"{path}: is no safetensors file, or a damaged one ({first_line(error)}); save it again"
        ) from error


def write_weights(path: Path, arrays: Mapping[str, Any]) -> None:
    """Arrays by name as a `.safetensors` file. Raises OSError."""
    from safetensors.numpy import save_file

    save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)


def read_state_dict(path: str | Path) -> dict[str, Any]:
    """A state_dict as torch tensors, from safetensors or from a file of `torch.save`, float32 whatever its precision,
    without what frameworks put around it (`foreign.wrappers`). Nothing is unpickled but arrays and plain values. Raises
    InputError."""
    import torch

    if str(path).endswith(".safetensors"):
        arrays: Mapping[str, Any] = read_weights(path)
    else:
        arrays = as_arrays(state_dict_in(read_torch(path), source=str(path)), source=str(path))
    arrays = without_wrappers(arrays)
    return {name: torch.from_numpy(_for_torch(array)) for name, array in arrays.items()}


def _for_torch(array: Any) -> np.ndarray:
    """An array of its own; floating point in float32, as torch reads no bfloat16 of numpy's."""
    return np.array(array, np.float32 if jnp.issubdtype(array.dtype, jnp.floating) else None)
