"""From RGB images, 0 to 255, to what a network was trained on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dvsnet_jax.config import ImageInput


def bgr_minus_mean(images: Shaped[Array, "n h w 3"], mean: tuple[float, float, float]) -> Float[Array, "n h w 3"]:
    """RGB 0..255 → BGR minus `mean` (blue, green, red): what Caffe's ResNets, and so both DeepLabs, were trained on."""
    return images[..., ::-1].astype(jnp.float32) - jnp.asarray(mean, jnp.float32)


def unit_bgr(images: Shaped[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
    """RGB 0..255 → BGR 0..1, no mean subtracted: the flow networks' input."""
    return images[..., ::-1].astype(jnp.float32) / 255.0


def centred_rgb(images: Shaped[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
    """RGB 0..255 → about -1..1, (x - 127) / 128: EfficientNet-Lite's input."""
    return (images.astype(jnp.float32) - 127.0) / 128.0


def as_wanted(images: Shaped[Array, "n h w 3"], inputs: ImageInput) -> Float[Array, "n h2 w2 3"]:
    """RGB 0..255 → what a network of the user's own wants, resized (bilinear, smoothed where it shrinks) where it must
    be."""
    images = images.astype(jnp.float32)
    height, width = inputs.fitted(*images.shape[1:3])
    if (height, width) != images.shape[1:3]:
        images = jax.image.resize(images, (images.shape[0], height, width, 3), "linear")
    images = images[..., ::-1] if inputs.order == "bgr" else images
    # Two numbers a channel, worked out in float64.
    gain = [inputs.scale / deviation for deviation in inputs.deviation]
    shift = [mean / deviation for mean, deviation in zip(inputs.mean, inputs.deviation, strict=True)]
    return images * jnp.asarray(gain, jnp.float32) - jnp.asarray(shift, jnp.float32)


def half(images: Shaped[Array, "n h w c"]) -> Shaped[Array, "n rows columns c"]:
    """Half the size, as TensorFlow's legacy bilinear resize makes it: every second pixel, no smoothing."""
    return images[:, ::2, ::2]
