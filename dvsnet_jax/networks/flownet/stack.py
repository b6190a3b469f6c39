"""Networks on top of networks (FlowNet 2.0, section 4): each FlowNetS gets the flow so far, the second image warped by
it, and what is still wrong.

    first, second ─► FlowNetC ─► flow ─► FlowNetS ─► flow ─► FlowNetS ─► flow
                     └──────── FlowNetCS ────────┘
                     └────────────────── FlowNetCSS ────────────────┘
"""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.flownet_config import FLOW_DIVISOR, Enlarging, FlowConvention, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet_c import FlowNetC
from dvsnet_jax.networks.flownet.flownet_s import FlowNetS
from dvsnet_jax.ops.flow_warp import flow_warp
from dvsnet_jax.ops.resize import resize_align_corners, resize_half_pixel, upsample_nearest


def enlarge(flow: Float[Array, "n h w 2"], how: Enlarging) -> Float[Array, "n 4*h 4*w 2"]:
    """Four times the height and width; the values stay: they are pixels of the image already."""
    size = (4 * flow.shape[1], 4 * flow.shape[2])
    if how == "nearest":
        return upsample_nearest(flow, 4)
    return resize_align_corners(flow, size) if how == "align_corners" else resize_half_pixel(flow, size)


def magnitude(x: Float[Array, "n h w c"]) -> Float[Array, "n h w 1"]:
    """Length of the vector at each pixel. Its gradient at 0 is 0, where that of the originals is not a number."""
    squares = jnp.sum(x * x, axis=-1, keepdims=True)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)


def warp_and_error(
    first: Float[Array, "n h w 3"],
    second: Float[Array, "n h w 3"],
    flow: Float[Array, "n h w 2"],
    convention: FlowConvention,
) -> tuple[Float[Array, "n h w 3"], Float[Array, "n h w 1"]]:
    """The second image warped by `flow` (pixels), and how far it is from the first: the brightness error."""
    warped = flow_warp(second, flow, outside=convention.warp_outside)
    return warped, magnitude(first - warped)


def stacked_input(
    first: Float[Array, "n h w 3"],
    second: Float[Array, "n h w 3"],
    flow: Float[Array, "n h w 2"],
    convention: FlowConvention,
) -> dict[str, Float[Array, "n h w _"]]:
    """`stacked`, the 12 channels that FlowNetS reads (both images, warped, flow, error); also `flow` and `warped`."""
    warped, error = warp_and_error(first, second, flow, convention)
    stacked = jnp.concatenate([first, second, warped, flow / FLOW_DIVISOR, error], axis=-1)
    return {"flow": flow, "warped": warped, "stacked": stacked}


def scoped(scope: str, seen: Mapping[str, Array]) -> dict[str, Array]:
    """The intermediates of a network inside another: 'FlowNetC/conv_a_1'."""
    return {f"{scope}/{name}": value for name, value in seen.items()}


def _with_flownet_s_on_top(
    below: nn.Module, first: Float[Array, "n h w 3"], second: Float[Array, "n h w 3"], config: FlowNet2Config
) -> tuple[Float[Array, "n rows columns 2"], dict[str, Float[Array, "..."]]]:
    """The network `below`, then a FlowNetS on what is still wrong, as layers of the module that calls this."""
    convention = config.convention
    flow_below, seen_below = below(first, second)
    seen = stacked_input(first, second, enlarge(flow_below * FLOW_DIVISOR, convention.enlarging), convention)
    flow, seen_last = FlowNetS(config, name="FlowNetS")(seen["stacked"])
    return flow, seen | scoped(str(below.name), seen_below) | scoped("FlowNetS", seen_last)


class FlowNetCS(nn.Module):
    """FlowNetC, then FlowNetS: the latter's `predict_flow2`, in pixels / FLOW_DIVISOR, and every intermediate.

    The intermediates of the two are 'FlowNetC/…' and 'FlowNetS/…'; `flow`, `warped` and `stacked` are what went from
    the one to the other, at the images' size, the flow in pixels.
    """

    config: FlowNet2Config

    @nn.compact
    def __call__(
        self, first: Float[Array, "n h w 3"], second: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns 2"], dict[str, Float[Array, "..."]]]:
        return _with_flownet_s_on_top(FlowNetC(self.config, name="FlowNetC"), first, second, self.config)


class FlowNetCSS(nn.Module):
    """FlowNetCS, then another FlowNetS; as `FlowNetCS`, with 'FlowNetCS/…' and 'FlowNetS/…'."""

    config: FlowNet2Config

    @nn.compact
    def __call__(
        self, first: Float[Array, "n h w 3"], second: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns 2"], dict[str, Float[Array, "..."]]]:
        return _with_flownet_s_on_top(FlowNetCS(self.config, name="FlowNetCS"), first, second, self.config)
