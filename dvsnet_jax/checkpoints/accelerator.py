"""What DVSNet adds to a segmentation network of the user's own, flow and decision network, as a checkpoint.

save_accelerator("run/weights", params, config, network)             # keeps the network too: checkpoints.load
save_accelerator("run/weights", params, config)                      # without it:
params, config = load_accelerator("run/weights", network, network_params)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.bundled import bundled_name, load_bundled
from dvsnet_jax.checkpoints.own.network import FOLDER, OwnNetwork, open_network, with_kept_weights
from dvsnet_jax.checkpoints.store import load_any, place_of, save
from dvsnet_jax.config import DVSNetConfig, OwnSegmentationConfig
from dvsnet_jax.config_json import storable
from dvsnet_jax.errors import InputError
from dvsnet_jax.protocols import SegmentationFunction


def save_accelerator(
    path: str | Path,
    params: networks.Params,
    config: DVSNetConfig,
    network: OwnNetwork | None = None,
    *,
    beside: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Writes flow and decision network and the configuration; of the segmentation network what `network` says.

    With `network` (`open_network`) its weights are written beside them, in safetensors, and what it is of: `load` then
    gives all. Without, the segmentation network is left out. `beside` is `save`'s. Raises InputError as that does.
    """
    stored = config.replace(segmentation=network.stored) if network else _without(config)
    own: networks.Params = {name: params[name] for name in ("flow", "decision") if name in params}

    def more(folder: Path) -> None:
        beside(folder)
        if network is not None and network.write is not None:
            (folder / FOLDER).mkdir()
            network.write(folder / FOLDER)

    save(path, own, stored, beside=more)


def _without(config: DVSNetConfig) -> DVSNetConfig:
    """What stands for the segmentation network, whatever it is."""
    if isinstance(config.segmentation, SegmentationFunction):
        return storable(config)
    return config.replace(segmentation=OwnSegmentationConfig(num_classes=config.num_classes))


def load_accelerator(
    path: str | Path, segmentation: SegmentationFunction, segmentation_params: Any
) -> tuple[networks.Params, DVSNetConfig]:
    """Parameters and configuration with the network that they were trained around.

    Where its classes were merged for that (`networks.merge_classes`), so they are again. Raises InputError as `load`
    does, for weights that have a segmentation network themselves, and for another number of classes.
    """
    params, config = load_bundled("carried", name) if (name := bundled_name(path)) else load_any(path)
    if not isinstance(config, DVSNetConfig) or not isinstance(config.segmentation, OwnSegmentationConfig):
        raise InputError(f"{path}: has a segmentation network of its own; use checkpoints.load")
    stored = config.segmentation
    if stored.merged and stored.classes and networks.merged_classes(segmentation) is None:
        if segmentation.num_classes != len(stored.merged):
            raise InputError(
                f"{path}: was trained around a network of {len(stored.merged)} classes, which became "
                f"{config.num_classes}, and this one has {segmentation.num_classes}; give the network that it was "
                "trained around"
            )
        segmentation = networks.merge_classes(segmentation, stored.merged, stored.classes)
    if config.num_classes != segmentation.num_classes:
        raise InputError(
            f"{path}: was trained around a network of {config.num_classes} classes, and this one has "
            f"{segmentation.num_classes}; give the network that it was trained around"
        )
    return {**params, "segmentation": segmentation_params}, config.replace(segmentation=segmentation)


def load_around(path: str | Path, spec: str) -> tuple[networks.Params, DVSNetConfig]:
    """The same with the network named as on a command line (`open_network`), and with the weights that the checkpoint
    keeps of it. Raises InputError."""
    network = with_kept_weights(open_network(spec), place_of(path) / FOLDER)
    return load_accelerator(path, network.function, network.params)
