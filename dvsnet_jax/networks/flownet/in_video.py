"""Any network of the FlowNet2 family as DVSNet's flow network: flow, scale field and decision feature on the ⅛ grid.

| network | decision feature and scale head read |
|---|---|
| FlowNetS, FlowNetC, FlowNetSD | its own `conv6_1` and `concat2` |
| FlowNetCS, FlowNetCSS | `conv6_1` and `concat2` of its last FlowNetS, which saw the warped key image and its error |
| FlowNet2 | those of FlowNetCSS's last FlowNetS (the fusion has no deep layer); the flow is the fusion's |

The scale head is DVSNet's addition, a 3×3 convolution that starts at 1: it is trained, no FlowNet2 file has it.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import init_flow_params, pair_flow
from dvsnet_jax.networks.layers import Convolution, fresh
from dvsnet_jax.ops.resize import resize_legacy
from dvsnet_jax.protocols import FlowOutput

DEEPEST = {
    "FlowNetS": "",
    "FlowNetC": "",
    "FlowNetSD": "",
    "FlowNetCS": "FlowNetS/",
    "FlowNetCSS": "FlowNetS/",
    "FlowNet2": "FlowNetCSS/FlowNetS/",
}


def flow_of_regions(
    params: dict[str, Any],
    current: Shaped[Array, "n h w 3"],
    key: Shaped[Array, "n h w 3"],
    config: FlowNet2Config,
    num_classes: int,
) -> FlowOutput:
    """What the frame step needs, from pairs of half-size RGB images, 0..255."""
    flow, seen = pair_flow(params, current, key, config)
    scope = DEEPEST[config.network]
    # The ⅛ grid's point (y, x) is pixel (4y, 4x) of the half-size image, as everywhere in DVSNet (legacy alignment).
    flow = flow[:, ::4, ::4] / 4
    scale = _scale_head(num_classes).apply({"params": params["predict_scale"]}, seen[f"{scope}concat2"])
    return FlowOutput(flow, resize_legacy(scale, (flow.shape[1], flow.shape[2])), seen[f"{scope}conv6_1"])


def init_region_flow_params(key: Array, config: FlowNet2Config, num_classes: int) -> dict[str, Any]:
    """Fresh parameters: the network's under its name, and `predict_scale`."""
    concat2 = jax.eval_shape(lambda key: _concat2(key, config), key)
    return {
        **init_flow_params(key, config),
        "predict_scale": fresh(_scale_head(num_classes), key, concat2),
    }


def _concat2(key: Array, config: FlowNet2Config) -> Array:
    image = jnp.zeros((1, 64, 64, 3))
    _, seen = pair_flow(init_flow_params(key, config), image, image, config)
    return seen[f"{DEEPEST[config.network]}concat2"]


def _scale_head(num_classes: int) -> Convolution:
    return Convolution(num_classes, 3, padding=1, kernel_init=nn.initializers.zeros, bias_init=nn.initializers.ones)
