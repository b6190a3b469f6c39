"""Counting multiply-adds and parameters from the configuration alone: nothing is allocated or run."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.frame_motion import CarriedFlow
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params, pair_flow
from dvsnet_jax.ops.warp_cues import key_cells
from dvsnet_jax.video import region_grid


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Multiply-adds of the convolutions and matrix products in `function(*arguments)` (arrays or `ShapeDtypeStruct`).

    A loop of known length counts as often as it runs, one of unknown length (`while`) once. A transposed convolution
    counts what it needs, not the zeros that its dilated form multiplies.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: jex.Jaxpr) -> int:
    total = 0
    equation: Any
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "conv_general_dilated":
            total += _convolution(equation)
        elif name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            total += math.prod(equation.outvars[0].aval.shape) * math.prod(shape[axis] for axis in contracted)
        else:
            inner = [leaf for leaf in jax.tree.leaves(parameters) if isinstance(leaf, jex.Jaxpr | jex.ClosedJaxpr)]
            counts = [_count(leaf.jaxpr if isinstance(leaf, jex.ClosedJaxpr) else leaf) for leaf in inner]
            if name == "cond" and parameters.get("branches_platforms"):
                # The same in forms for several platforms: what the leanest needs (shifted sums count nothing here).
                inside = min(filter(None, counts), default=0)
            else:  # of a conditional's branches one runs
                inside = max(counts, default=0) if name == "cond" else sum(counts)
            total += inside * (parameters["length"] if name == "scan" else 1)
    return total


def _convolution(equation: Any) -> int:
    parameters = equation.params
    kernel = equation.invars[1].aval.shape
    out_axis = parameters["dimension_numbers"].rhs_spec[0]
    each = math.prod(kernel) // kernel[out_axis]  # per output value
    dilation = math.prod(parameters["lhs_dilation"])
    return math.prod(equation.outvars[0].aval.shape) * each // dilation


def count_parameters(tree: Any) -> int:
    """How many numbers a pytree of arrays or shapes holds."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


class NetworkCost(NamedTuple):
    """One network: its name, how many parameters it has, its multiply-adds, and what they are per."""

    network: str
    parameters: int
    multiply_adds: int
    per: str


def costs(config: DVSNetConfig, height: int, width: int, *, params: networks.Params | None = None) -> list[NetworkCost]:
    """The three networks of a configuration, for one region of a frame of this size: segmentation, flow, decision.

    Each is counted whole, as the paper does; the frame step needs a little less for the flow, of which it keeps what
    comes of the key image alone. `params` are wanted where a network is the user's own, whose parameters are not to be
    known beforehand.
    """
    grid = region_grid(config, height, width)
    h, w = grid.region_height, grid.region_width
    params = networks.abstract_params(config) if params is None else params
    image = jax.ShapeDtypeStruct((1, h, w, 3), jnp.float32)
    half = jax.ShapeDtypeStruct((1, h // 2, w // 2, 3), jnp.float32)
    scores = jax.eval_shape(partial(networks.segmentation_scores, config=config), params, image)
    key = jax.eval_shape(key_cells, half, scores)
    out, flow_count = _flow_of(params, half, key, config)
    counted = {
        "segmentation": multiply_adds(partial(networks.segmentation_scores, config=config), params, image),
        "flow": flow_count,
        "decision": multiply_adds(partial(networks.expected_confidence, config=config), params, half, key, out),
    }
    return [
        NetworkCost(
            f"{part} ({_name(getattr(config, part))})", count_parameters(params.get(part)), count, f"region {h}×{w}"
        )
        for part, count in counted.items()
    ]


def _flow_of(params: networks.Params, half: Any, key: Any, config: DVSNetConfig) -> tuple[Any, int]:
    """What the light path gives for a region, and its multiply-adds."""
    if config.carries_motion:
        cells = (1, half.shape[1] // 4, half.shape[2] // 4)
        shapes: list[Any] = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((*cells, 2), cells, (1,))]
        light = partial(networks.carried_flow, config=config)
        given = (params, half, key, CarriedFlow(*shapes))
        return jax.eval_shape(light, *given), multiply_adds(light, *given)
    flow = partial(networks.flow_and_feature, config=config)
    return jax.eval_shape(flow, params, half, half), multiply_adds(flow, params, half, half)


def flow_cost(config: FlowNet2Config, height: int, width: int) -> NetworkCost:
    """One of the FlowNet2 family, for one pair of images of this size."""
    params = abstract_flow_params(config)
    image = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    counted = multiply_adds(partial(pair_flow, config=config), params, image, image)
    return NetworkCost(config.network, count_parameters(params), counted, f"pair {height}×{width}")


def _name(network: Any) -> str:
    if function := getattr(network, "function", None):  # of the user's own
        return getattr(function, "__qualname__", None) or str(function)
    return getattr(network, "network", None) or type(network).__name__.removesuffix("Config")
