"""Flow found by a classical method, for real video, whose true flow nobody knows: DIS with a check from both sides.

Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016) as OpenCV has it. Where
the flow there and the flow back do not meet (Sundaram et al., ECCV 2010: hidden points, smooth surfaces, mistakes) the
flow counts as unknown. What is left teaches a network, and needs no labels.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.opencv import opencv
from dvsnet_jax.metrics.temporal import visible_both_ways


def dense_flow(first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 2"]:
    """Flow float32 first → second of two RGB pictures, one way and unchecked, a number everywhere.

    Raises InputError where OpenCV is not installed, and for pictures of different sizes or below 16 pixels.
    """
    _check(first, second)
    cv2 = opencv("finding flow")
    one, two = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second))
    return np.asarray(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(one, two, None))


def find_flow(first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]) -> FlowPair:
    """Flow first → second of two RGB pictures, valid where the way back ends where it began.

    Two identical pictures have no flow, valid everywhere. Raises InputError where OpenCV is not installed, and for
    pictures of different sizes or below 16 pixels.
    """
    _check(first, second)
    if np.array_equal(first, second):
        return FlowPair(first, second, np.zeros((*first.shape[:2], 2), np.float32), np.ones(first.shape[:2], bool))
    there, back = dense_flow(first, second), dense_flow(second, first)
    valid = np.asarray(visible_both_ways(there, back))
    return FlowPair(first, second, np.where(valid[..., None], there, np.float32(0)), valid)


def _check(first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h2 w2 3"]) -> None:
    if first.shape != second.shape or min(first.shape[:2]) < 16:
        raise InputError(f"pictures of {first.shape} and {second.shape}: two of one size, at least 16×16, are expected")
