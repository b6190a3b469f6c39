"""NVIDIA/flownet2-pytorch's files (`FlowNet2_checkpoint.pth.tar` and its siblings) → parameters of the FlowNet2 family.

    state_dict = read_nvidia("FlowNet2-C_checkpoint.pth.tar")
    params = from_nvidia(state_dict, FlowNet2Config(network="FlowNetC", convention=NVIDIA))

The published files are Caffe's weights with their image channels turned round to RGB. The files of FlowNet2, CSS and CS
hold each network under a prefix; those of C, S and SD have none. CSS-ft-sd has the names of CSS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dvsnet_jax.checkpoints.foreign.torch_files import as_arrays, read_torch
from dvsnet_jax.checkpoints.foreign.wrappers import state_dict_in, without_wrappers
from dvsnet_jax.checkpoints.matching import flatten, match
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params

_PREFIXES = {
    # the end of our scope → the prefix that the network has there
    "FlowNetCS/FlowNetC": "flownetc.",
    "FlowNetCS/FlowNetS": "flownets_1.",
    "FlowNetCSS/FlowNetS": "flownets_2.",
    "FlowNet2/FlowNetSD": "flownets_d.",
    "FlowNet2": "flownetfusion.",
}


def nvidia_name(name: str) -> str:
    """Our name → NVIDIA's: 'FlowNetCS/FlowNetC/deconv5/weights' → 'flownetc.deconv5.0.weight'."""
    *scopes, layer, leaf = name.split("/")
    prefix = next((theirs for ours, theirs in _PREFIXES.items() if "/".join(scopes).endswith(ours)), "")
    layer = layer.removeprefix("fuse_").replace("interconv", "inter_conv")
    layer = re.sub(r"upsample_flow(\d)to(\d)", r"upsampled_flow\1_to_\2", layer)
    if not layer.startswith(("predict_flow", "upsampled_flow")):
        layer += ".0"  # the convolution in a Sequential with its activation
    return f"{prefix}{layer}.{ {'weights': 'weight', 'biases': 'bias'}[leaf] }"


def from_nvidia(
    state_dict: Mapping[str, np.ndarray], config: FlowNet2Config, *, source: str = "the given state_dict"
) -> dict[str, Any]:
    """Parameters from NVIDIA's, {'flownetc.conv1.0.weight': array}; `config` says which network they are of.

    Kernels, [out, in, kh, kw] of a convolution and [in, out, kh, kw] of a transposed one, become [kh, kw, in, out] and
    [kh, kw, out, in]: the same transposition. The convention must have NVIDIA's biases; give `NVIDIA` itself, or what
    comes out is a flow that is wrong by pixels.

    What wrappers put before all names (`foreign.wrappers`) is left out.

    Raises InputError, with lists, for names that are unknown or missing and for wrong shapes, as they are transposed
    (`matching.match`).
    """
    target = abstract_flow_params(config)
    ours = {nvidia_name(name): name for name in flatten(target)}
    arrays = {name: np.asarray(array) for name, array in without_wrappers(state_dict, ours).items()}
    return match(
        {name: array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for name, array in arrays.items()},
        target,
        rename=lambda name: ours.get(name, name),
        source=source,
    )


def read_nvidia(path: str | Path) -> dict[str, np.ndarray]:
    """The state_dict of a `.pth.tar` file, {name: array in torch's layout}, wherever trainings put it, without running
    what else the file may contain.

    Takes all three containers that torch has written: of Python 2 (up to 0.3), of Python 3 until 1.5, and today's zip.
    Despite the name none of them is a tar. Needs torch: `pip install 'dvsnet-jax[import]'`.

    Raises InputError where torch is missing, or the file is missing, damaged or holds no state_dict of arrays.
    """
    content = read_torch(path)
    state_dict = state_dict_in(content, source=str(path))
    if state_dict is content and isinstance(content.get("state_dict"), Mapping):
        state_dict = content["state_dict"]  # without a tensor in it, which is said below
    if state_dict is content and not any(hasattr(each, "shape") for each in content.values()):
        raise InputError(
            f"{path}: holds a dict with {sorted(map(str, content))[:5]} and no weights; NVIDIA's files are a dict with "
            "'state_dict'"
        )
    return as_arrays(state_dict, source=str(path))
