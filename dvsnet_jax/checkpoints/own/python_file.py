"""`FILE.py:FUNCTION`: a function of the user's that makes the network. Their file is run."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dvsnet_jax.checkpoints.own.weight_files import WEIGHTS, write_weights
from dvsnet_jax.config import ImageInput
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks import from_torch
from dvsnet_jax.protocols import SegmentationFunction

_EXPECTED = (
    "the function must return (SegmentationFunction, parameters), or a PyTorch module and how it wants its images: "
    "(module, dvsnet_jax.ImageInput(…)), with the names of its classes as a third, if you like"
)


def open_function(
    spec: str,
) -> tuple[SegmentationFunction, Any, ImageInput | None, Callable[[Path], None] | None]:
    """Runs the function, which takes nothing, and makes a network of what it returns; as `hugging_face.open_folder`.
    The file may import what lies beside it, as when Python runs it, now and while the network is traced.

    Raises InputError for a spec that names no function, for one that fails, and for one that returns anything else.
    """
    place, _, name = spec.rpartition(":")
    found = importlib.util.spec_from_file_location("own_segmentation", place) if place else None
    if place.endswith(".py") and not Path(place).is_file():
        raise InputError(f"--segmentation {spec}: {place}: no such file; check the path")
    if found is None or found.loader is None or not Path(place).is_file():
        raise InputError(
            f"--segmentation {spec}: expected FILE.py:FUNCTION, a Python file and a function in it, or hf:ORG/NAME, a "
            "folder in Hugging Face's layout, torchvision:NAME:WEIGHTS"
        )
    code = importlib.util.module_from_spec(found)
    sys.modules[found.name] = code  # dataclasses look their module up
    if (beside := str(Path(place).resolve().parent)) not in sys.path:
        sys.path.append(beside)  # last: what is installed goes first
    try:
        found.loader.exec_module(code)
        make: Any = getattr(code, name, None)
        if not callable(make):
            raise InputError(f"--segmentation {spec}: {place} has no function {name}; check its name")
        made = make()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # also a file whose own command line does not know ours
        line = next(iter(str(error).splitlines()), "")
        raise InputError(f"--segmentation {spec}: it fails: {type(error).__name__}: {line}") from error
    if not isinstance(made, tuple) or not made:
        module = " (a PyTorch module alone does not say how it wants its images)" if hasattr(made, "state_dict") else ""
        raise InputError(f"--segmentation {spec}: {_EXPECTED}; it returned {type(made).__name__}{module}")
    inputs = None
    if isinstance(made[0], SegmentationFunction) and len(made) == 2:
        network, params = made
    elif len(made) in (2, 3) and isinstance(made[1], ImageInput) and hasattr(made[0], "state_dict"):
        inputs = made[1]
        network, params = from_torch(made[0], inputs, classes=made[2] if len(made) == 3 else None)
    else:
        kinds = ", ".join(type(part).__name__ for part in made)
        raise InputError(f"--segmentation {spec}: {_EXPECTED}; it returned ({kinds})")

    def write(folder: Path) -> None:
        write_weights(folder / WEIGHTS, params)

    flat = isinstance(params, dict) and all(hasattr(leaf, "dtype") and np.dtype(leaf.dtype).kind in "fiub"
                                            for leaf in params.values())  # fmt: skip
    return network, params, inputs, write if flat and inputs is not None else None
