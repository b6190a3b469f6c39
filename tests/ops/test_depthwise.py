"""Convolutions, moments and resizes that have gradients of their own, against JAX's operations and its gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dvsnet_jax.ops.channel_sums import channel_affine, channel_moments
from dvsnet_jax.ops.convolution import pointwise_convolution
from dvsnet_jax.ops.depthwise import depthwise_convolution
from dvsnet_jax.ops.resize import enlarge, resize_half_pixel, resize_legacy

QUICK = {"xla_backend_optimization_level": 0}  # to compile, which is all the time these tests take


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(dtype)


def with_gradients(function, *arguments):
    """The function's value and, for a random gradient of it, those of its arguments."""

    def both(*arguments):
        value, pull = jax.vjp(function, *arguments)
        shapes, tree = jax.tree.flatten(value)
        dy = [jnp.asarray(normal(*leaf.shape, seed=9), leaf.dtype) for leaf in shapes]
        return value, pull(jax.tree.unflatten(tree, dy))

    return jax.jit(both, compiler_options=QUICK)(*arguments)


def assert_same(got, expected, rtol=1e-5, atol=1e-5):
    """Values and gradients alike, up to a share of the largest."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol * max(1, np.abs(b).max()))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [None, 2])
def test_depthwise_equals_the_grouped_convolution(kernel, stride, dilation, padding):
    weights = normal(kernel, kernel, 3)
    images = [normal(2, height, width, 3) for height, width in ((9, 6), (2, 1))]  # the second is within the kernel
    images, pads = (images, "SAME") if padding is None else (images[:1], ((padding, padding),) * 2)

    def shifted(images, weights):
        return [depthwise_convolution(x, weights, stride=stride, dilation=dilation, padding=padding) for x in images]

    def grouped(images, weights):
        options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": 3}
        strides, dilations = (stride, stride), (dilation, dilation)
        return [
            lax.conv_general_dilated(x, weights[:, :, None], strides, pads, rhs_dilation=dilations, **options)
            for x in images
        ]

    expected = with_gradients(grouped, images, weights)
    if padding is None:
        assert expected[0][0].shape == (2, -(-9 // stride), -(-6 // stride), 3)
    assert_same(with_gradients(shifted, images, weights), expected)


@pytest.mark.parametrize("cin,cout", [(3, 7), (7, 3)])
def test_pointwise_gradient_is_that_of_the_product(cin, cout):
    arguments = normal(2, 5, 3, cin), normal(cin, cout)
    assert_same(with_gradients(pointwise_convolution, *arguments), with_gradients(lambda x, w: x @ w, *arguments))


@pytest.mark.parametrize("mean", [0, 1000])
def test_moments_and_their_gradient(mean):
    """Also where the mean is a thousand deviations: E[x²] - E[x]² would have no digit left."""
    x = (normal(3, 5, 4, 6) + np.float32(mean)).astype(np.float32)

    def plain(x):
        return x.mean((0, 1, 2)), x.var((0, 1, 2))

    got, expected = with_gradients(channel_moments, x), with_gradients(plain, x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(got[0][0], exact.mean((0, 1, 2)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got[0][1], exact.var((0, 1, 2)), rtol=1e-4)
    assert_same(got[1], expected[1], rtol=1e-3, atol=1e-4)


def test_moments_of_a_constant_and_of_bfloat16():
    constant, x = jnp.full((2, 3, 4, 1), 7.3), jnp.asarray(normal(4, 9, 8, 2) + 3, jnp.bfloat16)
    ((mean, variance), (low_mean, low_variance)), (_, by_low) = with_gradients(
        lambda constant, x: (channel_moments(constant), channel_moments(x)), constant, x
    )
    assert mean[0] == np.float32(7.3) and variance[0] == 0
    assert low_mean.dtype == low_variance.dtype == jnp.float32 and by_low.dtype == jnp.bfloat16
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(low_mean, exact.mean((0, 1, 2)), rtol=2e-3)
    np.testing.assert_allclose(low_variance, exact.var((0, 1, 2)), rtol=2e-2)


def test_affine_gradient_is_that_of_product_and_sum():
    arguments = normal(2, 5, 3, 4), normal(4), normal(4, seed=1)
    expected = with_gradients(lambda x, scale, shift: x * scale + shift, *arguments)
    assert_same(with_gradients(channel_affine, *arguments), expected)
    assert channel_affine(jnp.ones((1, 1, 1, 4), jnp.bfloat16), *map(jnp.asarray, arguments[1:])).dtype == jnp.bfloat16


@pytest.mark.parametrize("legacy", [False, True])
def test_enlarge_is_the_resize_and_its_gradient(legacy):
    resize, x = resize_legacy if legacy else resize_half_pixel, normal(2, 5, 7, 3)
    sizes = [(10, 14), (9, 8), (5, 21)]
    got = with_gradients(lambda x: [enlarge(x, size, legacy=legacy) for size in sizes], x)
    assert_same(got, with_gradients(lambda x: [resize(x, size) for size in sizes], x))
