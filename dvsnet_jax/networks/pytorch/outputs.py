"""What segmentation networks of PyTorch give → class scores on the frame step's grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dvsnet_jax.ops.warp import LARGEST

_STRIDES = (16, 8, 4, 2)
"""Pixels from one score to the next that the frame step is given; regions' sides are multiples of 16."""


def class_scores(output: Any) -> Float[Array, "n classes h w"]:
    """Scores from what a network returned, its tensors JAX arrays by now.

    - an array `[n, classes, h, w]`, or a tuple or list whose first entry is one (the others are auxiliary);
    - a dict with "out" (torchvision) or "logits";
    - an object with `.logits` (transformers);
    - masks with classes, `masks_queries_logits` [n, queries, h, w] and `class_queries_logits`
      [n, queries, classes + 1], of MaskFormer, Mask2Former, OneFormer and EoMT: Σ softmax(class) · sigmoid(mask),
      without the last class, "none".

    Raises ValueError for anything else.
    """
    masks, queries = _entry(output, "masks_queries_logits"), _entry(output, "class_queries_logits")
    if masks is not None and queries is not None:
        each = jax.nn.softmax(queries.astype(jnp.float32), axis=-1)[..., :-1]
        return jnp.einsum("nqc,nqhw->nchw", each, jax.nn.sigmoid(masks.astype(jnp.float32)))
    for name in ("out", "logits"):
        if _entry(output, name) is not None:
            output = _entry(output, name)
            break
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, jax.Array) or output.ndim != 4:
        what = f"{output.dtype}{list(output.shape)}" if isinstance(output, jax.Array) else type(output).__name__
        raise ValueError(f"it gives {what}, expected scores [n, classes, h, w], or an object or dict that has them")
    if not jnp.issubdtype(output.dtype, jnp.floating):
        raise ValueError(f"it gives {output.dtype}{list(output.shape)}, expected scores, which are floating point")
    return output


def as_tree(output: Any) -> Any:
    """What a module returned; an object of a class that torch knows no tree of becomes a dict."""
    fields = getattr(output, "__dict__", None)
    if fields and not isinstance(output, dict) and not hasattr(output, "shape"):
        output = {key: value for key, value in fields.items() if value is not None}
    return dict(output) if isinstance(output, dict) else output


def _entry(output: Any, name: str) -> Any:
    found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return found[-1] if isinstance(found, tuple | list) and found else found  # of each layer: the last one's


def stride_of(scores: tuple[int, int], image: tuple[int, int]) -> int:
    """Half the network's own, and 2 at least: read at its own stride, 1.7 % of the pixels get another label than by the
    network's own enlargement, at half of it 0.3 % (scores at ¼ of CamVid's frames); taken as they are, 4.6 %."""
    own = min(side / count for side, count in zip(image, scores, strict=True))
    return next((stride for stride in _STRIDES if stride <= own / 2), _STRIDES[-1])


def on_grid(
    scores: Float[Array, "n classes h w"], size: tuple[int, int], image: tuple[int, int]
) -> Float[Array, "n h2 w2 classes"]:
    """Scores on a grid of `size` whose point i lies at pixel i · side / size of an `image`, as the frame step has it.

    The network's own lie in the middle of their pixels, so they are read between (bilinear, as torch's `interpolate`
    with `align_corners=False` enlarges them to the image).
    """
    scores = jnp.clip(scores.astype(jnp.float32), -LARGEST, LARGEST)
    for axis in (2, 3):
        scores = _between(scores, axis, size[axis - 2], image[axis - 2])
    return jnp.moveaxis(scores, 1, -1)


def _between(scores: Array, axis: int, count: int, side: int) -> Array:
    length = scores.shape[axis]
    centres = (np.arange(count) * (side / count) + 0.5) * (length / side) - 0.5
    places = np.clip(centres, 0, length - 1)
    low = np.floor(places).astype(np.int32)
    shape = [1] * scores.ndim
    shape[axis] = count
    after = jnp.asarray((places - low).reshape(shape), jnp.float32)
    # Weighed, not `first + (second - first) · after`: what stands for infinity would swallow its neighbour.
    first, second = (jnp.take(scores, at, axis) for at in (low, np.minimum(low + 1, length - 1)))
    return first * (1 - after) + second * after
