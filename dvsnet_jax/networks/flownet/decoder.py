"""The expanding half of the flow networks: a flow at every level, refined from the coarser one (FlowNet, section 3).

features ──► predict_flow6 ──► upsample_flow6to5 ─┐
    └──────► deconv5 ─────────────────────────────┤
conv5_1 (skip) ───────────────────────────────────┴► concat5 ──► predict_flow5 ──► … ──► predict_flow2
"""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.networks.layers import Convolution, TransposedConvolution, leaky_relu


def refine(
    x: Float[Array, "n h w c"],
    skips: Mapping[int, Float[Array, "n h2 w2 c2"]],
    features: tuple[int, ...],
    *,
    deconv_biases: bool = False,
    upsample_biases: bool = False,
    interconv: bool = False,
    prefix: str = "",
) -> dict[str, Float[Array, "..."]]:
    """Every intermediate of the decoder, by the originals' names; its layers are of the module that calls this.

    Args:
      x: the encoder's output, one level above the first skip.
      skips: {level: encoder features}, from coarse to fine, each about twice the size of the one before; an odd size
        gets its last row or column cut (the original's `antipad`). The flow of the last level is the finest.
      features: channels of deconv at each of these levels.
      deconv_biases, upsample_biases: whether the transposed convolutions have biases.
      interconv: a convolution without activation before each prediction but the first (FlowNetSD and the fusion). The
        next level's deconv still reads what stands before it.
      prefix: before the names of all layers but predict_flow's (the fusion's `fuse_`).
    """
    seen: dict[str, Float[Array, "..."]] = {}
    flow = Convolution(2, 3, padding=1, name=f"predict_flow{max(skips) + 1}")(x)
    seen[f"predict_flow{max(skips) + 1}"] = flow
    for (level, skip), deconv_features in zip(skips.items(), features, strict=True):
        size = (skip.shape[1], skip.shape[2])
        deconv, upsample = f"{prefix}deconv{level}", f"{prefix}upsample_flow{level + 1}to{level}"
        seen[deconv] = leaky_relu(TransposedConvolution(deconv_features, use_bias=deconv_biases, name=deconv)(x, size))
        seen[upsample] = TransposedConvolution(2, use_bias=upsample_biases, name=upsample)(flow, size)
        x = y = seen[f"concat{level}"] = jnp.concatenate([skip, seen[deconv], seen[upsample]], axis=-1)
        if interconv:
            name = f"{prefix}interconv{level}"
            y = seen[name] = Convolution(deconv_features, 3, padding=1, name=name)(x)
        flow = seen[f"predict_flow{level}"] = Convolution(2, 3, padding=1, name=f"predict_flow{level}")(y)
    return seen
