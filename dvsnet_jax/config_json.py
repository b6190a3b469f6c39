"""Configuration ↔ JSON: what a checkpoint says about the weights it holds.

A dataclass is written as its fields and its class name, `{"type": "FixedInterval", "interval": 10}`. Reading knows the
classes of the table below and no others: it never imports, looks up or calls anything else that a file names.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any

from dvsnet_jax import config, flownet_config, own_segmentation, policies
from dvsnet_jax.config import DVSNetConfig, OwnSegmentationConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.own_segmentation import wanted_images
from dvsnet_jax.protocols import SegmentationFunction

StoredConfig = DVSNetConfig | FlowNet2Config
"""What weights are stored with: all of DVSNet's, or those of a flow network alone."""

VERSION = 1
"""Goes up when an older reader would misread what is written; a new field with a default needs no new version."""

_CLASSES: dict[str, type] = {
    name: cls
    for module in (config, flownet_config, own_segmentation, policies)
    for name, cls in vars(module).items()
    if dataclasses.is_dataclass(cls)
    and isinstance(cls, type)
    and f"{cls.__module__}.".startswith(f"{module.__name__}.")  # policies is a folder
}
"""What a file may name: the dataclasses that these four modules define, and nothing that is made later."""


_WAY_OUT = {
    "config.policy": "Store config.replace(policy=ExpectedConfidence()), and set yours again after loading",
    "config.segmentation": "Store your network and its parameters your own way; it can be set in any configuration",
    "config.flow": "Store your network and its parameters your own way; it can be set in any configuration",
}


def to_json(config: StoredConfig) -> dict[str, Any]:
    """The configuration as plain JSON values, with the version of this form.

    Raises InputError for what JSON cannot carry back: a policy or network of your own, a number that is not finite.
    """
    return {"version": VERSION, **_write(config, "config")}


def storable(config: DVSNetConfig) -> DVSNetConfig:
    """The configuration with what stands for a segmentation network of the user's own, where it has one."""
    network = config.segmentation
    if not isinstance(network, SegmentationFunction):
        return config
    own = OwnSegmentationConfig(
        num_classes=network.num_classes, classes=network.classes, inputs=wanted_images(network),
        merged=getattr(network.function, "merged", None),
    )  # fmt: skip
    return config.replace(segmentation=own)


def from_json(data: Any) -> StoredConfig:
    """The configuration that `to_json` wrote. A field that is not there has its default: older files have fewer.

    Raises InputError, in one line, for a newer version, an unknown class or field, or a value that does not fit it.
    """
    if not isinstance(data, dict):
        raise InputError(f"a configuration is a JSON object, but this is {_short(data)}")
    fields = dict(data)
    version = fields.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"the configuration's version is {_short(version)}, but it is a number from 1 to {VERSION}")
    if version > VERSION:
        raise InputError(
            f"the configuration has version {version}, and this dvsnet-jax reads up to {VERSION}: "
            "it was written by a newer one; upgrade with pip install -U dvsnet-jax"
        )
    made = _read(fields, "config")
    if not isinstance(made, StoredConfig):
        raise InputError(
            f"the configuration is a {type(made).__name__}, but it must be a DVSNetConfig or a FlowNet2Config"
        )
    return made


def _write(value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        if _CLASSES.get(name) is not type(value):
            raise InputError(
                f"{where} is a {name}, which is not one of dvsnet_jax's own ({', '.join(_CLASSES)}), so it cannot be "
                f"stored. {_WAY_OUT.get(where, 'Use one of those')}"
            )
        fields = dataclasses.fields(value)
        return {"type": name} | {f.name: _write(getattr(value, f.name), f"{where}.{f.name}") for f in fields}
    if isinstance(value, tuple | list):
        return [_write(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value}, but only finite numbers can be stored")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"{where} is {_short(value)}, a {type(value).__name__}; give a plain Python number, string or tuple"
    )


def _read(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return _read_dataclass(value, where)
    if isinstance(value, list):
        return tuple(_read(item, f"{where}[{index}]") for index, item in enumerate(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value}, but it must be a finite number")
    return value


def _read_dataclass(data: dict[str, Any], where: str) -> Any:
    name = data.get("type")
    cls = _CLASSES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise InputError(
            f"{where} is of type {_short(name)}, which this dvsnet-jax does not know (it knows {', '.join(_CLASSES)}); "
            "a newer version may have written it"
        )
    hints = typing.get_type_hints(cls)
    written = {field.name: field.type for field in dataclasses.fields(cls)}
    values = {}
    for field, item in data.items():
        if field == "type":
            continue
        if field not in written:
            raise InputError(f"{where}: {name} has no field {_short(field)}; a newer dvsnet-jax may have written it")
        values[field] = _read(item, f"{where}.{field}")
        if not _fits(values[field], hints[field]):
            raise InputError(f"{where}.{field} is {_short(item)}, which is not a {written[field]}")
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:  # what the class itself refuses, or a field without a default
        raise InputError(f"{where}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value may stand in a field annotated so; for the annotations that configurations have."""
    kind, arguments = typing.get_origin(hint), typing.get_args(hint)
    if kind is typing.Literal:
        return value in arguments
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        each = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(each) and all(_fits(item, its) for item, its in zip(value, each, strict=True))
    if isinstance(value, bool):  # which Python counts among the ints
        return hint is bool
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
