"""Reading torch's files as arrays and plain values alone, without running what else they may contain."""

from __future__ import annotations

import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dvsnet_jax.errors import InputError


def read_torch(path: str | Path) -> Mapping[str, Any]:
    """The dict in a file that `torch.save` wrote. Needs torch: `pip install 'dvsnet-jax[import]'`.

    Takes all three containers that torch has written: of Python 2 (up to 0.3), of Python 3 until 1.5, and today's zip.
    Raises InputError where torch is missing, or the file is missing, damaged, no dict, or holds more than arrays and
    plain values.
    """
    torch = _torch()
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected weights that torch wrote")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about its own old formats
            content = torch.load(path, map_location="cpu", weights_only=True)
    # Anything can come out of a damaged pickle: the unpickler trusts its opcodes.
    except Exception as error:
        reason = str(error).strip().splitlines() or [""]
        raise InputError(
            f"{path}: not a file of torch that holds weights and plain values alone, or a damaged one "
            f"({type(error).__name__}: {reason[0][:200]})"
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, but weights are a dict")
    return content


def as_arrays(state_dict: Mapping[str, Any], *, source: str) -> dict[str, np.ndarray]:
    """A state_dict's tensors as numpy arrays; raises InputError where it has none or something else is among them."""
    torch = _torch()
    wrong = [str(name) for name, value in state_dict.items() if not isinstance(value, torch.Tensor)]
    if wrong or not state_dict:
        raise InputError(
            f"{source}: its state_dict is {'not all tensors: ' + ', '.join(wrong[:5]) if wrong else 'empty'}"
        )
    # Half and bfloat16 too: numpy has no such thing as the latter. Integers stay, for the reader to refuse.
    return {
        str(name): (value.float() if value.is_floating_point() else value).detach().numpy()
        for name, value in state_dict.items()
    }


def _torch() -> types.ModuleType:
    try:
        import torch
    except ImportError as error:
        raise InputError("reading torch's files needs torch; install it: pip install 'dvsnet-jax[import]'") from error
    return torch
