"""Weights of a FlowNet2 network from wherever they are: our checkpoint, flownet2-tf's files, NVIDIA's `.pth.tar`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from dvsnet_jax.checkpoints.foreign.flownet2_tf import from_flownet2_tf
from dvsnet_jax.checkpoints.foreign.nvidia import from_nvidia, read_nvidia
from dvsnet_jax.checkpoints.foreign.tensorflow_files import is_tensorflow, read_tensorflow
from dvsnet_jax.checkpoints.store import load_any
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FLOW_NETWORKS, FLOWNET2_TF, NVIDIA, FlowNet2Config

_TORCH_SUFFIXES = (".pth.tar", ".pth", ".pt")


def is_torch(path: str | Path) -> bool:
    """Whether a path is named like a file of torch's (`.pth.tar`, `.pth`, `.pt`) and no folder, or is a file that holds
    what torch writes, as Lightning's `.ckpt`."""
    path = Path(path)
    if path.is_dir():
        return False
    if path.name.lower().endswith(_TORCH_SUFFIXES):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def import_flow(path: str | Path, *, network: str | None) -> tuple[dict[str, Any], FlowNet2Config]:
    """Parameters and configuration from a foreign file: NVIDIA's `.pth.tar`, else flownet2-tf's TensorFlow checkpoint.

    The kind of file decides the convention (`NVIDIA` or `FLOWNET2_TF`); which network it is of has to be said: one of
    FLOW_NETWORKS. Raises InputError for a file that is missing or damaged, or of another network.
    """
    if network not in FLOW_NETWORKS:
        came = "no network is named" if network is None else f"{network} is no network of the FlowNet2 family"
        raise InputError(f"{path}: {came}; say which one its weights are of (--network): {', '.join(FLOW_NETWORKS)}")
    if is_torch(path):
        config = FlowNet2Config(network=network, convention=NVIDIA)
        return from_nvidia(read_nvidia(path), config, source=str(path)), config
    config = FlowNet2Config(network=network, convention=FLOWNET2_TF)
    return from_flownet2_tf(read_tensorflow(path), config, source=str(path)), config


def load_flow(path: str | Path, *, network: str | None = None) -> tuple[dict[str, Any], FlowNet2Config]:
    """Parameters and configuration for `estimate_flow`: our checkpoint of a flow network, or what `import_flow` reads.

    `network` is needed for foreign files, and checked for ours. Raises InputError.
    """
    if is_torch(path) or is_tensorflow(path):
        return import_flow(path, network=network)
    params, config = load_any(path)
    if not isinstance(config, FlowNet2Config):
        if not isinstance(config.flow, FlowNet2Config):
            raise InputError(
                f"{path}: its flow network is {type(config.flow).__name__.removesuffix('Config')}, which serves DVSNet "
                "alone; give weights of the FlowNet2 family"
            )
        config, params = config.flow, params["flow"]
        params = {config.network: params[config.network]}
    if network not in (None, config.network):
        raise InputError(f"{path}: holds {config.network}, not {network}; leave --network out, or give other weights")
    return params, config
