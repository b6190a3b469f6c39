"""The frame step on a GPU beside the CPU: run with DVSNET_TEST_GPU=1 and `-m gpu`."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from tiny import TINY, tiny_params, video

from dvsnet_jax import checkpoints, init_state, networks, segment_frame
from dvsnet_jax.networks.layers import gpu_order

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _gpu():
    if jax.default_backend() != "gpu":
        pytest.skip("no GPU here (set DVSNET_TEST_GPU=1 where there is one)")


def run(params, config, clip, *, device, precision="float32"):
    """Labels and routes of every frame, on one device."""
    with jax.default_device(device):
        prepared = jax.device_put(networks.prepare(params, config, precision=precision), device)
        state, results = init_state(prepared, clip[0], config=config), []
        for frames in clip:
            state, result = segment_frame(prepared, state, jax.device_put(frames, device), config=config)
            results.append(jax.tree.map(np.asarray, result))
    return (np.stack([getattr(result, name) for result in results]) for name in ("labels", "segmented"))


def test_bundled_weights_give_the_cpus_labels():
    agree(*checkpoints.load_bundled(), "float32")


def test_bfloat16_gives_nearly_the_cpus_labels():
    agree(tiny_params(), TINY, "bfloat16")  # not the bundled weights': see "On a GPU" in eval/README.md


def agree(params, config, precision):
    clip = video(6, streams=2, height=192, width=256)
    with jax.default_matmul_precision("highest"):
        expected, routes = run(params, config, clip, device=jax.devices("cpu")[0])
    labels, segmented = run(params, config, clip, device=jax.devices()[0], precision=precision)
    assert (segmented == routes).mean() >= 0.9
    assert (labels == expected).mean() > 0.97


def test_compact_and_dense_routing_agree():
    clip = video(5, streams=2)
    results = [
        run(tiny_params(), TINY.replace(routing=routing), clip, device=jax.devices()[0])
        for routing in ("compact", "dense")
    ]
    (labels, segmented), (dense_labels, dense_segmented) = results
    np.testing.assert_array_equal(segmented, dense_segmented)
    assert (labels == dense_labels).mean() > 0.99


def test_prepared_kernels_lie_as_they_are_read():
    for leaf in jax.tree.leaves(networks.prepare(tiny_params(), TINY)):
        assert leaf.format.layout.major_to_minor == (gpu_order(leaf.shape) or tuple(range(leaf.ndim)))
