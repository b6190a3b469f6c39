"""A segmentation network of the user's own, named on a command line: `FILE.py:FUNCTION`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from dvsnet_jax.errors import InputError
from dvsnet_jax.protocols import SegmentationFunction


def make_network(spec: str) -> tuple[SegmentationFunction, Any]:
    """Runs the function, which takes nothing, and returns what it does: a SegmentationFunction and its parameters.

    Raises InputError for a spec that names no function, and for a function that returns anything else.
    """
    place, _, name = spec.rpartition(":")
    found = importlib.util.spec_from_file_location("own_segmentation", place)
    if not place or found is None or found.loader is None or not Path(place).is_file():
        raise InputError(f"--segmentation {spec}: expected FILE.py:FUNCTION, a Python file and a function in it")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # dataclasses look their module up
    found.loader.exec_module(module)
    make: Any = getattr(module, name, None)
    made = make() if callable(make) else None
    if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], SegmentationFunction):
        raise InputError(f"--segmentation {spec}: the function must return (SegmentationFunction, parameters)")
    return made
