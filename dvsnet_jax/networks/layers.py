"""Layers that all the networks are made of. Their parameters are named as TensorFlow's originals name them: `weights`,
`biases`, `beta`, `gamma`, `moving_mean`, `moving_variance`. Images are NHWC, convolution kernels HWIO.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr
from jaxtyping import Array, Float

from dvsnet_jax.ops.channel_sums import channel_affine, channel_moments
from dvsnet_jax.ops.convolution import convolution, pointwise_convolution
from dvsnet_jax.ops.depthwise import depthwise_convolution
from dvsnet_jax.ops.space_to_depth import space_to_depth_convolution
from dvsnet_jax.ops.tap_sums import narrow_convolution, sum_of_taps, transposed_convolution

_NARROW, _TAPS = 32, 3
"""A 3×3 convolution is a `narrow_convolution` if it has fewer features than the first number, and at least as many
input channels for each feature as the second says: with more features the columns cost more than they save."""
_TILE = 8
"""Rows of a TPU's tile."""
_IMAGES = 8
"""Channels, at most, of what a network's first convolution reads."""


def gpu_order(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """A kernel's axes from the slowest to the fastest in memory, as what these layers make of it on an NVIDIA GPU reads
    it; None where that is the usual order. Lain otherwise, a kernel is transposed in every step, used or not.

    It is what XLA itself chooses for an H100 where it may (`Layout.AUTO`, jax 0.10.2), for all networks of this
    package's presets: outputs first for cuDNN, whose depthwise kernels lie so too; but products of matrices (1×1, and
    the taps of `narrow_convolution`) and first convolutions, whose kernels are taken apart, want none of it.
    """
    if len(shape) == 3 and shape[0] == shape[1] > 1:
        return 2, 0, 1
    if len(shape) != 4 or shape[0] == 1 or (shape[0] % 2 == 1 and shape[2] <= _IMAGES):
        return None
    return (2, 0, 1, 3) if shape[0] == 3 and _few(shape[3], shape[2]) else (3, 0, 1, 2)


def _few(features: int, channels: int) -> bool:
    return features < _NARROW and _TAPS * features <= channels


def he_normal(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, fan_in: float | None = None) -> Array:
    """He's rule: a normal of deviation √(2 / fan_in), cut at two deviations; fan_in is all axes but the last.

    Numbers are drawn in blocks of a few sizes, because every new size costs the compiler a second: one for each layer
    would make starting a network take a minute.
    """
    size = math.prod(shape)
    fan_in = fan_in or size / shape[-1]
    block = jax.random.truncated_normal(key, -2, 2, (max(2**16, 1 << (size - 1).bit_length()),), dtype)
    deviation = math.sqrt(2 / fan_in) / 0.87962566  # the cut takes this much from a normal's deviation
    return _first_of(block, deviation, shape)


@partial(jax.jit, static_argnames="shape")
def _first_of(block: Array, deviation: float, shape: tuple[int, ...]) -> Array:
    return block[: math.prod(shape)].reshape(shape) * deviation


@partial(jax.jit, static_argnums=0, inline=True)
def applied(module: nn.Module, layers: Mapping[str, Any], *inputs: Array) -> Any:
    """`module.apply({"params": layers}, *inputs)`, traced once for each module and shape, which is what takes long
    when a program is made. In that it stands as if it had been written there."""
    return module.apply({"params": layers}, *inputs)


def fresh(module: nn.Module, key: Array, *inputs: jax.ShapeDtypeStruct) -> dict[str, Any]:
    """Fresh parameters of `module`, which reads such inputs: what they need is computed, the network is not run."""

    def params(key: Array) -> dict[str, Any]:
        return dict(module.init(key, *(jnp.zeros(each.shape, each.dtype) for each in inputs))["params"])

    if isinstance(key, jax.core.Tracer):  # a program leaves out what nothing reads
        return params(key)
    traced, shapes = jax.make_jaxpr(params, return_shape=True)(key)
    needed, _ = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars), instantiate=True)
    leaves = jaxpr_as_fun(ClosedJaxpr(needed, traced.consts))(key)
    return jax.tree.unflatten(jax.tree.structure(shapes), leaves)


def parameter(module: nn.Module, name: str, init: nn.initializers.Initializer, shape: tuple[int, ...]) -> Array:
    """`module.param`, which traces `init` for the shape of what is there already: a fifth of tracing a network."""
    if module.has_variable("params", name):
        there: Array = module.get_variable("params", name)
        if there.shape == shape:
            return there
    value: Array = module.param(name, init, shape)  # or flax's error, with both shapes
    return value


def leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """LeakyReLU with slope 0.1, in the form both originals use: 0.55·x + 0.45·|x|."""
    return 0.55 * x + 0.45 * jnp.abs(x)


class Convolution(nn.Module):
    """2-D convolution. `padding` is TensorFlow's 'SAME' (asymmetric at stride 2) or the pixels added on every side."""

    features: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: Literal["SAME"] | int = "SAME"
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = he_normal
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, "n h w cin"]) -> Float[Array, "n h2 w2 cout"]:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        weights = parameter(self, "weights", self.kernel_init, shape).astype(x.dtype)
        if self.is_initializing():  # the shape alone is asked for: forms for every platform would be traced in vain
            y = self._plain(x, weights)
        elif self.kernel == 1:  # a product of matrices: on CPU faster than the convolution, its gradient too
            y = pointwise_convolution(x[:, :: self.stride, :: self.stride], weights[0, 0])
        elif self._narrow(x.shape[-1]):
            if self.features <= _TILE:
                y = narrow_convolution(x, weights)
            else:  # by a TPU's compiler adding up takes two to four times the plain one's cycles
                y = lax.platform_dependent(x, weights, tpu=self._plain, default=narrow_convolution)
        elif self._first(x):
            before = self.padding if isinstance(self.padding, int) else self.kernel // 2 - 1  # SAME, of an even size
            # On a CPU the plain one takes three quarters of the time, by a TPU's compiler a quarter to nine tenths: to
            # take 2×2 pixels apart is to turn tiles over.
            y = lax.platform_dependent(
                x, weights, cpu=self._plain, tpu=self._plain,
                default=partial(space_to_depth_convolution, before=before),
            )  # fmt: skip
        elif self._tiny(x):
            y = lax.platform_dependent(x, weights, cuda=self._over_more, default=self._plain)
        else:
            y = self._plain(x, weights)
            if self.dilation > 8:
                # Keeps bias and ReLU apart: for all three together cuDNN's only kernel for such dilations took 59 ms on
                # an H200, twenty times the rest of DeepLab-Fast; the convolution alone takes 0.15 ms.
                y = lax.optimization_barrier(y)
        if self.use_bias:
            y += parameter(self, "biases", self.bias_init, (self.features,)).astype(x.dtype)
        return y

    def _plain(self, x: Array, weights: Array) -> Array:
        pads = self.padding if isinstance(self.padding, str) else ((self.padding, self.padding),) * 2
        return convolution(x, weights, self.stride, self.dilation, pads)

    def _over_more(self, x: Array, weights: Array) -> Array:
        """Over a picture larger than the kernel: with a smaller one XLA takes it for a gradient by the weights, and
        turns those over in three kernels more of a GPU."""
        height, width = x.shape[1:3]
        more = [(0, max(0, self.kernel + 1 - side)) for side in (height, width)]
        padded = lax.optimization_barrier(jnp.pad(x, ((0, 0), *more, (0, 0))))  # else it is the convolution's own again
        return self._plain(padded, weights)[:, :height, :width]

    def _tiny(self, x: Array) -> bool:
        return self._centred() and self.stride == self.dilation == 1 and min(x.shape[1:3]) <= self.kernel

    def _first(self, x: Array) -> bool:
        """Whether this looks like a network's first convolution: stride 2, over images."""
        even = x.shape[1] % 2 == x.shape[2] % 2 == 0
        return even and self._centred() and self.stride == 2 and x.shape[-1] <= _IMAGES

    def _narrow(self, channels: int) -> bool:
        once = self.stride == self.dilation == 1
        return _few(self.features, channels) and self._centred() and self.kernel == 3 and once

    def _centred(self) -> bool:
        """Whether the kernel has a middle, and half of it is padded."""
        return self.padding in ("SAME", self.kernel // 2) and self.kernel % 2 == 1


class TransposedConvolution(nn.Module):
    """4×4 transposed convolution of stride 2, cut to `size`: TensorFlow's VALID output (2h + 2) less one pixel on every
    side, and where `size` is odd one more at the bottom or right (the original's `antipad`).

    `weights` is [4, 4, out, in], as `tf.nn.conv2d_transpose` has it.
    """

    features: int
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "n h w cin"], size: tuple[int, int]) -> Float[Array, "n h2 w2 cout"]:
        # He's rule on the quarter of the kernel that meets an output pixel. (The original's initializer takes its
        # fan_in from the output channels, by an oversight.)
        init = partial(he_normal, fan_in=4 * x.shape[-1])
        weights = parameter(self, "weights", init, (4, 4, self.features, x.shape[-1]))
        y = transposed_convolution(x, weights.astype(x.dtype))
        if self.use_bias:
            y += parameter(self, "biases", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        return y[:, : size[0], : size[1]]


class DepthwiseConvolution(nn.Module):
    """Each channel with a kernel of its own, `weights` [k, k, channels]; SAME padding."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
        init = partial(he_normal, fan_in=self.kernel**2)
        weights = parameter(self, "weights", init, (self.kernel, self.kernel, x.shape[-1]))
        if self.is_initializing():  # see Convolution
            y = x[:, :: self.stride, :: self.stride]
        else:
            y = depthwise_convolution(x, weights.astype(x.dtype), stride=self.stride, dilation=self.dilation)
        if self.use_bias:
            y += parameter(self, "biases", nn.initializers.zeros, (x.shape[-1],)).astype(x.dtype)
        return y


class DilatedSum(nn.Module):
    """A sum of convolutions of one input, each with its own dilation and SAME padding, as ONE product of matrices whose
    columns are then shifted and added: few `features` make narrow convolutions, which leave matrix units idle.

    `weights` is [in, taps · features]: the taps of each branch in turn, row by row, each with all its features.
    """

    features: int
    branches: tuple[tuple[int, int], ...]
    """Kernel (odd) and dilation of each."""

    @nn.compact
    def __call__(self, x: Float[Array, "n h w cin"]) -> Float[Array, "n h w cout"]:
        taps = [
            (dilation * (row - kernel // 2), dilation * (column - kernel // 2))
            for kernel, dilation in self.branches
            for row in range(kernel)
            for column in range(kernel)
        ]
        weights = parameter(self, "weights", he_normal, (x.shape[-1], len(taps) * self.features))
        biases = parameter(self, "biases", nn.initializers.zeros, (self.features,))
        # The sum is kept in float32 where the factors are bfloat16.
        columns = jnp.dot(x, weights.astype(x.dtype), preferred_element_type=jnp.float32)
        return sum_of_taps(columns, taps, self.features) + biases.astype(jnp.float32)


class BatchNorm(nn.Module):
    """Batch normalisation with stored moments: `slim.batch_norm(is_training=False)`, whose epsilon is 1e-3.

    With `update` the batch's own moments normalise, and are sown into the collection `moments` for the running mean,
    except in layers whose names begin with one of `frozen`.
    """

    update: bool = False
    frozen: tuple[str, ...] = ()
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: Float[Array, "... c"]) -> Float[Array, "... c"]:
        c = (x.shape[-1],)
        beta = parameter(self, "beta", nn.initializers.zeros, c)
        gamma = parameter(self, "gamma", nn.initializers.ones, c)
        mean = parameter(self, "moving_mean", nn.initializers.zeros, c)
        variance = parameter(self, "moving_variance", nn.initializers.ones, c)
        if self.is_initializing():  # see Convolution
            return x
        if self.update and not (self.frozen and str(self.name).startswith(self.frozen)):
            mean, variance = channel_moments(x)
            self.sow("moments", "mean", mean)
            self.sow("moments", "variance", variance)
        scale = gamma * lax.rsqrt(variance + self.epsilon)
        return channel_affine(x, scale, beta - mean * scale)


class FullyConnected(nn.Module):
    """Fully connected layer, `weights` [in, out]."""

    features: int
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, "n cin"]) -> Float[Array, "n cout"]:
        weights = parameter(self, "weights", he_normal, (x.shape[-1], self.features))
        biases = parameter(self, "biases", self.bias_init, (self.features,))
        return x @ weights.astype(x.dtype) + biases.astype(x.dtype)
