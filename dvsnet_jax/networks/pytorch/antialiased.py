"""`interpolate` with `antialias`, and bicubic, as PyTorch has them.

Networks that take any image size fit the places of their patches to it that way (timm's vision transformers). torchax
fails on `antialias`, and in bfloat16 it counts the places of a bicubic one in bfloat16 too, in which there is no 257.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32

from dvsnet_jax.networks.pytorch.pools import in_float32

_Kernel = Callable[[np.ndarray], np.ndarray]


def put_antialiased(env: Any) -> None:
    """Has a torchax environment resize so."""
    import torch

    aten = torch.ops.aten
    like = env._ops[aten._upsample_bilinear2d_aa]
    for packet, kernel, reach in (
        (aten._upsample_bilinear2d_aa, _triangle, 1.0), (aten._upsample_bicubic2d_aa, _cubic, 2.0)
    ):  # fmt: skip
        env._ops[packet.vec] = dataclasses.replace(like, torch_op=packet.vec, func=partial(_by_factors, kernel, reach))
        env._ops[packet.default] = dataclasses.replace(
            like, torch_op=packet.default, func=partial(_by_scales, kernel, reach)
        )
    found = env._ops[torch.nn.functional.interpolate]  # bicubic ones without antialias; it leaves all others
    env._ops[torch.nn.functional.interpolate] = dataclasses.replace(found, func=in_float32(found.func))


def _by_factors(
    kernel: _Kernel, reach: float, images: Array, size: Sequence[int] | None, align_corners: bool, factors: Any
) -> Array:
    """The `.vec` overloads, what `interpolate` calls: one of `size` and `factors`."""
    if size is None:
        size = [int(length * factor) for length, factor in zip(images.shape[-2:], factors, strict=True)]
    return _by_scales(kernel, reach, images, size, align_corners, *(factors or ()))


def _by_scales(
    kernel: _Kernel, reach: float, images: Array, size: Sequence[int], align_corners: bool,
    down: float | None = None, across: float | None = None,
) -> Array:  # fmt: skip
    rows, columns = (
        _weights(kernel, reach, old, new, align_corners, factor)
        for old, new, factor in zip(images.shape[-2:], size, (down, across), strict=True)
    )
    resized = jnp.einsum(
        "...hw,hH,wW->...HW", images.astype(jnp.float32), rows, columns, precision=lax.Precision.HIGHEST
    )
    return resized.astype(images.dtype)


def _weights(
    kernel: _Kernel, reach: float, old: int, new: int, align_corners: bool, factor: float | None
) -> Float32[np.ndarray, "{old} {new}"]:
    """What each of the old places counts in each of the new ones; where there are as many, nothing is resized."""
    if new == old:
        return np.eye(old, dtype=np.float32)
    step = old / new if not factor else 1 / factor
    if align_corners:
        step = (old - 1) / (new - 1) if new > 1 else 0.0
    wide = max(step, 1.0)
    middles = step * (np.arange(new) + 0.5)
    first = np.maximum((middles - reach * wide + 0.5).astype(int), 0)
    last = np.minimum((middles + reach * wide + 0.5).astype(int), old)
    places = np.arange(old)[:, None]
    weights = np.where((places >= first) & (places < last), kernel((places - middles + 0.5) / wide), 0.0)
    return (weights / weights.sum(0)).astype(np.float32)


def _triangle(at: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(at), 0)


def _cubic(at: np.ndarray) -> np.ndarray:
    """Keys' with -0.5, as PyTorch takes it with `antialias` (without, -0.75)."""
    away = np.abs(at)
    near, far = (1.5 * away - 2.5) * away**2 + 1, ((2.5 - 0.5 * away) * away - 4) * away + 2
    found: np.ndarray = np.where(away < 1, near, np.where(away < 2, far, 0))
    return found
