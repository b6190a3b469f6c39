"""A segmentation network of the user's own, named on a command line: `FILE.py:FUNCTION`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import jax

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
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


def in_place_of(
    own: SegmentationFunction, own_params: Any, params: networks.Params, config: DVSNetConfig
) -> tuple[networks.Params, DVSNetConfig]:
    """The user's network in the place of the segmentation network of `params`, whose flow network, if there is
    one, stays.

    The decision network is fresh, and so is the flow network's scale head where the number of classes is another.
    """
    config = config.replace(segmentation=own)
    fresh = networks.init_params(jax.random.key(0), config)
    if config.carries_motion:  # its scale field reads the classes
        return {**fresh, "segmentation": own_params}, config
    flow = params["flow"]
    if fresh["flow"]["predict_scale"]["biases"].shape != flow["predict_scale"]["biases"].shape:
        flow = {**flow, "predict_scale": fresh["flow"]["predict_scale"]}  # one scale a class
    return {"segmentation": own_params, "flow": flow, "decision": fresh["decision"]}, config
