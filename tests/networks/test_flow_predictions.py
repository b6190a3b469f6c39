"""What the flow networks' training sees: which levels, in which unit, and that the finest of them is the flow."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video

from dvsnet_jax.checkpoints.seeded import seeded_array
from dvsnet_jax.flownet_config import NVIDIA, FlowNet2Config
from dvsnet_jax.networks import flow_predictions, full_size_flow
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params, full_flow

PAIR = jax.ShapeDtypeStruct((2, 64, 128, 3), np.uint8)


def shapes(config, first=PAIR, second=PAIR, params=None):
    """Of all predictions, and what they are divided by."""
    divisors = []

    def predict(params, first, second):
        predictions, divisor = flow_predictions(params, first, second, config)
        divisors.append(divisor)
        return predictions

    params = abstract_flow_params(config) if params is None else params
    found = jax.eval_shape(predict, params, first, second)
    return {level: array.shape for level, array in found.items()}, divisors[-1]


@pytest.mark.parametrize(
    ("network", "convention", "divisor"),
    [("FlowNetS", {}, 20.0), ("FlowNetCSS", {}, 20.0), ("FlowNetSD", {"convention": NVIDIA}, NVIDIA.sd_gain)],
)
def test_five_levels_of_the_network_that_learns_last(network, convention, divisor):
    found = shapes(FlowNet2Config(network=network, width=1 / 32, **convention))
    assert found == ({level: (2, 64 >> level, 128 >> level, 2) for level in (6, 5, 4, 3, 2)}, divisor)


def test_flownet2_learns_by_its_fusion_in_pixels():
    assert shapes(FlowNet2Config(network="FlowNet2", width=1 / 32)) == ({0: (2, 64, 128, 2)}, 1.0)


def test_sides_that_the_levels_do_not_divide_are_refused():
    odd = jax.ShapeDtypeStruct((2, 64, 96, 3), np.uint8)
    with pytest.raises(ValueError, match=r"images are \[2, 64, 96, 3\]: to train on, .* multiples of 64; crop so"):
        shapes(FlowNet2Config(network="FlowNetS", width=1 / 32), odd, odd)


def test_the_finest_level_is_the_flow():
    config = FlowNet2Config(network="FlowNetS", width=1 / 32)
    params = jax.tree.map_with_path(
        lambda path, leaf: jnp.asarray(seeded_array("/".join(str(key.key) for key in path), leaf.shape)),
        abstract_flow_params(config),
    )
    first, second = video(2, height=64, width=64)

    @jax.jit
    def both(params, first, second):
        predictions, divisor = flow_predictions(params, first, second, config)
        assert divisor == 20
        return full_flow(predictions[2], config), full_size_flow(params, first, second, config)

    enlarged, flow = both(params, first, second)
    assert np.abs(flow).max() > 0
    np.testing.assert_allclose(enlarged, flow, rtol=1e-6)


def test_dvsnets_own_network_has_the_same_levels():
    image = jax.ShapeDtypeStruct((2, 64, 96, 3), np.uint8)
    assert shapes(TINY.flow, image, image, tiny_params()["flow"]) == (
        {level: (2, 64 >> level, -(-96 >> level), 2) for level in (6, 5, 4, 3, 2)}, 20.0
    )  # fmt: skip
