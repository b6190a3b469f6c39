"""FlowNet2's loss: endpoint error of the flow predicted at every level, weighted (FlowNet 2.0, CVPR 2017; Caffe's and
flownet2-tf's weights), each level against the truth brought to its size.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dvsnet_jax.networks.flownet.stack import magnitude
from dvsnet_jax.ops.downsample import downsample

LEVEL_WEIGHTS = {6: 0.32, 5: 0.08, 4: 0.02, 3: 0.01, 2: 0.005, 0: 1.0}
"""Of predict_flow6 … predict_flow2; the fusion's predict_flow0 stands alone."""
ROBUST_EPSILON = 0.01


def multi_scale_loss(
    predictions: Mapping[int, Float[Array, "n h2 w2 2"]],
    flow: Float[Array, "n h w 2"],
    valid: Bool[Array, "n h w"],
    *,
    divisor: float,
    exponent: float | None = None,
) -> Float[Array, ""]:
    """The weighted sum over levels of the endpoint error, summed over the pixels whose flow is known, a picture.

    Args:
      predictions: by level, as the network puts them out: in pixels of the images, over `divisor`.
      flow: the truth in pixels, (x, y); `valid` where it is known. Where a level's pixel is mostly unknown, it does not
        count (`ops.downsample`).
      exponent: each pixel's error to this power; CSS-ft-sd was tuned with 0.4, which lets small motion weigh more.
    """
    truth = jnp.where(valid[..., None], flow, jnp.nan) / divisor
    total = jnp.zeros((), jnp.float32)
    for level, predicted in predictions.items():
        wanted = (
            truth if predicted.shape == truth.shape else downsample(truth, (predicted.shape[1], predicted.shape[2]))
        )
        known = jnp.isfinite(wanted).all(-1, keepdims=True)
        off = jnp.where(known, predicted.astype(jnp.float32) - jnp.where(known, wanted, 0), 0)
        error = magnitude(off)
        if exponent is not None:
            error = jnp.where(known, (error + ROBUST_EPSILON) ** exponent, 0)
        total += LEVEL_WEIGHTS[level] * error.sum() / len(flow)
    return total
