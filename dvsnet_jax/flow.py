"""Optical flow between two images, by any network of the FlowNet2 family.

params = init_flow_params(jax.random.key(0), FlowNet2Config())    # or imported: checkpoints.from_nvidia …
flow = estimate_flow(params, first, second)                       # [batch, height, width, 2], pixels
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from dvsnet_jax.flownet_config import FLOWNET2_TF, FlowConvention, FlowNet2Config, FlowNetwork
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params as abstract_flow_params
from dvsnet_jax.networks.flownet.flownet2 import init_flow_params as init_flow_params
from dvsnet_jax.networks.flownet.flownet2 import pair_flow


def estimate_flow(
    params: dict[str, Any],
    first: UInt8[Array | np.ndarray, "batch height width 3"],
    second: UInt8[Array | np.ndarray, "batch height width 3"],
    *,
    network: FlowNetwork | None = None,
    convention: FlowConvention | None = None,
    config: FlowNet2Config | None = None,
) -> Float[Array, "batch height width 2"]:
    """Where each pixel of the first image is in the second: pixel (x, y) moves to (x + flow[0], y + flow[1]).

    Compiled once for each size and configuration. Any size from 2×2 goes: images are enlarged to multiples of 64, as
    Caffe's FlowNet2 does, and the flow is brought back (`networks.flownet.flownet2.pair_flow`).

    Args:
      params: the network's parameters: `init_flow_params`, `checkpoints.from_nvidia`, `checkpoints.from_flownet2_tf`.
      first, second: RGB, 0..255.
      network: which of the family; FlowNet2 unless said otherwise.
      convention: what the program that made the weights does; FLOWNET2_TF unless said otherwise. NVIDIA's weights need
        `NVIDIA`, and give a wrong flow without it.
      config: both of these and a width, instead of them.

    Raises:
      ValueError: images that are not uint8, not [batch, height, width, 3], of two shapes, or under 2×2; parameters
        that are another configuration's.
    """
    if config is None:
        config = FlowNet2Config(network=network or "FlowNet2", convention=convention or FLOWNET2_TF)
    elif network is not None or convention is not None:
        raise ValueError("config says which network and convention; leave network and convention out, or config")
    _check_pair(first, second)
    return _estimate(params, first, second, config)


@partial(jax.jit, static_argnames="config")
def _estimate(params: dict[str, Any], first: Array, second: Array, config: FlowNet2Config) -> Array:
    _check_params(params, config)  # at tracing, so once for each configuration
    return pair_flow(params, first, second, config)[0]


def _check_pair(first: Any, second: Any) -> None:
    for name, images in (("first", first), ("second", second)):
        shape, dtype = getattr(images, "shape", None), getattr(images, "dtype", None)
        if shape is None or dtype is None:
            raise ValueError(f"{name} is {type(images).__name__}, but images are an array, uint8 RGB")
        if dtype != "uint8":
            raise ValueError(f"{name} is {dtype}, but images are uint8 RGB, 0 to 255; convert it, scaled to 255")
        if len(shape) != 4 or shape[-1] != 3:
            hint = "; add a batch axis: images[None]" if len(shape) == 3 else ""
            raise ValueError(f"{name} has shape {list(shape)}, but images are [batch, height, width, 3]{hint}")
        if min(shape[1:3]) < 2 or shape[0] < 1:
            raise ValueError(f"{name} has shape {list(shape)}: at least one image of 2×2 pixels or more is needed")
    if first.shape != second.shape:
        raise ValueError(
            f"first is {list(first.shape)} and second {list(second.shape)}: the images of a pair have one size; crop "
            "or resize one of them"
        )


def _check_params(params: dict[str, Any], config: FlowNet2Config) -> None:
    """Raise ValueError, naming some of the differences, unless the parameters are the configuration's."""

    def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
        leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
        return {"/".join(str(getattr(k, "key", k)) for k in path): leaf.shape for path, leaf in leaves}

    wanted, came = shapes(abstract_flow_params(config)), shapes(params)
    lines = [f"- {name} {list(shape)}" for name, shape in wanted.items() if came.get(name) != shape]
    lines += [f"+ {name} {list(shape)}" for name, shape in came.items() if wanted.get(name) != shape]
    if lines:
        more = [f"… and {len(lines) - 10} more"] if len(lines) > 10 else []
        raise ValueError(
            f"params are not those of {config}: another network, convention or width. -: wanted, +: what came.\n  "
            + "\n  ".join(lines[:10] + more)
        )
