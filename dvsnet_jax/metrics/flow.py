"""How far estimated flow is from the true one: endpoint error, and KITTI's share of outliers.

    errors = [flow_errors(estimate(pair), pair.truth) for pair in pairs]     # on the device, jitted if you like
    print(pool_errors(errors).endpoint_error)                                # one number over all pixels of all pairs

A pixel counts where `valid` says so and the truth is a number: NaN, infinity and Middlebury's "unknown" (above 1e9)
never count. They are measures, not losses: the gradient of a length is NaN where the error is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from dvsnet_jax.errors import InputError

AnyArray = Array | np.ndarray
_UNKNOWN_ABOVE = 1e9  # what a .flo file means by "not known here"


class FlowErrors(NamedTuple):
    """Sums over the pixels of each picture, one entry per picture, so that pictures can be pooled later."""

    error: Float[Array, "*batch"]
    """Sum of the endpoint errors, pixels."""
    outliers: Int[Array, "*batch"]
    """How many pixels are off by more than 3 px and by more than 5 % of the true length."""
    pixels: Int[Array, "*batch"]
    """How many pixels counted."""


class FlowScores(NamedTuple):
    """Means over the pixels of many pictures."""

    endpoint_error: float
    """Mean endpoint error, pixels; NaN where no pixel counted."""
    outlier_share: float
    """Share of outliers, 0..1 (KITTI's tables give it in percent); NaN where no pixel counted."""
    pixels: int
    """How many pixels counted."""


def flow_errors(
    flow: Float[AnyArray, "*batch h w 2"],
    truth: Float[AnyArray, "*batch h w 2"],
    valid: Bool[AnyArray, "*batch h w"] | UInt8[AnyArray, "*batch h w"] | None = None,
) -> FlowErrors:
    """Errors of `flow` against `truth`, both `[..., h, w, 2]`, displacement (x, y) in pixels, summed in each picture.

    `valid` says which pixels count: bool, or 0 and 1. A NaN in the estimate counts: where the truth is known it
    makes the error NaN and the pixel an outlier. Outliers are those of KITTI 2015 (Menze and Geiger, Object Scene Flow
    for Autonomous Vehicles, CVPR 2015).

    Raises `InputError` where the shapes differ; nothing is broadcast.
    """
    if flow.shape != truth.shape or flow.ndim < 3 or flow.shape[-1] != 2:
        raise InputError(f"flow is {list(flow.shape)} and truth {list(truth.shape)}, expected [..., h, w, 2] for both")
    flow, truth = jnp.asarray(flow, jnp.float32), jnp.asarray(truth, jnp.float32)
    counts = (jnp.abs(truth) <= _UNKNOWN_ABOVE).all(-1)
    if valid is not None:
        if valid.shape != counts.shape:
            raise InputError(f"valid is {list(valid.shape)}, expected {list(counts.shape)}, one entry per pixel")
        counts &= jnp.asarray(valid, bool)
    error = jnp.linalg.norm(flow - truth, axis=-1)
    # Asked this way round, because NaN is neither below nor above: a broken estimate must not pass for a good one.
    good = (error <= 3) | (error <= 0.05 * jnp.linalg.norm(truth, axis=-1))
    return FlowErrors(
        error=jnp.where(counts, error, 0).sum((-2, -1)),
        outliers=(counts & ~good).sum((-2, -1), dtype=jnp.int32),
        pixels=counts.sum((-2, -1), dtype=jnp.int32),
    )


def endpoint_error(
    flow: Float[AnyArray, "*batch h w 2"],
    truth: Float[AnyArray, "*batch h w 2"],
    valid: Bool[AnyArray, "*batch h w"] | UInt8[AnyArray, "*batch h w"] | None = None,
) -> Float[Array, ""]:
    """Mean endpoint error in pixels (AEE, EPE) over all pixels that count; NaN where none does. See `flow_errors`."""
    errors = flow_errors(flow, truth, valid)
    return errors.error.sum() / errors.pixels.sum()


def outlier_share(
    flow: Float[AnyArray, "*batch h w 2"],
    truth: Float[AnyArray, "*batch h w 2"],
    valid: Bool[AnyArray, "*batch h w"] | UInt8[AnyArray, "*batch h w"] | None = None,
) -> Float[Array, ""]:
    """KITTI's Fl-all as a share, 0..1: pixels off by more than 3 px and by more than 5 % of the true length, out of all
    that count; NaN where none does. See `flow_errors`.
    """
    errors = flow_errors(flow, truth, valid)
    return errors.outliers.sum() / errors.pixels.sum()


def pool_errors(errors: Iterable[FlowErrors]) -> FlowScores:
    """Means over the pixels of all pictures given, counted on the host: not for use inside jit.

    Every pixel weighs the same; some tables average each picture's mean instead. Sums
    run in 64 bits, since the 4·10⁹ pixels of FlyingChairs overflow the device's int32 and wear down its float32.
    """
    error, outliers, pixels = 0.0, 0, 0
    for part in errors:
        error += float(np.asarray(part.error, np.float64).sum())
        outliers += int(np.asarray(part.outliers, np.int64).sum())
        pixels += int(np.asarray(part.pixels, np.int64).sum())
    if not pixels:
        return FlowScores(float("nan"), float("nan"), 0)
    return FlowScores(error / pixels, outliers / pixels, pixels)
