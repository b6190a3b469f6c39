"""The light path, flow and decision network, as pure functions of their parameters, chosen by the configuration."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dvsnet_jax import preprocessing
from dvsnet_jax.config import AnyDecisionConfig, CarriedMotionConfig, DVSNetConfig, FlowNet2sConfig, LocalDecisionConfig
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.frame_motion import CarriedFlow
from dvsnet_jax.networks.carried_scale import CarriedScale, scale_signs
from dvsnet_jax.networks.decision import DecisionNetwork
from dvsnet_jax.networks.flownet.flownet2s import FlowNet2s, for_current, key_half
from dvsnet_jax.networks.flownet.in_video import flow_of_regions
from dvsnet_jax.networks.layers import applied
from dvsnet_jax.networks.local_decision import LocalDecisionNetwork
from dvsnet_jax.networks.preparation import Params
from dvsnet_jax.ops.materialized import materialized
from dvsnet_jax.ops.resize import resize_legacy, resize_smoothed
from dvsnet_jax.ops.warp_cues import KeyCells, key_cells, warp_cues, warped_key
from dvsnet_jax.protocols import FlowFunction, FlowOutput


def key_features(
    params: Params,
    key: Shaped[Array, "n h w 3"],
    scores: Float[Array, "n h2 w2 classes"],
    config: DVSNetConfig,
) -> Float[Array, "n rows columns c"] | KeyCells | None:
    """What the light path can use again for every frame that is compared with these key images (RGB, 0..255, half size)
    and their scores.

    For FlowNet2-s the key image's half of its first convolution, for carried motion the `KeyCells`; None for networks
    that want both images at once.
    """
    if isinstance(config.flow, FlowNet2sConfig):
        return key_half(params["flow"], preprocessing.unit_bgr(key), config.flow)
    return key_cells(key, scores) if config.carries_motion else None


def flow_and_feature(
    params: Params,
    current: Shaped[Array, "n h w 3"],
    key: Shaped[Array, "n h w 3"],
    config: DVSNetConfig,
    features: Float[Array, "n rows columns c"] | None = None,
) -> FlowOutput:
    """Flow, scale field and decision feature of pairs of half-size RGB images, 0..255. The light path.

    `features`, if given, are the `key_features` of `key`: the same flow up to rounding, for less work.
    """
    network = config.flow
    if isinstance(network, CarriedMotionConfig):
        raise ValueError(
            "config.flow is CarriedMotionConfig: motion from frame to frame, which no pair of images gives; "
            "give segment_frame its motion, or choose a flow network"
        )
    if isinstance(network, FlowNet2Config):
        return flow_of_regions(params["flow"], current, key, network, config.num_scores)
    if isinstance(network, FlowFunction):
        out = FlowOutput(*network.function(params["flow"], current.astype(jnp.float32), key.astype(jnp.float32)))
        n, height, width, _ = current.shape
        if out.flow.shape != (n, height // 4, width // 4, 2) or out.feature.shape[-1:] != (network.feature_channels,):
            raise ValueError(
                f"{network.function} returned flow {out.flow.shape} and feature {out.feature.shape} for images "
                f"{current.shape}; expected flow {(n, height // 4, width // 4, 2)} and {network.feature_channels} "
                "feature channels (see FlowFunction.feature_channels)"
            )
        return out
    module, layers, images = FlowNet2s(network, config.num_scores), params["flow"], preprocessing.unit_bgr(current)
    if features is None:
        pair = jnp.concatenate([images, preprocessing.unit_bgr(key)], axis=-1)
        flow, seen = applied(module, layers, pair)
    else:
        flow, seen = applied(module, for_current(layers), images, features)
    return FlowOutput(flow, seen["predict_scale"], seen[network.feature])


CARRIED_CUES = ("trust", "age")
"""What the local decision network reads of carried motion besides `ops.warp_cues`: how far the chain of motion can be
trusted, 0..1, and log(1 + frames since the key frame)."""


def carried_flow(
    params: Params,
    current: Shaped[Array, "n h w 3"],
    key: KeyCells,
    carried: CarriedFlow,
    config: DVSNetConfig,
) -> FlowOutput:
    """Carried motion as a flow network's output, with the scale field that goes with it; its feature is `CARRIED_CUES`.
    Images (RGB, 0..255, half size) are as `decision_input`'s."""
    network = config.flow
    assert isinstance(network, CarriedMotionConfig)
    carried = materialized(carried)
    age = jnp.broadcast_to(jnp.log1p(carried.age)[:, None, None], carried.trust.shape)
    warped = warped_key(key, carried.flow)
    if network.scale_width:
        signs = materialized(scale_signs(current, warped, carried))
        scale = applied(CarriedScale(network, config.num_scores), params["flow"], signs)
    else:
        scale = jnp.ones_like(carried.flow[..., :1])
    return FlowOutput(carried.flow, scale, jnp.stack([carried.trust, age], axis=-1), warped)


def decision_input(
    current: Shaped[Array, "n h w 3"], key: KeyCells, out: FlowOutput, config: DVSNetConfig
) -> Float[Array, "n gh gw c"]:
    """What the decision network reads, on its grid: the flow network's feature, resized (legacy bilinear); or, for the
    local one, cues of the warp, to which half-size images (RGB, 0..255) and the key frame are needed too.
    """
    grid = config.decision.grid
    if not isinstance(config.decision, LocalDecisionConfig):
        return resize_legacy(out.feature, grid)
    cues = warp_cues(current, key, out.flow, out.scale, grid, out.warped)
    if not config.carries_motion:
        return cues
    return jnp.concatenate([cues, resize_smoothed(out.feature, grid)], axis=-1)


def decision_network(config: AnyDecisionConfig, *, dropout: float = 0.0) -> nn.Module:
    """The linen module: `decision_input` → expected confidence scores, percent, and its activations by name."""
    if isinstance(config, LocalDecisionConfig):
        return LocalDecisionNetwork(config, dropout=dropout)
    return DecisionNetwork(config, dropout=dropout)


def expected_confidence(
    params: Params, current: Shaped[Array, "n h w 3"], key: KeyCells, out: FlowOutput, config: DVSNetConfig
) -> Float[Array, "n"]:
    """Expected confidence scores, percent, of warping the key frame's scores; all arguments as `decision_input`'s."""
    return expected_agreement(params, current, key, out, config)[0]


def expected_agreement(
    params: Params, current: Shaped[Array, "n h w 3"], key: KeyCells, out: FlowOutput, config: DVSNetConfig
) -> tuple[Float[Array, "n"], Float[Array, "n gh gw"] | None]:
    """`expected_confidence`, and of the local decision network the share of each place's pixels that it expects to
    agree, 0..1, on its grid; of the paper's, which says nothing of places, None."""
    read = decision_input(current, key, out, config)
    score, seen = applied(decision_network(config.decision), params["decision"], read)
    return score, seen.get("agreement")
