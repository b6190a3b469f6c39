r"""An example of a network of one's own, for `accelerate.py --segmentation train/mirrored_network.py:make`.

The bundled street network looks at every picture four times: as it is and half as large again, each also mirrored, and
the probabilities are averaged. That costs nearly seven times as much, as much as many would pay for a few points of
mIoU, which makes it worth warping. Copy this file and put your own network in its place.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from dvsnet_jax import DVSNetConfig, SegmentationFunction, checkpoints, networks


def make() -> tuple[SegmentationFunction, Any]:
    """The network, a pure function from images to scores, and its parameters, any pytree."""
    params, config = checkpoints.load_bundled()

    def scores(own: Any, images: jax.Array) -> jax.Array:
        """float32 RGB, 0..255, `[n, h, w, 3]` → logarithms of probabilities `[n, h/4, w/4, 19]`."""
        n, height, width, _ = images.shape
        size = (height // 4, width // 4)
        total = jnp.zeros((n, *size, config.num_classes))
        for factor in (1.0, 1.5):
            # Sides stay multiples of 16, as the network wants them.
            scaled = jax.image.resize(
                images, (n, *(_sixteens(factor * side) for side in (height, width)), 3), "bilinear"
            )
            for mirror in (1, -1):
                seen = _probabilities({"segmentation": own}, scaled[:, :, ::mirror], config)[:, :, ::mirror]
                total += jax.image.resize(seen, total.shape, "bilinear")
        return jnp.log(total / 4 + 1e-6)

    return SegmentationFunction(function=scores, num_classes=config.num_classes), params["segmentation"]


def _probabilities(params: Any, images: jax.Array, config: DVSNetConfig) -> jax.Array:
    return jax.nn.softmax(networks.segmentation_scores(params, images, config))


def _sixteens(length: float) -> int:
    return max(1, round(length / 16)) * 16
