"""From RGB images, 0 to 255, to what a network was trained on."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped


def bgr_minus_mean(images: Shaped[Array, "n h w 3"], mean: tuple[float, float, float]) -> Float[Array, "n h w 3"]:
    """RGB 0..255 → BGR minus `mean` (blue, green, red): what Caffe's ResNets, and so both DeepLabs, were trained on."""
    return images[..., ::-1].astype(jnp.float32) - jnp.asarray(mean, jnp.float32)


def unit_bgr(images: Shaped[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
    """RGB 0..255 → BGR 0..1, no mean subtracted: the flow networks' input."""
    return images[..., ::-1].astype(jnp.float32) / 255.0


def centred_rgb(images: Shaped[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
    """RGB 0..255 → about -1..1, (x - 127) / 128: EfficientNet-Lite's input."""
    return (images.astype(jnp.float32) - 127.0) / 128.0


def half(images: Shaped[Array, "n h w c"]) -> Shaped[Array, "n rows columns c"]:
    """Half the size, as TensorFlow's legacy bilinear resize makes it: every second pixel, no smoothing."""
    return images[:, ::2, ::2]
