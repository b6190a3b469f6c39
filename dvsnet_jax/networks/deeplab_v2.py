"""DeepLab-v2 (Chen et al., TPAMI 2018) as tensorflow-deeplab-resnet has it, at output stride 8."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import flax.linen as nn

from dvsnet_jax.config import DeepLabV2Config
from dvsnet_jax.networks.layers import BatchNorm, Convolution
from dvsnet_jax.networks.resnet import Unit, resnet_trunk, stage

if TYPE_CHECKING:
    from jaxtyping import Array, Float


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

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n h/8 w/8 classes"], dict[str, Float[Array, "..."]]]:
        units = residual_units(self.config)
        norm = partial(BatchNorm, update=self.update_moments, frozen=self.frozen)
        x, seen = resnet_trunk(images, units, width=self.config.width, norm=norm)
        branches = [
            Convolution(self.config.num_classes, 3, dilation=dilation, name=f"fc1_voc12_c{index}")(x)
            for index, dilation in enumerate((6, 12, 18, 24))
        ]
        seen["fc1_voc12"] = sum(branches[1:], start=branches[0])
        return seen["fc1_voc12"], seen
