"""The FlowNet2 family as pure functions of its parameters: from a pair of images to flow at their size.

`params` is `{"FlowNetCSS": {"FlowNetCS": {"FlowNetC": {"conv1": {"weights": …}}}}}`, under the network's name and with
flownet2-tf's variable names split at '/'.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dvsnet_jax.flownet_config import FLOW_DIVISOR, FlowConvention, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet_c import FlowNetC
from dvsnet_jax.networks.flownet.flownet_s import FlowNetS
from dvsnet_jax.networks.flownet.flownet_sd import FlowNetSD
from dvsnet_jax.networks.flownet.fusion import FlowNet2
from dvsnet_jax.networks.flownet.stack import FlowNetCS, FlowNetCSS, enlarge
from dvsnet_jax.networks.layers import applied, fresh
from dvsnet_jax.ops.resize import resize_half_pixel

_MULTIPLE = 64
"""Six halvings, all exact: the networks' height and width are multiples of this."""


def pair_flow(
    params: dict[str, Any],
    first: Shaped[Array, "n h w 3"],
    second: Shaped[Array, "n h w 3"],
    config: FlowNet2Config,
) -> tuple[Float[Array, "n h w 2"], dict[str, Float[Array, "..."]]]:
    """Flow first → second in pixels, (x, y), and every intermediate, of pairs of RGB images, 0..255, of any size.

    As Caffe's FlowNet2 does, images are enlarged to the next multiples of 64 (bilinear, half-pixel centres), and the
    flow is brought back and rescaled; images of such sizes go through untouched. The intermediates are at the enlarged
    size, and so is their flow; `images` is what the network was given, both images stacked on channels.
    """
    first, second = normalised(first, second, config.convention)
    height, width = first.shape[1:3]
    inner = (-(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE)
    first, second = resize_half_pixel(first, inner), resize_half_pixel(second, inner)
    predicted, seen = _apply(config, params, first, second)
    flow = full_flow(predicted, config)
    seen["images"] = jnp.concatenate([first, second], axis=-1)
    if inner != (height, width):
        flow = resize_half_pixel(flow, (height, width)) * jnp.asarray([width / inner[1], height / inner[0]], flow.dtype)
    return flow, seen


def normalised(
    first: Shaped[Array, "n h w 3"],
    second: Shaped[Array, "n h w 3"],
    convention: FlowConvention,
) -> tuple[Float[Array, "n h w 3"], Float[Array, "n h w 3"]]:
    """RGB 0..255 → the channel order, mean and unit that the convention's weights were trained on, pair by pair."""
    pair = jnp.stack([first, second], axis=1).astype(jnp.float32)
    unit = jnp.float32(255)
    if convention.unit_scale == "conditional":
        unit = jnp.where(pair.max((2, 3, 4), keepdims=True) > 1, unit, 1)
    if convention.mean == "pair":
        # Row by row first: one float32 sum over millions of pixels would lose digits.
        pair -= pair.mean(3, keepdims=True).mean((1, 2), keepdims=True)
    pair /= unit
    if convention.channel_order == "BGR":
        pair = pair[..., ::-1]
    return pair[:, 0], pair[:, 1]


def full_flow(predicted: Float[Array, "n h2 w2 2"], config: FlowNet2Config) -> Float[Array, "n h w 2"]:
    """What the network predicts → flow in pixels at the size of the images it was given."""
    convention = config.convention
    if config.network == "FlowNet2":
        return predicted
    gain = convention.sd_gain if config.network == "FlowNetSD" else FLOW_DIVISOR
    return enlarge(
        predicted * gain, convention.last_enlarging if config.network == "FlowNetCSS" else convention.enlarging
    )


def init_flow_params(key: Array, config: FlowNet2Config) -> dict[str, Any]:
    """Fresh parameters for training, by He's rule. `abstract_flow_params` gives their shapes."""
    image, stacked = (jax.ShapeDtypeStruct((1, _MULTIPLE, _MULTIPLE, c), jnp.float32) for c in (3, 6))
    inputs = (stacked,) if config.network == "FlowNetS" else (image, image)
    # Compiled, it draws FlowNet2's 162 million numbers in one go.
    return {config.network: jax.jit(lambda key: fresh(_network(config), key, *inputs))(key)}


def abstract_flow_params(config: FlowNet2Config) -> dict[str, Any]:
    """The shapes and types of the parameters, as `jax.ShapeDtypeStruct`, with nothing allocated."""
    return jax.tree.map(lambda leaf: leaf, _traced_params(config))


@cache
def _traced_params(config: FlowNet2Config) -> dict[str, Any]:
    return jax.eval_shape(lambda: init_flow_params(jax.random.key(0), config))


def _network(config: FlowNet2Config) -> nn.Module:
    family: dict[str, type[nn.Module]] = {
        "FlowNetS": FlowNetS, "FlowNetC": FlowNetC, "FlowNetCS": FlowNetCS, "FlowNetCSS": FlowNetCSS,
        "FlowNetSD": FlowNetSD, "FlowNet2": FlowNet2,
    }  # fmt: skip
    return family[config.network](config)


def _apply(
    config: FlowNet2Config, params: dict[str, Any], first: Array, second: Array
) -> tuple[Array, dict[str, Array]]:
    inputs = (jnp.concatenate([first, second], -1),) if config.network == "FlowNetS" else (first, second)
    return applied(_network(config), params[config.network], *inputs)
