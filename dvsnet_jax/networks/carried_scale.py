"""A scale field for carried motion: what warped scores are multiplied by, class by class and place by place."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

from dvsnet_jax.config import CarriedMotionConfig
from dvsnet_jax.frame_motion import CarriedFlow
from dvsnet_jax.networks.layers import Convolution, leaky_relu
from dvsnet_jax.ops.materialized import materialized
from dvsnet_jax.ops.resize import enlarge
from dvsnet_jax.ops.warp_cues import block_means, steps

SIGNS = ("red", "green", "blue", "texture", "motion", "tear", "trust", "age")
"""What the scale field is predicted from, besides the warped probability of each class: how the picture differs from
the warped key picture in each colour, and from its own neighbours (of 255, times 4); log(1 + motion in cells), how much
neighbouring vectors differ, how far the chain of motion can be trusted, and log(1 + frames since the key frame)."""


class CarriedScale(nn.Module):
    """`scale_signs` → scale field on the flow's grid, 1 where nothing was learned.

    *Differs from the original*, whose scale field comes out of the flow network (paper, section 3.1), of which there is
    none here; it does the same: where the warp cannot be right, it turns the scores to what is there now. It works on
    half the flow's grid, for a quarter of the time.
    """

    config: CarriedMotionConfig
    num_classes: int

    @nn.compact
    def __call__(self, signs: Float[Array, "n h w c"]) -> Float[Array, "n 2*h 2*w classes"]:
        x = leaky_relu(Convolution(self.config.scale_width, 3, name="coarse1")(signs))
        x = leaky_relu(Convolution(self.config.scale_width, 3, name="coarse2")(x))
        predict = Convolution(
            self.num_classes, 1, kernel_init=nn.initializers.zeros, bias_init=nn.initializers.ones, name="predict_scale"
        )
        return _twice(predict(x))


def scale_signs(
    current: Shaped[Array, "n h w 3"], warped: Float[Array, "n h//4 w//4 c"], carried: CarriedFlow
) -> Float[Array, "n h//8 w//8 signs"]:
    """What `CarriedScale` reads, as means over 2×2 cells of the flow's grid: `SIGNS`, then the classes. The current
    image is at half size, RGB 0..255; `warped` is `ops.warp_cues.warped_key`."""
    now = block_means(current, (carried.flow.shape[1], carried.flow.shape[2]))
    fine = [
        now,
        steps(now).mean(-1, keepdims=True) * (4 / 255),
        jnp.log1p(jnp.sqrt(jnp.square(carried.flow).sum(-1, keepdims=True))),
        jnp.log1p(steps(carried.flow).sum(-1, keepdims=True)),
        carried.trust[..., None],
    ]
    means, there = _halved(jnp.concatenate(fine, axis=-1)), _halved(warped)
    color = (means[..., :3] - there[..., :3]) * (4 / 255)
    age = jnp.broadcast_to(jnp.log1p(carried.age)[:, None, None, None], (*means.shape[:3], 1))
    return jnp.concatenate([color, means[..., 3:], age, jax.nn.softmax(there[..., 3:])], axis=-1)


def _halved(x: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 c"]:
    """Means of 2×2, rows first: whole rows are added fast."""
    n, height, width, channels = x.shape
    rows = x.reshape(n, height // 2, 2, width * channels)
    pairs = materialized(rows[:, :, 0] + rows[:, :, 1]).reshape(n, height // 2, width // 2, 2 * channels)
    return (pairs[..., :channels] + pairs[..., channels:]) / 4


def _twice(x: Float[Array, "n h w c"]) -> Float[Array, "n 2*h 2*w c"]:
    """`ops.resize.resize_half_pixel` to twice the size."""
    return lax.platform_dependent(x, tpu=_by_products, default=_by_shifts)


def _by_products(x: Float[Array, "n h w c"]) -> Float[Array, "n 2*h 2*w c"]:
    """To weave is to turn a TPU's tiles over."""
    return enlarge(x, (2 * x.shape[1], 2 * x.shape[2]), precision=lax.Precision.HIGH)


def _by_shifts(x: Float[Array, "n h w c"]) -> Float[Array, "n 2*h 2*w c"]:
    """A fifth of the time on a CPU."""
    for axis in (1, 2):
        size = x.shape[axis]
        around = jnp.pad(x, [(int(axis == other), int(axis == other)) for other in range(4)], mode="edge")
        before, after = (lax.slice_in_dim(around, start, start + size, axis=axis) for start in (0, 2))
        pairs = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        x = materialized(pairs.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :]))
    return x
