"""torchax, imported so that it works with today's torch too."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from dvsnet_jax.errors import InputError
from dvsnet_jax.networks.pytorch.antialiased import put_antialiased
from dvsnet_jax.networks.pytorch.channels_last import put_channels_last
from dvsnet_jax.networks.pytorch.constants import take_constants
from dvsnet_jax.networks.pytorch.pools import pool_as_pytorch

_INSTALL = "pip install 'dvsnet-jax[torch]'"

# Overloads for named tensors, which torch 2.13 no longer has and torchax 0.0.13 lists in its tables.
_OF_NAMED_TENSORS = {
    "all": ("dimname", "dimname_out"),
    "index_add": ("dimname",),
    "index_copy": ("dimname",),
    "index_copy_": ("dimname",),
    "index_fill": ("Dimname_Scalar", "Dimname_Tensor"),
    "index_fill_": ("Dimname_Scalar", "Dimname_Tensor"),
    "norm": ("names_ScalarOpt_dim", "names_ScalarOpt_dim_dtype", "names_dtype_out", "names_out"),
    "prod": ("dim_Dimname",),
    "std": ("correction_names", "correction_names_out", "names_dim", "names_out"),
    "std_mean": ("correction_names", "names_dim"),
    "unbind": ("Dimname",),
}


@cache
def environment() -> Any:
    """torchax's environment, whose modes have torch's operators act on JAX arrays.

    Raises InputError, in one line, where torch or torchax is missing, or torchax does not import with this torch.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError(f"a PyTorch network needs torch, which is not here; {_INSTALL}") from error
    if "torchax" not in sys.modules:
        for name in [name for name in sys.modules if name.startswith("torchax.")]:
            del sys.modules[name]  # what an import that failed has left would make the next one fail, too
    try:
        with warnings.catch_warnings(), _overloads_of_named_tensors(torch):
            warnings.simplefilter("ignore")  # deprecations inside torchax
            import torchax

            env = torchax.tensor.Environment()  # which reads the rest of its tables; not the one that others use
            put_channels_last(env)
            pool_as_pytorch(env)
            put_antialiased(env)
            take_constants(env)
            return env
    except ModuleNotFoundError as error:
        raise InputError(f"a PyTorch network needs torchax ({error}); {_INSTALL}") from error
    except Exception as error:
        raise InputError(
            f"torchax does not work with torch {torch.__version__} ({str(error).splitlines()[0]}); torch 2.11 to 2.13 "
            "with torchax 0.0.13 do: pip install 'torch>=2.11,<2.14' 'torchax==0.0.13'"
        ) from error


@contextmanager
def _overloads_of_named_tensors(torch: Any) -> Iterator[None]:
    """While torchax builds its tables each missing overload has a stand-in, which nothing is ever called with: named
    tensors cannot be made without it."""
    missing = [
        (getattr(torch.ops.aten, name), overload)
        for name, overloads in _OF_NAMED_TENSORS.items()
        for overload in overloads
        if not hasattr(getattr(torch.ops.aten, name), overload)
    ]
    for packet, overload in missing:
        setattr(packet, overload, object())
    try:
        yield
    finally:
        for packet, overload in missing:
            delattr(packet, overload)
