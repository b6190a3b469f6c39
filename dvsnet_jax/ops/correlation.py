"""FlowNetC's correlation layer: how similar every position of one feature map is to its neighbourhood in another
(Dosovitskiy et al., FlowNet, ICCV 2015, section 3), with all of flownet2-tf's parameters.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

_TILE = 32
"""Columns that one matmul of the banded form covers. 16 and 32 were the fastest of 10 to 64; 32 copies less."""


def correlation(
    a: Float[Array, "n h w c"],
    b: Float[Array, "n h w c"],
    *,
    kernel_size: int = 1,
    max_displacement: int = 20,
    stride_1: int = 1,
    stride_2: int = 2,
    padding: int = 20,
    form: Literal["auto", "banded", "shifted"] = "auto",
) -> Float[Array, "n h2 w2 d"]:
    """Mean product of patches of `a` with displaced patches of `b`; the defaults are FlowNetC's (441 channels).

    Both maps are padded with zeros, and with A, B for the padded maps, K for the kernel's size, m for the greatest
    displacement, s for `stride_1`, r = m // stride_2 and G = 2r + 1:

        out[y, x, k] = Σ_{j, i < K; c} A[v + j, u + i, c] · B[v + dy + j, u + dx + i, c] / (K²·C)
        v = y·s + m,   u = x·s + m
        dx = (k % G − r) · stride_2,   dy = (k // G − r) · stride_2,   d = G²

    so the displacement along x is the fast one. A kernel's window starts at its position, it is not centred there
    (NVIDIA's is, and then reads outside the map; the two agree for the kernel of 1 that every FlowNet uses). The output
    has ⌈(h + 2·padding − 2m − K + 1) / s⌉ rows, and columns alike. No activation follows.

    `shifted`, the plain reference, takes one product of the whole maps for each displacement. `banded` multiplies, row
    by row, a tile of columns of `a` with the columns of `b` within its reach, on matrix units, and keeps the diagonal
    band of the product: more arithmetic, but less than half the time for images of 384×512 and a seventh for 1024×2048,
    with twice the working memory (157 MiB against 87; the output has 55). `auto` is `banded`; that was measured on a
    CPU only. Both have derivatives in forward and reverse mode, and recompute products instead of keeping them.

    Raises ValueError for maps of different shapes, for parameters out of range, and where no output would be left.
    """
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"correlation of {a.shape} with {b.shape}: two maps [n, h, w, c] of one shape are needed")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size is {kernel_size}; it is odd and at least 1")
    if min(stride_1, stride_2) < 1 or min(max_displacement, padding) < 0:
        raise ValueError(
            f"stride_1 {stride_1}, stride_2 {stride_2}, max_displacement {max_displacement}, padding {padding}: "
            "strides are at least 1, the others at least 0"
        )
    if min(a.shape[1:3]) + 2 * (padding - max_displacement) < kernel_size:
        raise ValueError(
            f"maps of {a.shape[1]}×{a.shape[2]} with padding {padding}, max_displacement {max_displacement} and "
            f"kernel_size {kernel_size} leave no output; pad more or displace less"
        )
    forms = {"auto": _banded, "banded": _banded, "shifted": _shifted}
    if form not in forms:
        raise ValueError(f"form is {form!r}; it is one of {', '.join(forms)}")

    radius = max_displacement // stride_2
    # Positions of `a` that windows can cover, and the same of `b` with the reach of a displacement around them.
    a = _pad(a, padding - max_displacement)
    b = _pad(b, padding - max_displacement + radius * stride_2)
    out = forms[form](a, b, radius, stride_2) / (kernel_size**2 * a.shape[-1])
    if kernel_size == stride_1 == 1:
        return out
    window, strides = (1, kernel_size, kernel_size, 1), (1, stride_1, stride_1, 1)
    # numpy's zero: a traced one hides that this is a sum, which then has no derivative.
    return lax.reduce_window(out, np.zeros((), out.dtype), lax.add, window, strides, "VALID")


def _pad(x: Array, pixels: int) -> Array:
    """Zeros on all four sides; a negative number crops."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (pixels, pixels, 0), (pixels, pixels, 0), (0, 0, 0)])


def _shifted(a: Array, b: Array, radius: int, stride: int) -> Array:
    """Sums over channels of a · b, one displacement after another: [n, h, w, G²]."""
    grid = 2 * radius + 1
    ones = jnp.ones((a.shape[-1],), a.dtype)

    @jax.checkpoint
    def displaced(k: Array) -> Array:
        start = (0, k // grid * stride, k % grid * stride, 0)
        # The product with ones is a sum over channels that XLA:CPU vectorises: 25 times as fast as `sum(-1)`.
        return (a * lax.dynamic_slice(b, start, a.shape)) @ ones

    return jnp.moveaxis(lax.map(displaced, jnp.arange(grid**2)), 0, -1)


def _banded(a: Array, b: Array, radius: int, stride: int) -> Array:
    """The same by matrix products.

    Columns are first sorted by their remainder modulo `stride` (the phase): within one phase displacements are steps
    of 1. A tile of t columns meets the t + G − 1 columns of `b` within reach; in their product [t, t + G − 1], entry
    (i, i + k) is displacement k.
    """
    n, height, width, c = a.shape
    grid = 2 * radius + 1
    tile = min(_TILE, -(-width // stride))
    reach = tile + grid - 1
    tiles = -(-width // (tile * stride))
    columns = tiles * tile

    a = jnp.pad(a, ((0, 0), (0, 0), (0, columns * stride - width), (0, 0)))
    a = a.reshape(n, height, tiles, tile, stride, c).transpose(0, 1, 4, 2, 3, 5)
    b = jnp.pad(b, ((0, 0), (0, 0), (0, (columns + grid - 1) * stride - b.shape[2]), (0, 0)))
    b = b.reshape(n, b.shape[1], columns + grid - 1, stride, c).swapaxes(2, 3)
    b = jnp.stack([b[:, :, :, i * tile : i * tile + reach] for i in range(tiles)], axis=3)

    @jax.checkpoint
    def row(y: Array) -> Array:
        here = lax.dynamic_index_in_dim(a, y, 1, keepdims=False)  # [n, phase, tile, i, c]
        rows = lax.dynamic_slice_in_dim(b, y, 2 * radius * stride + 1, 1)[:, ::stride]  # [n, dy, phase, tile, j, c]
        product = jnp.einsum("nptic,ndptjc->nptdij", here, rows)
        # The band, without a gather: rows one longer than they are shift by one against each other.
        flat = product.reshape(*product.shape[:-2], tile * reach)
        flat = jnp.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(0, tile)])
        band = flat.reshape(*product.shape[:-2], tile, reach + 1)[..., :grid]  # [n, phase, tile, dy, i, dx]
        return band.transpose(0, 2, 4, 1, 3, 5).reshape(n, columns * stride, grid**2)

    return jnp.moveaxis(lax.map(row, jnp.arange(height)), 0, 1)[:, :, :width]
