"""Which regions the network runs on, in the program that comes out."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax.routing import segment_where


def entry(text: str) -> str:
    """What a compiled program does whatever happens: its entry, without loops' bodies."""
    return text[text.index("\nENTRY ") :].partition("\n}")[0]


@pytest.mark.parametrize("regions", [1, 2])
@pytest.mark.parametrize("given", ["array", "function"])
def test_the_network_is_not_moved_in_front_of_a_loop_that_may_not_run(regions, given):
    """Of a single region nothing else would depend on the loop, and XLA moves such work out of it."""
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(64, 64)), jnp.float32)
    pictures = jnp.ones((regions, 64, 64))
    kept = jnp.zeros((regions, 64, 64))

    def network(images):
        return jnp.tanh(images @ weights)

    def step(segment, images, values):
        some = images if given == "array" else lambda numbers: images.at[numbers].get(mode="clip")
        return segment_where(segment, network, some, values, routing="compact", chunk=1)

    program = jax.jit(step).lower(jnp.zeros(regions, bool), pictures, kept).compile()
    assert re.search("tanh", program.as_text()) and "tanh" not in entry(program.as_text())
    np.testing.assert_array_equal(program(jnp.zeros(regions, bool), pictures, kept), kept)
    np.testing.assert_allclose(program(jnp.ones(regions, bool), pictures, kept), network(pictures), atol=1e-5)
