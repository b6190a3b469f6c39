"""DeepLab-Fast: DeepLab-v2 with output stride 16 and a normalised, summed atrous pyramid (paper, section 4.1)."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
from jaxtyping import Array, Float

from dvsnet_jax.config import DeepLabFastConfig
from dvsnet_jax.networks.layers import BatchNorm, Convolution, DilatedSum
from dvsnet_jax.networks.resnet import Unit, resnet_trunk, stage

PYRAMID = ((3, 6), (3, 12), (3, 18), (1, 1))
"""Kernel and dilation of the branches fc1_voc12_c0 … c3."""


def residual_units(config: DeepLabFastConfig) -> list[Unit]:
    """The trunk's bottlenecks. Dilations as in the original: res4a 1, res4b1 4, then 2, 2, 4 again and again; res5 4,
    8, 16."""
    res2, res3, res4, res5 = config.blocks
    width = config.width
    return [
        *stage(2, width, 1, [1] * res2),
        *stage(3, 2 * width, 2, [1] * res3),
        *stage(4, 4 * width, 2, [1, *(2 if index % 3 else 4 for index in range(res4 - 1))]),
        *stage(5, 8 * width, 1, [min(4 * 2**index, 16) for index in range(res5)]),
    ]


class DeepLabFast(nn.Module):
    """Images (BGR minus the mean) → class scores at stride 16, and every intermediate by its name in the original.

    The four branches are summed after their batch norms and nothing after `res5c_relu` is nonlinear.
    """

    config: DeepLabFastConfig
    update_moments: bool = False
    frozen: tuple[str, ...] = ()
    """Layers whose names begin so keep their moments."""
    folded: bool = False
    """Parameters are `networks.prepare`'s: batch norms in the convolutions, the whole head in one sum of four."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns classes"], dict[str, Float[Array, "..."]]]:
        width = self.config.head_width
        norm = None if self.folded else partial(BatchNorm, update=self.update_moments, frozen=self.frozen)
        x, seen = resnet_trunk(images, residual_units(self.config), width=self.config.width, norm=norm)
        if norm is None:
            seen["fc_out"] = DilatedSum(self.config.num_classes, PYRAMID, name="head")(x)
            return seen["fc_out"], seen
        branches = []
        for index, (kernel, dilation) in enumerate(PYRAMID):
            name = f"fc1_voc12_c{index}"
            branch = Convolution(width, kernel, dilation=dilation, name=name)(x)
            seen[f"{name}_bn"] = norm(name=f"{name}_bn")(branch)
            branches.append(seen[f"{name}_bn"])
        seen["fc1_voc12"] = sum(branches[1:], start=branches[0])
        x = Convolution(width, 1, use_bias=False, name="fc_oooo")(seen["fc1_voc12"])
        seen["fc_oooo_bn"] = norm(name="fc_oooo_bn")(x)
        seen["fc_out"] = Convolution(self.config.num_classes, 1, use_bias=False, name="fc_out")(seen["fc_oooo_bn"])
        return seen["fc_out"], seen
