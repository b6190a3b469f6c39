"""Reading torch's files as arrays and plain values alone, without running what else they may contain."""

from __future__ import annotations

import datetime
import pathlib
import re
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dvsnet_jax.errors import InputError

_CODES = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal


def read_torch(path: str | Path) -> Mapping[str, Any]:
    """The dict in a file that `torch.save` wrote. Needs torch: `pip install 'dvsnet-jax[import]'`.

    Takes all three containers that torch has written: of Python 2 (up to 0.3), of Python 3 until 1.5, and today's zip.
    Plain values are numpy's scalars, what argparse read, paths and dates too, which trainings note beside the weights.
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
            with torch.serialization.safe_globals(_plain_values()):
                content = torch.load(path, map_location="cpu", weights_only=True)
    # Anything can come out of a damaged pickle: the unpickler trusts its opcodes.
    except Exception as error:
        if (strange := re.search(r"Unsupported (?:global: GLOBAL|class) ([\w.]+)", str(error))) is not None:
            raise InputError(
                f"{path}: not a file of torch that holds weights and plain values alone, but {strange[1]} too; reading "
                "such objects may run code. Save the weights alone: torch.save(model.state_dict(), 'new.pth')"
            ) from error
        reason = _CODES.sub("", str(error)).strip().splitlines() or [""]
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


def _plain_values() -> list[Any]:
    """What torch's reader may make besides what it makes by itself: numpy's numbers, of this numpy and those before 2,
    a bag of values, paths and dates."""
    dtypes = {type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"}
    scalars = [(_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    paths = [
        (kind, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for name, kind in (("PosixPath", pathlib.PurePosixPath), ("WindowsPath", pathlib.PureWindowsPath))
    ]
    dates = [datetime.datetime, datetime.date, datetime.timedelta]
    return [*scalars, np.dtype, *dtypes, (types.SimpleNamespace, "argparse.Namespace"), *paths, *dates]


def _scalar(dtype: np.dtype, content: bytes) -> Any:
    """numpy's own would take any object as well."""
    return np.frombuffer(content, np.dtype(dtype.str), 1)[0]


def _torch() -> types.ModuleType:
    try:
        import torch
    except ImportError as error:
        raise InputError("reading torch's files needs torch; install it: pip install 'dvsnet-jax[import]'") from error
    return torch
