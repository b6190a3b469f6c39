"""What DVSNet adds to a segmentation network of the user's own, flow and decision network, as a checkpoint without it.

save_accelerator("run/weights", params, config)                      # config.segmentation: a SegmentationFunction
params, config = load_accelerator("run/weights", network, network_params)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.store import load, save
from dvsnet_jax.config import DVSNetConfig, OwnSegmentationConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.protocols import SegmentationFunction


def save_accelerator(path: str | Path, params: networks.Params, config: DVSNetConfig) -> None:
    """Writes flow and decision network and the configuration; the segmentation network is left out.

    Raises InputError as `save` does.
    """
    stored = config.replace(segmentation=OwnSegmentationConfig(num_classes=config.num_classes))
    save(path, {name: params[name] for name in ("flow", "decision") if name in params}, stored)


def load_accelerator(
    path: str | Path, segmentation: SegmentationFunction, segmentation_params: Any
) -> tuple[networks.Params, DVSNetConfig]:
    """Parameters and configuration with the network that they were trained around.

    Raises InputError as `load` does, for weights that have a segmentation network themselves, and for another number
    of classes.
    """
    params, config = load(path)
    if not isinstance(config.segmentation, OwnSegmentationConfig):
        raise InputError(f"{path}: has a segmentation network of its own; use checkpoints.load")
    if config.num_classes != segmentation.num_classes:
        raise InputError(
            f"{path}: was trained around a network of {config.num_classes} classes, and this one has "
            f"{segmentation.num_classes}; give the network that it was trained around"
        )
    return {**params, "segmentation": segmentation_params}, config.replace(segmentation=segmentation)
