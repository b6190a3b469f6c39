"""Whether weights were made for the networks that somebody asks for."""

from __future__ import annotations

import dataclasses
from typing import Any

from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError

NETWORKS = ("segmentation", "flow", "decision")
"""The fields that weights belong to. The others (policy, overlap, regions, routing …) may differ from use to use."""


def check_agreement(asked: DVSNetConfig, stored: DVSNetConfig, *, source: str) -> None:
    """Raise InputError, naming every field that differs, unless both configurations have the same networks."""
    lines = [line for name in NETWORKS for line in _differences(getattr(asked, name), getattr(stored, name), name)]
    if lines:
        message = f"{source}: weights for another configuration. -: asked for, +: stored with the weights."
        raise InputError("\n".join([message, *(f"    {line}" for line in lines)]))


def _differences(asked: Any, stored: Any, where: str) -> list[str]:
    if asked == stored:
        return []
    if dataclasses.is_dataclass(asked) and type(asked) is type(stored):
        names = [field.name for field in dataclasses.fields(asked)]
        return [
            line
            for name in names
            for line in _differences(getattr(asked, name), getattr(stored, name), f"{where}.{name}")
        ]
    return [f"- {where} = {asked}", f"+ {where} = {stored}"]
