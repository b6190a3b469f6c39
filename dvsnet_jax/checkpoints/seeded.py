"""Deterministic weights made from variable names alone: the same on every machine, so nothing has to be stored.

The parity tests use them (the golden outputs of the original programs were made with them), and so do measurements of
time. They mean nothing, but are scaled so that scores, flows and confidences vary.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.foreign.original_names import to_original
from dvsnet_jax.checkpoints.matching import flatten, unflatten, with_flow

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig

_BIAS_OFFSETS = {"FlowNets/predict_scale/biases": 1.0, "decision/fully_connected_3/biases": 80.0}
_PREDICT_FLOW2_GAINS = {"FlowNetS": 0.2, "FlowNetC": 0.2, "FlowNetSD": 100.0}


def _weights_gain(scopes: list[str], flow: bool, decision: bool) -> float:
    layer = scopes[-2] if len(scopes) > 1 else ""
    if decision:
        return 2.2 if layer == "fully_connected_3" else 4.0
    if not flow:
        return 0.02 if layer == "conv1" else 0.3 if layer.endswith("branch2c") else 1.0
    if layer == "predict_scale":
        return 0.05
    if layer == "predict_flow2":
        return _PREDICT_FLOW2_GAINS.get(scopes[-3], 1.0)
    return 1.0


def seeded_array(name: str, shape: Sequence[int]) -> np.ndarray:
    """The float32 array for one variable of the original programs, from its full name ('FlowNets/conv1/weights')."""
    w = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    scopes = name.split("/")
    leaf, layer = scopes[-1], scopes[-2] if len(scopes) > 1 else ""
    flow, decision = name.startswith("FlowNet"), name.startswith("decision/")
    if leaf == "weights":
        if not flow:  # centre each output channel, else the arg max of so deep a random network favours few classes
            w -= w.mean(axis=tuple(range(len(shape) - 1)), keepdims=True)
        transposed = len(shape) == 4 and ("deconv" in layer or "upsample_flow" in layer)
        fan_in = shape[0] * shape[1] * shape[3] / 4.0 if transposed else float(np.prod(shape[:-1]))
        w *= np.sqrt(2.0 / fan_in) * _weights_gain(scopes, flow, decision)
    elif leaf == "biases":
        w = 0.05 * w + _BIAS_OFFSETS.get(name, 0.0)
    elif leaf == "gamma":
        w = 1 + 0.1 * w
    elif leaf in ("beta", "moving_mean"):
        w = 0.1 * w
    elif leaf == "moving_variance":
        w = np.abs(1 + 0.1 * w)
    return w.astype(np.float32)


def seeded_variables(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """`seeded_array` for every {name: shape}."""
    return {name: seeded_array(name, shape) for name, shape in shapes.items()}


def seeded_params(config: DVSNetConfig) -> networks.Params:
    """Every parameter of the configuration, by `seeded_array` under its original name; some seconds at full size."""
    shapes = flatten(networks.abstract_params(config))
    arrays = {name: seeded_array(to_original(name), leaf.shape) for name, leaf in shapes.items()}
    return with_flow(unflatten(jax.device_put(arrays)), config)
