"""A scale field for carried motion: what warped scores are multiplied by, class by class and place by place."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dvsnet_jax.config import CarriedMotionConfig
from dvsnet_jax.frame_motion import CarriedFlow
from dvsnet_jax.networks.layers import Convolution, leaky_relu
from dvsnet_jax.ops.resize import resize_legacy
from dvsnet_jax.ops.warp import warp
from dvsnet_jax.ops.warp_cues import block_means, steps

SIGNS = ("red", "green", "blue", "texture", "motion", "tear", "trust", "age")
"""What the scale field is predicted from, besides the warped probability of each class: how the picture differs from
the warped key picture in each colour, and from its own neighbours (of 255, times 4); log(1 + motion in cells), how much
neighbouring vectors differ, how far the chain of motion can be trusted, and log(1 + frames since the key frame)."""


class CarriedScale(nn.Module):
    """`scale_signs` → scale field, 1 where nothing was learned.

    *Differs from the original*, whose scale field comes out of the flow network (paper, section 3.1), of which there is
    none here; it does the same: where the warp cannot be right, it turns the scores to what is there now.
    """

    config: CarriedMotionConfig
    num_classes: int

    @nn.compact
    def __call__(self, signs: Float[Array, "n h w c"]) -> Float[Array, "n h w classes"]:
        x = leaky_relu(Convolution(self.config.scale_width, 3, name="conv1")(signs))
        x = leaky_relu(Convolution(self.config.scale_width, 3, dilation=2, name="conv2")(x))
        predict = Convolution(
            self.num_classes, 1, kernel_init=nn.initializers.zeros, bias_init=nn.initializers.ones, name="predict_scale"
        )
        return predict(x)


def scale_signs(
    current: Shaped[Array, "n h w 3"],
    key: Shaped[Array, "n h w 3"],
    key_scores: Float[Array, "n h2 w2 classes"],
    carried: CarriedFlow,
) -> Float[Array, "n h//4 w//4 c"]:
    """What `CarriedScale` reads, on the flow's grid: `SIGNS`, then the classes. Images are at half size, RGB 0..255;
    scores are raw, of any scale."""
    size = (carried.flow.shape[1], carried.flow.shape[2])
    now, before = (block_means(images, size) for images in (current, key))
    probabilities = jax.nn.softmax(warp(resize_legacy(key_scores, size), carried.flow))
    age = jnp.broadcast_to(jnp.log1p(carried.age)[:, None, None], carried.trust.shape)
    signs = [
        (now - warp(before, carried.flow)) * (4 / 255),
        steps(now).mean(-1, keepdims=True) * (4 / 255),
        jnp.log1p(jnp.sqrt(jnp.square(carried.flow).sum(-1, keepdims=True))),
        jnp.log1p(steps(carried.flow).sum(-1, keepdims=True)),
        jnp.stack([carried.trust, age], axis=-1),
    ]
    return jnp.concatenate([*signs, probabilities], axis=-1)
