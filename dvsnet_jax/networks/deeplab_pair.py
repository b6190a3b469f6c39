"""Two DeepLab-Lites side by side, the second on an enlarged image: the heavier network of the street presets.

The mean of what one network says of an image at several sizes is how results of segmentation are commonly reported
(DeepLab, Chen et al., 2017, section 4.1: "multi-scale inputs"); here each size has a network trained for it.
"""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from dvsnet_jax.config import DeepLabPairConfig
from dvsnet_jax.networks.deeplab_lite import DeepLabLite
from dvsnet_jax.ops.resize import enlarge

_STRIDE = 32
"""Sides of the enlarged image are multiples of the trunk's last stride."""


class DeepLabPair(nn.Module):
    """Images, normalised, to class scores at ¼ of their size. Its layers' outputs are not told, so that comes empty."""

    config: DeepLabPairConfig
    folded: bool = False
    """Parameters are `networks.prepare`'s: batch norms in the convolutions."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns classes"], dict[str, Float[Array, "..."]]]:
        first, _ = DeepLabLite(self.config.first, folded=self.folded, name="first")(images)
        size = enlarged_size(images.shape[1], images.shape[2], self.config.enlarged)
        second, _ = DeepLabLite(self.config.second, folded=self.folded, name="second")(enlarge(images, size))
        return (first + enlarge(second, (first.shape[1], first.shape[2]))) / 2, {}


def enlarged_size(height: int, width: int, enlarged: float) -> tuple[int, int]:
    """Height and width of what the second network sees: the nearest multiples of 32, 32 at least."""

    def side(length: int) -> int:
        return max(1, int(length * enlarged / _STRIDE + 0.5)) * _STRIDE

    return side(height), side(width)
