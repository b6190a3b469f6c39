"""The slow path, the segmentation network, as pure functions of its parameters; and fresh parameters for all three.

Which network is which is chosen by the configuration. The other path is `flow_and_decision`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dvsnet_jax import preprocessing
from dvsnet_jax.config import (
    CarriedMotionConfig,
    DeepLabFastConfig,
    DeepLabLiteConfig,
    DeepLabPairConfig,
    DeepLabV2Config,
    DVSNetConfig,
    FlowNet2sConfig,
    LocalDecisionConfig,
    OwnSegmentationConfig,
    SegmentationConfig,
)
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.carried_scale import SIGNS, CarriedScale
from dvsnet_jax.networks.deeplab_fast import DeepLabFast
from dvsnet_jax.networks.deeplab_lite import DeepLabLite
from dvsnet_jax.networks.deeplab_pair import DeepLabPair
from dvsnet_jax.networks.deeplab_v2 import DeepLabV2
from dvsnet_jax.networks.flow_and_decision import CARRIED_CUES, decision_network
from dvsnet_jax.networks.flownet.flownet2s import FlowNet2s
from dvsnet_jax.networks.flownet.in_video import init_region_flow_params
from dvsnet_jax.networks.layers import applied, fresh
from dvsnet_jax.networks.preparation import Params, is_prepared
from dvsnet_jax.ops.upsample_argmax import favoured
from dvsnet_jax.ops.warp import LARGEST
from dvsnet_jax.ops.warp_cues import CUES
from dvsnet_jax.protocols import SegmentationFunction

_DEEPLABS: dict[type, type[nn.Module]] = {
    DeepLabFastConfig: DeepLabFast,
    DeepLabV2Config: DeepLabV2,
    DeepLabLiteConfig: DeepLabLite,
    DeepLabPairConfig: DeepLabPair,
}


def segmentation_scores(
    params: Params, images: Shaped[Array, "n h w 3"], config: DVSNetConfig
) -> Float[Array, "n h2 w2 classes"]:
    """Class scores (logits) of RGB images, 0..255, on the network's own grid: 1⁄16 for DeepLab-Fast. The slow path.

    Finite, or NaN all over for an image of which one score is no number: then none of them can be trusted. A function
    of the user's own may give infinities too ("never this class", "surely this one"); ±`warp.LARGEST` stands for them.
    `config.class_offsets` are among them.
    """
    network = config.segmentation
    if isinstance(network, SegmentationFunction):
        scores = network.function(params["segmentation"], images.astype(jnp.float32))
        if scores.ndim != 4 or (scores.shape[0], scores.shape[-1]) != (images.shape[0], network.num_scores):
            raise ValueError(
                f"{getattr(network.function, '__name__', network.function)} returned {scores.shape} for images "
                f"{images.shape}; "
                f"expected [{images.shape[0]}, h, w, {network.num_scores}] (see SegmentationFunction.num_classes)"
            )
        scores = jnp.clip(scores.astype(jnp.float32), -LARGEST, LARGEST)
        return _all_or_none(favoured(scores, config.class_offsets))
    if isinstance(network, OwnSegmentationConfig):
        raise ValueError(
            "these weights are those around a segmentation network of your own, which is not among them; load them "
            "with checkpoints.load_accelerator(path, network, its_params)"
        )
    layers = params["segmentation"]
    inputs = _inputs(images, network).astype(jax.tree.leaves(layers)[0].dtype)
    scores, _ = applied(_DEEPLABS[type(network)](network, folded=is_prepared(layers)), layers, inputs)
    return _all_or_none(favoured(scores.astype(jnp.float32), config.class_offsets))


def _all_or_none(scores: Float[Array, "n h w classes"]) -> Float[Array, "n h w classes"]:
    return jnp.where(jnp.isfinite(scores).all((1, 2, 3), keepdims=True), scores, jnp.nan)


def training_scores(
    params: Params,
    images: Shaped[Array, "n h w 3"],
    config: SegmentationConfig,
    *,
    update_moments: bool,
    frozen: tuple[str, ...] = (),
    dtype: Any = jnp.float32,
) -> tuple[Float[Array, "n h2 w2 classes"], Params]:
    """Class scores for training, of a DeepLab's own parameters (`params["segmentation"]`), computed in `dtype`.

    With `update_moments` batch norms use the batch's moments, and these come back by layer: {"bn": {"mean": (array,),
    "variance": (array,)}}; not for layers whose names begin as one of `frozen`. Without, the stored ones are used and
    nothing comes back.
    Raises ValueError for a network of the user's own, which is trained in the user's own way.
    """
    if isinstance(config, SegmentationFunction):
        raise ValueError(
            f"{config.function} is a function of your own: train it your own way; DeepLabs are trained here"
        )
    if isinstance(config, DeepLabPairConfig) and update_moments:
        raise ValueError("this is a pair of networks, which are trained one by one; train either, and pair them again")
    folded = is_prepared(params)
    if folded and update_moments:
        raise ValueError("these parameters are networks.prepare's, for inference; train those they were made of")
    made = _DEEPLABS[type(config)]
    training = {"update_moments": True, "frozen": frozen} if update_moments else {}
    network = made(config, folded=True) if folded else made(config, **training)
    (scores, _), seen = network.apply({"params": params}, _inputs(images, config).astype(dtype), mutable="moments")
    return scores, seen.get("moments", {})


def is_head(layer: str, config: SegmentationConfig) -> bool:
    """Whether a layer of a DeepLab is of its head, trained from scratch; the rest is the trunk, from ImageNet."""
    trunk = ("stem", "block") if isinstance(config, DeepLabLiteConfig) else ("conv1", "bn", "res")
    return not layer.startswith(trunk)


def _inputs(images: Shaped[Array, "n h w 3"], network: Any) -> Float[Array, "n h w 3"]:
    if isinstance(network, DeepLabLiteConfig | DeepLabPairConfig):
        return preprocessing.centred_rgb(images)
    return preprocessing.bgr_minus_mean(images, network.mean)


def init_params(key: Array, config: DVSNetConfig) -> Params:
    """Fresh parameters for training: He's rule, batch norms at identity, the scale head at 1.

    A network of the user's own is asked for its parameters (`init`); without that its entry stays None.
    """
    image_key, flow_key, decision_key = jax.random.split(key, 3)
    segmentation, flow = config.segmentation, config.flow
    image, pair = _floats(1, 64, 64, 3), _floats(1, 64, 64, 6)
    flow_params: Any
    if isinstance(flow, FlowNet2sConfig):
        flow_params, channels = fresh(FlowNet2s(flow, config.num_scores), flow_key, pair), flow.feature_channels
    elif isinstance(flow, CarriedMotionConfig):
        flow_params, channels = {}, 0
        if flow.scale_width:
            signs = _floats(1, 8, 8, len(SIGNS) + config.num_scores)
            flow_params = fresh(CarriedScale(flow, config.num_scores), flow_key, signs)
    elif isinstance(flow, FlowNet2Config):
        flow_params, channels = init_region_flow_params(flow_key, flow, config.num_scores), flow.channels(1024)
    else:
        flow_params, channels = flow.init(flow_key) if flow.init else None, flow.feature_channels
    if isinstance(segmentation, SegmentationFunction):
        segmentation_params = segmentation.init(image_key) if segmentation.init else None
    elif isinstance(segmentation, OwnSegmentationConfig):
        segmentation_params = {}
    else:
        segmentation_params = fresh(_DEEPLABS[type(segmentation)](segmentation), image_key, image)
    if isinstance(config.decision, LocalDecisionConfig):
        channels = len(CUES) + (len(CARRIED_CUES) if isinstance(flow, CarriedMotionConfig) else 0)
    feature = _floats(1, *config.decision.grid, channels)
    return {
        "segmentation": segmentation_params,
        "flow": flow_params,
        "decision": fresh(decision_network(config.decision), decision_key, feature),
    }


def abstract_params(config: DVSNetConfig) -> Params:
    """The shapes and types of the parameters, as `jax.ShapeDtypeStruct`, with nothing allocated."""
    # The dicts are the caller's own; tracing the networks, the slow part, is done once.
    networks = DVSNetConfig(segmentation=config.segmentation, flow=config.flow, decision=config.decision)
    return jax.tree.map(lambda leaf: leaf, _traced_params(networks))


@cache
def _traced_params(config: DVSNetConfig) -> Params:
    return jax.eval_shape(lambda: init_params(jax.random.key(0), config))


def _floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)
