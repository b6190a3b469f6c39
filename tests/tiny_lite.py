"""DeepLab-Lites of few blocks, and parameters for them."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from dvsnet_jax.checkpoints.matching import flatten, unflatten
from dvsnet_jax.networks import efficientnet_lite
from dvsnet_jax.networks import segmentation as segmentation_network
from dvsnet_jax.networks.efficientnet_lite import Block

FEW = (Block(3, 2, 1, 4), Block(5, 2, 2, 6), Block(3, 1, 2, 6), Block(3, 2, 2, 6), Block(3, 2, 2, 6))
"""A trunk of five blocks in place of sixteen, with all that those have: strides, both kernels, a shortcut."""


def have_few_blocks(monkeypatch: Any, *trunks: str) -> None:
    """These trunks of EfficientNet-Lite are `FEW`."""
    for name in trunks:
        monkeypatch.setitem(efficientnet_lite.TRUNKS, name, FEW)
    # Shapes of parameters are kept by configuration, which does not tell these trunks from the real ones.
    traced = segmentation_network._traced_params.__wrapped__
    monkeypatch.setattr(segmentation_network, "_traced_params", cache(traced))


def random_arrays(shapes: Any) -> Any:
    """Parameters of these shapes by numpy, all random: `init_params` compiles for a second for every size."""
    rng = np.random.default_rng(0)

    def leaf(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name.endswith("weights"):
            fan_in = math.prod(shape[:2] if "depthwise" in name else shape[:-1])
            return rng.normal(0, math.sqrt(2 / fan_in), shape)
        return rng.uniform(0.5, 1.5, shape) if name.endswith(("gamma", "variance")) else rng.normal(0, 0.3, shape)

    made = unflatten({name: leaf(name, array.shape).astype(np.float32) for name, array in flatten(shapes).items()})
    return {name: made.get(name, {}) for name in shapes}  # the empty ones, too
