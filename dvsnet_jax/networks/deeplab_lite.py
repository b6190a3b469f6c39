"""DeepLab on EfficientNet-Lite: an atrous pyramid at stride 16 and a small decoder at strides 8 and 4, for the street
presets.

After DeepLabv3+ (Chen et al., 2018, section 3): atrous pyramid, then low-level features joined in, and separable
convolutions. The scores come out at ¼ of the image.
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn
from jaxtyping import Array, Float

from dvsnet_jax.config import DeepLabLiteConfig
from dvsnet_jax.networks.efficientnet_lite import efficientnet_lite_trunk, last_at, relu6
from dvsnet_jax.networks.layers import BatchNorm, Convolution
from dvsnet_jax.ops.resize import enlarge

STRIDES = (16, 8, 4)
"""Where the decoder takes in the trunk's last wide features."""


class DeepLabLite(nn.Module):
    """Images, normalised, to class scores at ¼ of their size, and to what the layers on the way gave, by name."""

    config: DeepLabLiteConfig
    update_moments: bool = False
    frozen: tuple[str, ...] = ()
    """Layers whose names begin so keep their moments."""
    folded: bool = False
    """Parameters are `networks.prepare`'s: batch norms in the convolutions."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n rows columns classes"], dict[str, Float[Array, "..."]]]:
        norm = None if self.folded else partial(BatchNorm, update=self.update_moments, frozen=self.frozen)

        def normed(x: Array, name: str) -> Array:
            return relu6(norm(name=f"{name}_bn")(x) if norm else x)

        x, seen = efficientnet_lite_trunk(images, self.config.trunk, norm=norm)
        for stride, width in zip(STRIDES, self.config.decoder_widths, strict=True):
            low = seen[last_at(self.config.trunk, stride)]
            below = enlarge(Convolution(width, 1, use_bias=False, name=f"up{stride}")(x), (low.shape[1], low.shape[2]))
            level = Convolution(width, 1, use_bias=self.folded, name=f"skip{stride}")(low)
            x = normed(below + level, f"skip{stride}")
            x = Convolution(width, 3, use_bias=self.folded, name=f"refine{stride}")(x)
            x = seen[f"refine{stride}"] = normed(x, f"refine{stride}")
        return Convolution(self.config.num_classes, 1, name="scores")(x), seen
