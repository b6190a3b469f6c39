"""Cross entropy of class scores against labels: void pixels left out, classes weighted, hard pixels mined."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from dvsnet_jax.ops.resize import enlarge


def cross_entropy(
    scores: Float[Array, "n h2 w2 classes"],
    labels: UInt8[Array, "n h w"],
    *,
    class_weights: Float[Array, "classes"] | None = None,
    hard_share: float | None = None,
    hard_confidence: float = 0.7,
    every: int = 1,
) -> Float[Array, ""]:
    """Mean cross entropy, natural logarithm, of the scores upsampled to the labels as inference upsamples them.

    Args:
      labels: train ids; what is not below the number of classes (255) is void and left out.
      class_weights: of each pixel by its true class; the mean is divided by the weights' sum.
      hard_share: online hard example mining (Shrivastava et al., 2016): only pixels whose true class has less
        probability than `hard_confidence` count, and at least this share of all that are labelled.
      every: 2 takes every second pixel down and across.
    """
    labels = labels[:, ::every, ::every]
    classes = scores.shape[-1]
    scores = enlarge(scores.astype(jnp.float32), (labels.shape[1], labels.shape[2]), legacy=True)
    weights = (labels < classes).astype(jnp.float32)
    labels = jnp.where(labels < classes, labels, 0)
    losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
    if hard_share is not None:
        weights *= _is_hard(jnp.where(weights > 0, losses, -1.0), hard_share, hard_confidence)
    if class_weights is not None:
        weights *= jnp.asarray(class_weights, jnp.float32)[labels]
    return (jnp.where(weights > 0, losses, 0) * weights).sum() / jnp.maximum(weights.sum(), 1e-6)


def _is_hard(losses: Float[Array, "n h w"], share: float, confidence: float) -> Float[Array, "n h w"]:
    """1 where the loss is among the largest or above -log(confidence); void pixels have loss -1."""
    flat = jax.lax.stop_gradient(losses).ravel()
    labelled = (flat >= 0).sum()
    order = jnp.sort(flat)[::-1]
    least = order[jnp.clip((labelled * share).astype(jnp.int32), 0, flat.size - 1)]
    # asked this way round, so that a loss that is not a number counts, and shows
    return (~(losses < jnp.minimum(least, -math.log(confidence)))).astype(jnp.float32)


def weights_by_frequency(
    pixels: Int[np.ndarray, "classes"], *, power: float = 0.5, most: float = 6.0
) -> Float[np.ndarray, "classes"]:
    """Class weights (median frequency / frequency)^power, at most `most`; 1 for a class without a pixel."""
    share = np.asarray(pixels, np.float64) / max(1, np.sum(pixels))
    median = np.median(share[share > 0]) if (share > 0).any() else 1.0
    weights = np.where(share > 0, (median / np.where(share > 0, share, 1)) ** power, 1.0)
    return np.minimum(weights, most).astype(np.float32)
