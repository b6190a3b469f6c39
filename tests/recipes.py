"""The recipes in train/ and eval/ as functions, and what a test needs to run them small."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from tiny import tiny_params

TRAIN = Path(__file__).parent.parent / "train"


def recipe(name, folder=TRAIN):
    """The `main` of FOLDER/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.main


def varied_params():
    """Parameters of TINY whose segmentation sees more than one class, so that warping can be wrong."""
    params = tiny_params()
    last = params["segmentation"]["fc_out"]
    weights = np.random.default_rng(3).normal(size=last["weights"].shape).astype(np.float32)
    return {**params, "segmentation": {**params["segmentation"], "fc_out": {**last, "weights": weights}}}
