"""DVSNet's weights around a segmentation network of the user's own."""

from __future__ import annotations

from typing import Any

import jax

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.protocols import SegmentationFunction


def in_place_of(
    own: SegmentationFunction, own_params: Any, params: networks.Params, config: DVSNetConfig
) -> tuple[networks.Params, DVSNetConfig]:
    """The user's network in the place of the segmentation network of `params`, whose flow network, if there is
    one, stays.

    The decision network is fresh, and so is the flow network's scale head where the number of classes is another.
    """
    config = config.replace(segmentation=own, class_offsets=())
    fresh = networks.init_params(jax.random.key(0), config)
    if config.carries_motion:  # its scale field reads the classes
        return {**fresh, "segmentation": own_params}, config
    flow = params["flow"]
    if fresh["flow"]["predict_scale"]["biases"].shape != flow["predict_scale"]["biases"].shape:
        flow = {**flow, "predict_scale": fresh["flow"]["predict_scale"]}  # one scale a class
    return {"segmentation": own_params, "flow": flow, "decision": fresh["decision"]}, config
