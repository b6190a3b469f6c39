"""What is done once for a network: its parameters are drawn, its shapes looked at, its program traced."""

from __future__ import annotations

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax import CarriedMotionConfig, FlowNet2sConfig
from dvsnet_jax.networks.carried_scale import CarriedScale
from dvsnet_jax.networks.flownet.flownet2s import FlowNet2s
from dvsnet_jax.networks.layers import Convolution, DepthwiseConvolution, applied, fresh

IMAGE = jax.ShapeDtypeStruct((1, 64, 64, 6), jnp.float32)


class Norms(nn.Module):
    """A depthwise convolution with biases, and one that reads what it gives."""

    @nn.compact
    def __call__(self, x):
        x = DepthwiseConvolution(3, stride=2, use_bias=True, name="depthwise")(x)
        return Convolution(5, 3, name="after")(x)


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (FlowNet2s(FlowNet2sConfig(channels=(4, 4, 8, 8, 8, 8)), 5), IMAGE),
        (CarriedScale(CarriedMotionConfig(scale_width=4), 5), jax.ShapeDtypeStruct((1, 8, 8, 13), jnp.float32)),
        (Norms(), jax.ShapeDtypeStruct((1, 7, 9, 3), jnp.float32)),
    ],
    ids=["flow", "scale", "depthwise"],
)
def test_fresh_parameters_are_those_that_flax_draws(module, inputs):
    key = jax.random.key(5)
    expected = jax.jit(module.init)(key, jnp.zeros(inputs.shape))["params"]
    found = fresh(module, key, inputs)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)
    jax.eval_shape(module.apply, {"params": found}, inputs)  # none is missing
    shapes = jax.eval_shape(lambda: fresh(module, key, inputs))
    jax.tree.map(lambda a, b: np.testing.assert_equal((a.shape, a.dtype), (b.shape, b.dtype)), shapes, expected)


def test_a_network_is_not_run_to_draw_its_parameters(compiled):
    fresh(FlowNet2s(FlowNet2sConfig(channels=(3, 5, 7, 9, 11, 13)), 6), jax.random.key(1), IMAGE)
    said = " ".join(compiled())
    assert "_first_of" in said and not any(word in said for word in ("conv", "abs", "cond", "add", "concatenate"))


def test_a_network_is_traced_once_for_all_programs():
    traced = []

    class Watched(nn.Module):
        @nn.compact
        def __call__(self, x):
            traced.append(x.shape)
            return Convolution(3, 3, name="conv")(x)

    layers = {"conv": {"weights": jnp.ones((3, 3, 2, 3)), "biases": jnp.ones(3)}}
    image = jnp.ones((1, 4, 5, 2))
    one = jax.jit(lambda x: applied(Watched(), layers, x))(image)
    other = jax.jit(lambda x: 2 * applied(Watched(), layers, x))(image)
    assert traced == [(1, 4, 5, 2)]
    np.testing.assert_array_equal(other, 2 * one)
    applied(Watched(), layers, jnp.ones((1, 4, 6, 2)))
    assert traced == [(1, 4, 5, 2), (1, 4, 6, 2)]
    text = jax.jit(lambda x: applied(Watched(), layers, x)).lower(image).as_text()
    assert text.count("func.func") == 1  # as if it had been written there


def test_an_initializer_is_not_traced_for_what_is_there():
    def never(*_):
        raise AssertionError("the parameter is there")

    layers = {"weights": jnp.ones((3, 3, 2, 3)), "biases": jnp.ones(3)}
    image = jnp.ones((1, 4, 5, 2))
    assert applied(Convolution(3, 3, kernel_init=never, bias_init=never), layers, image).shape == (1, 4, 5, 3)
    with pytest.raises(flax.errors.ScopeParamShapeError, match=r"\(3, 3, 2, 4\).*\(3, 3, 2, 3\)"):
        applied(Convolution(4, 3), layers, image)
