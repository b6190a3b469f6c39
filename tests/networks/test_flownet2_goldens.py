"""The FlowNet2 family against flownet2-tf's own outputs: flows, the predictions at every level, what is in between."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest
from stored import stored

from dvsnet_jax.checkpoints.foreign.flownet2_tf import from_flownet2_tf
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.checkpoints.seeded import seeded_array
from dvsnet_jax.flow import abstract_flow_params, estimate_flow
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import pair_flow

# FlowNetC and FlowNetSD are in the default run with NVIDIA's outputs, in test_flownet2_nvidia.
HEAVY = ("FlowNetC", "FlowNetSD", "FlowNetCS", "FlowNetCSS", "FlowNet2")
NETWORKS = ["FlowNetS", *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)]
WARPS = {
    # warp_0, warp_1 … in the order of the original's calls
    "FlowNetCS": ("warped",),
    "FlowNetCSS": ("FlowNetCS/warped", "warped"),
    "FlowNet2": ("FlowNetCSS/FlowNetCS/warped", "FlowNetCSS/warped", "warped_sd", "warped_css"),
}


def intermediate(key: str, network: str, seen: dict) -> str:
    """Where among our intermediates a golden array's tensor is."""
    if found := re.fullmatch(r"flow_full\.(.+)\.ResizeBilinear", key):
        *around, last = found[1].split(".")
        if around == ["FlowNet2", "FlowNetCSS"] or last == "FlowNetSD":  # what the fusion reads
            return {"FlowNetS": "flow_css", "FlowNetSD": "flow_sd"}[last]
        # Else what a FlowNetS reads, which is `flow` of the network that stacks it on the other.
        stack = around[1:] if last == "FlowNetC" else around[1:-1]
        return "/".join([*stack, "flow"])
    if found := re.fullmatch(r"warp_(\d)", key):
        return WARPS[network][int(found[1])]
    if key == "correlation_0":
        return next(name for name in seen if name.endswith("correlation"))
    name = key.removeprefix("t.").replace(".", "/").removeprefix(f"{network}/")
    return name if name in seen else f"FlowNetS/{name}"  # a stacked network returns its last FlowNetS's predictions


@pytest.mark.parametrize("network", NETWORKS)
def test_parity_with_flownet2_tf(goldens, network):
    config = FlowNet2Config(network=network)
    variables = {name: seeded_array(name, leaf.shape) for name, leaf in flatten(abstract_flow_params(config)).items()}
    params = from_flownet2_tf(variables, config)
    del variables
    first, second = (goldens.image(f"misc/chairs0_img{i}_256x320")[None] for i in (0, 1))
    name = f"flownet2_{network.removeprefix('FlowNet')}"
    arrays, about = goldens.arrays(name), goldens.json(name)

    flow, seen = jax.jit(pair_flow, static_argnums=3)(params, first, second, config)
    assert np.abs(stored(np.asarray(flow), about["flow"]["stored"]) - arrays.pop("flow")).max() < 1e-4  # pixels
    for key, expected in arrays.items():
        ours = intermediate(key, network, seen)
        error = np.abs(stored(np.asarray(seen[ours]), about[key]["stored"]) - expected).max()
        assert error <= 2e-5 * max(1.0, about[key]["std"]), f"{key} ({ours}): {error:.2e}"
    if network == "FlowNetC":
        np.testing.assert_allclose(estimate_flow(params, first, second, network="FlowNetC"), flow, atol=1e-5)
