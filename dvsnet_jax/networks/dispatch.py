"""The networks as pure functions of their parameters, chosen by the configuration; all the frame step ever calls.

`params` is a plain nested dict `{"segmentation": …, "flow": …, "decision": …}` of float32 arrays, whose inner names are
the original's variable names split at '/'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dvsnet_jax import preprocessing
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.networks.decision import DecisionNetwork
from dvsnet_jax.networks.deeplab_fast import DeepLabFast
from dvsnet_jax.networks.flownet2s import FlowNet2s
from dvsnet_jax.ops.resize import resize_legacy

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Params = dict[str, Any]


class FlowOutput(NamedTuple):
    """What a flow network gives the frame step, on the region's ⅛ grid."""

    flow: Float[Array, "n h/8 w/8 2"]
    """Displacement (x, y) in pixels of this grid, current → key."""
    scale: Float[Array, "n h/8 w/8 classes"]
    """What the warped scores are multiplied by; 1 changes nothing."""
    feature: Float[Array, "n fh fw fc"]
    """What the decision network reads, on a grid of its own."""


def segmentation_scores(
    params: Params, images: Float[Array, "n h w 3"], config: DVSNetConfig
) -> Float[Array, "n h/16 w/16 classes"]:
    """Class scores (logits) of RGB images, 0..255. The slow path."""
    network = DeepLabFast(config.segmentation)
    scores, _ = network.apply(
        {"params": params["segmentation"]}, preprocessing.bgr_minus_mean(images, config.segmentation.mean)
    )
    return scores


def flow_and_feature(
    params: Params, current: Float[Array, "n h/2 w/2 3"], key: Float[Array, "n h/2 w/2 3"], config: DVSNetConfig
) -> FlowOutput:
    """Flow, scale field and decision feature of pairs of half-size RGB images, 0..255. The light path."""
    pair = jnp.concatenate([preprocessing.unit_bgr(current), preprocessing.unit_bgr(key)], axis=-1)
    flow, seen = FlowNet2s(config.flow, config.num_classes).apply({"params": params["flow"]}, pair)
    return FlowOutput(flow, seen["predict_scale"], seen["conv6_1"])


def expected_confidence(
    params: Params, feature: Float[Array, "n fh fw fc"], config: DVSNetConfig
) -> Float[Array, n]:
    """Expected confidence scores, percent. The feature is first resized to the decision grid (legacy bilinear)."""
    score, _ = DecisionNetwork(config.decision).apply(
        {"params": params["decision"]}, resize_legacy(feature, config.decision.grid)
    )
    return score


def init_params(key: Array, config: DVSNetConfig) -> Params:
    """Fresh parameters for training: He's rule, batch norms at identity, the scale head at 1."""
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    pair = jax.ShapeDtypeStruct((1, 64, 64, 6), jnp.float32)
    feature = jax.ShapeDtypeStruct((1, *config.decision.grid, config.flow.channels[-1]), jnp.float32)
    rooms = {
        "segmentation": (DeepLabFast(config.segmentation), image),
        "flow": (FlowNet2s(config.flow, config.num_classes), pair),
        "decision": (DecisionNetwork(config.decision), feature),
    }
    keys = jax.random.split(key, len(rooms))
    # lazy: the parameters alone, without running the networks
    return {
        room: dict(module.lazy_init(key, inputs)["params"])
        for key, (room, (module, inputs)) in zip(keys, rooms.items(), strict=True)
    }


def abstract_params(config: DVSNetConfig) -> Params:
    """The shapes and types of the parameters, as `jax.ShapeDtypeStruct`, with nothing allocated."""
    return jax.eval_shape(lambda: init_params(jax.random.key(0), config))
