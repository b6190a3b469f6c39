"""Costs counted from the configuration, against the figures known of the originals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from dvsnet_jax import DVSNetConfig
from dvsnet_jax.benchmarks.multiply_adds import costs, multiply_adds


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def test_products_and_loops():
    assert multiply_adds(jnp.dot, shape(3, 5), shape(5, 7)) == 3 * 5 * 7
    assert multiply_adds(jax.jit(jnp.dot), shape(3, 5), shape(5, 7)) == 3 * 5 * 7

    def looped(x):
        return jax.lax.scan(lambda carry, _: (carry @ carry, None), x, None, length=6)[0]

    assert multiply_adds(looped, shape(4, 4)) == 6 * 4**3


def test_convolutions():
    def conv(x, k, **options):
        return jax.lax.conv_general_dilated(x, k, padding="SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), **options)

    assert multiply_adds(lambda x, k: conv(x, k, window_strides=(2, 2)), shape(1, 8, 10, 3), shape(5, 5, 3, 7)) == (
        4 * 5 * 7 * 75
    )
    grouped = multiply_adds(
        lambda x, k: conv(x, k, window_strides=(1, 1), feature_group_count=6), shape(1, 8, 8, 6), shape(3, 3, 1, 6)
    )
    assert grouped == 8 * 8 * 6 * 9


@pytest.mark.parametrize(
    "size,overlap,expected",
    [
        ((1024, 2048), 0, {"segmentation": 132.24e9, "flow": 1.743e9, "decision": 14.8e6}),
        ((1024, 2048), 64, {"segmentation": 158.07e9, "flow": 2.105e9, "decision": 14.8e6}),
    ],
)
def test_the_originals_figures(size, overlap, expected):
    for cost in costs(DVSNetConfig.cityscapes(overlap=overlap), *size):
        assert cost.multiply_adds == pytest.approx(expected[cost.network.split()[0]], rel=5e-3), cost
