"""The flow networks as their training sees them: what they predict at every level, and flow at the images' size."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from dvsnet_jax import preprocessing
from dvsnet_jax.config import FlowNet2sConfig
from dvsnet_jax.flownet_config import FLOW_DIVISOR, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import pair_flow
from dvsnet_jax.networks.flownet.flownet2s import FlowNet2s
from dvsnet_jax.networks.flownet.in_video import DEEPEST
from dvsnet_jax.ops.resize import resize_legacy


def flow_predictions(
    params: dict[str, Any],
    first: UInt8[Array, "n h w 3"],
    second: UInt8[Array, "n h w 3"],
    config: FlowNet2sConfig | FlowNet2Config,
    *,
    dtype: Any = jnp.float32,
) -> tuple[dict[int, Float[Array, "n h2 w2 2"]], float]:
    """predict_flow by level, 6 (coarsest) … 2, of the network that learns last, and what pixels are divided by in it.

    Of FlowNet2 it is the fusion's predict_flow0 alone, in pixels. `params` are the flow network's (`params["flow"]`).
    Images of a FlowNet2 family network have sides that are multiples of 64; `dtype` is for DVSNet's FlowNet2-s, whose
    activations may be bfloat16.
    """
    if isinstance(config, FlowNet2sConfig):
        seen = _flownet2s(params, first, second, config, dtype)
        return {level: seen[f"predict_flow{level}"] for level in range(6, 1, -1)}, FLOW_DIVISOR
    if first.shape[1] % 64 or first.shape[2] % 64:
        raise ValueError(f"images are {list(first.shape)}: to train on, height and width are multiples of 64; crop so")
    _, seen = pair_flow(params, first, second, config)
    if config.network == "FlowNet2":
        return {0: seen["predict_flow0"]}, 1.0
    divisor = config.convention.sd_gain if config.network == "FlowNetSD" else FLOW_DIVISOR
    return {level: seen[f"{DEEPEST[config.network]}predict_flow{level}"] for level in range(6, 1, -1)}, divisor


def full_size_flow(
    params: dict[str, Any],
    first: UInt8[Array, "n h w 3"],
    second: UInt8[Array, "n h w 3"],
    config: FlowNet2sConfig | FlowNet2Config,
) -> Float[Array, "n h w 2"]:
    """Flow first → second in pixels at the images' size: to measure endpoint error."""
    if isinstance(config, FlowNet2Config):
        return pair_flow(params, first, second, config)[0]
    flow = _flownet2s(params, first, second, config, jnp.float32)["predict_flow2"] * FLOW_DIVISOR
    return resize_legacy(flow, (first.shape[1], first.shape[2]))


def _flownet2s(
    params: dict[str, Any], first: Array, second: Array, config: FlowNet2sConfig, dtype: Any
) -> dict[str, Array]:
    pair = jnp.concatenate([preprocessing.unit_bgr(first), preprocessing.unit_bgr(second)], axis=-1).astype(dtype)
    classes = params["predict_scale"]["biases"].shape[0]
    return FlowNet2s(config, classes).apply({"params": params}, pair)[1]
