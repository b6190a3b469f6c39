"""Means over windows of PyTorch, summed in float32 whatever the precision.

torchax sums a window in the precision of the images, one number after the other, and a sum of bfloat16 that has reached
256 swallows every further 1: a mean of 64×128 numbers came out as 6 % of itself, and those of 32×64, as pyramids have
them (PSPNet, UperNet), as a quarter. PyTorch sums in float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array


def sum_pools_in_float32(env: Any) -> None:
    """Has a torchax environment take the means of `avg_pool` and `adaptive_avg_pool` as PyTorch does."""
    import torch

    aten = torch.ops.aten
    packets = (aten.avg_pool1d, aten.avg_pool2d, aten.avg_pool3d, aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d)
    for name in [name for packet in packets for name in (packet, packet.default)]:
        if name in env._ops:
            found = env._ops[name]
            env._ops[name] = dataclasses.replace(found, func=_in_float32(found.func))


def _in_float32(original: Callable[..., Array]) -> Callable[..., Array]:
    def pool(images: Array, *settings: Any, **more: Any) -> Array:
        return original(images.astype(jnp.float32), *settings, **more).astype(images.dtype)

    return pool
