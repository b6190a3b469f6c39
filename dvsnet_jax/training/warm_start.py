"""What training begins from: fresh parameters, ImageNet's trunk, or a checkpoint, maybe of other classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.foreign.efficientnet import imagenet_file, read_efficientnet_trunk, with_trunk
from dvsnet_jax.checkpoints.matching import flatten, unflatten, with_flow
from dvsnet_jax.config import (
    CarriedMotionConfig,
    DeepLabLiteConfig,
    DeepLabPairConfig,
    DeepLabV2Config,
    DVSNetConfig,
    LocalDecisionConfig,
)
from dvsnet_jax.errors import InputError
from dvsnet_jax.training.restoring import restore

SCALE_WIDTH = 16
"""Channels of a new network for the scale field of carried motion."""
PRESETS: dict[str, Callable[[int], DVSNetConfig]] = {
    "street": lambda classes: DVSNetConfig.street(num_classes=classes),
    "street-lite2": lambda classes: DVSNetConfig.street_lite2(num_classes=classes),
    "cityscapes": lambda classes: _with_classes(DVSNetConfig.cityscapes(), classes),
    "deeplab-v2": lambda classes: DVSNetConfig(segmentation=DeepLabV2Config(num_classes=classes)),
}
"""Configurations by name, for a number of classes."""


def begin(
    restore_from: str | None, preset: Callable[[int], DVSNetConfig], num_classes: int, seed: int
) -> tuple[networks.Params, DVSNetConfig, str]:
    """Parameters, configuration, and what to tell about them.

    `restore_from` is a checkpoint, ours or the original's in TensorFlow, whose configuration is then taken (`preset`
    is not); or 'imagenet', or a file .pth of its EfficientNet-Lite; or None.
    """
    if restore_from is None or restore_from == "imagenet" or restore_from.endswith(".pth"):
        config = preset(num_classes)
        params = networks.init_params(jax.random.key(seed), config)
        if restore_from is None:
            return params, config, "all parameters are fresh"
        segmentation = config.segmentation
        if not isinstance(segmentation, DeepLabLiteConfig):
            raise InputError(f"{restore_from}: is for DeepLab-Lite's trunk, which {type(segmentation).__name__} lacks")
        file = imagenet_file(segmentation.trunk) if restore_from == "imagenet" else Path(restore_from)
        trunk = read_efficientnet_trunk(file, segmentation.trunk)
        return with_trunk(params, trunk), config, f"the trunk is {file.name}'s, the rest fresh"
    params, config = restore(restore_from)
    if isinstance(config.segmentation, DeepLabPairConfig):
        raise InputError(
            f"{restore_from}: has a pair of segmentation networks, which are trained one by one; train either, and put "
            "them together with train/pair.py"
        )
    if config.num_classes == num_classes:
        return params, config, ""
    return _other_classes(params, _with_classes(config, num_classes), seed, restore_from)


def restore_with_flow(path: str) -> tuple[networks.Params, DVSNetConfig]:
    """A checkpoint as it is. Raises InputError for one without a flow network, where that is to learn."""
    params, config = restore(path)
    if config.carries_motion:
        raise InputError(f"{path}: has no flow network to train, motion is given with its frames; take other weights")
    return params, config


def carrying(params: networks.Params, config: DVSNetConfig) -> tuple[networks.Params, DVSNetConfig]:
    """The same for motion that is given with the frames and carried: in place of the flow network a scale field's, and
    the local decision network, both fresh."""
    config = config.replace(flow=CarriedMotionConfig(scale_width=SCALE_WIDTH), decision=LocalDecisionConfig())
    fresh = networks.init_params(jax.random.key(0), config)
    return {**fresh, "segmentation": params["segmentation"]}, config


def begin_any(restore_from: str | None, preset: str, seed: int) -> tuple[networks.Params, DVSNetConfig]:
    """`restore_with_flow`, or a preset's networks, fresh, for Cityscapes' 19 classes."""
    if restore_from:
        return restore_with_flow(restore_from)
    params, config, _ = begin(None, PRESETS[preset], 19, seed)
    return params, config


def _with_classes(config: DVSNetConfig, num_classes: int) -> DVSNetConfig:
    network: Any = config.segmentation  # with a number of classes of its own, as all but pairs have
    return config.replace(segmentation=dataclasses.replace(network, num_classes=num_classes), class_offsets=())


def _other_classes(
    params: networks.Params, config: DVSNetConfig, seed: int, source: str
) -> tuple[networks.Params, DVSNetConfig, str]:
    """The parameters with what depends on the number of classes fresh: the last layers."""
    old, new = flatten(params), flatten(networks.init_params(jax.random.key(seed), config))
    if old.keys() != new.keys():
        raise InputError(f"{source}: has other layers than {config}; this is another network")
    fresh = [name for name in new if old[name].shape != new[name].shape]
    kept: dict[str, Any] = {name: new[name] if name in fresh else old[name] for name in new}
    return with_flow(unflatten(kept), config), config, f"fresh for {config.num_classes} classes: {', '.join(fresh)}"
