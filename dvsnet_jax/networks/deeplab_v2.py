"""DeepLab-v2 (Chen et al., TPAMI 2018) as tensorflow-deeplab-resnet has it, at output stride 8."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
from jaxtyping import Array, Float

from dvsnet_jax.config import DeepLabV2Config
from dvsnet_jax.networks.layers import BatchNorm, Convolution, DilatedSum
from dvsnet_jax.networks.resnet import Unit, resnet_trunk, stage

PYRAMID = ((3, 6), (3, 12), (3, 18), (3, 24))
"""Kernel and dilation of the branches fc1_voc12_c0 … c3."""


def residual_units(config: DeepLabV2Config) -> list[Unit]:
    """The trunk's bottlenecks: res4 at dilation 2 and res5 at 4, where ResNet would stride."""
    res2, res3, res4, res5 = config.blocks
    width = config.width
    return [
        *stage(2, width, 1, [1] * res2),
        *stage(3, 2 * width, 2, [1] * res3),
        *stage(4, 4 * width, 1, [2] * res4),
        *stage(5, 8 * width, 1, [4] * res5),
    ]


class DeepLabV2(nn.Module):
    """Images (BGR minus the mean) → class scores at stride 8, and every intermediate by its name in the original."""

    config: DeepLabV2Config
    update_moments: bool = False
    frozen: tuple[str, ...] = ()
    """Layers whose names begin so keep their moments."""
    folded: bool = False
    """Parameters are `networks.prepare`'s: batch norms in the convolutions, the head in one sum of four."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns classes"], dict[str, Float[Array, "..."]]]:
        units = residual_units(self.config)
        norm = None if self.folded else partial(BatchNorm, update=self.update_moments, frozen=self.frozen)
        x, seen = resnet_trunk(images, units, width=self.config.width, norm=norm)
        if norm is None:
            seen["fc1_voc12"] = DilatedSum(self.config.num_classes, PYRAMID, name="head")(x)
            return seen["fc1_voc12"], seen
        branches = [
            Convolution(self.config.num_classes, kernel, dilation=dilation, name=f"fc1_voc12_c{index}")(x)
            for index, (kernel, dilation) in enumerate(PYRAMID)
        ]
        seen["fc1_voc12"] = sum(branches[1:], start=branches[0])
        return seen["fc1_voc12"], seen
