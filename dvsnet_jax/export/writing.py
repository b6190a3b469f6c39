"""Exporting: the frame step lowered for several platforms into one file, with its weights.

export_program("street.dvsnet", params, config, height=1024, width=2048)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np

import dvsnet_jax
from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.config_json import to_json
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.label_sets import named_palette
from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.export.lowering import check_platforms, lower, lowered_text
from dvsnet_jax.export.step_by_name import named_step
from dvsnet_jax.program.container import CONFIG, PROGRAM, check_replaceable, write_container
from dvsnet_jax.video import region_grid

PLATFORMS = ("cpu", "cuda", "tpu")
"""What a program is lowered for if nothing else is said."""


def export_program(
    path: str | Path,
    params: networks.Params,
    config: DVSNetConfig,
    *,
    height: int,
    width: int,
    platforms: Sequence[str] = PLATFORMS,
    streams: int | None = None,
    precision: networks.Precision = "float32",
    classes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Writes the prepared frame step for frames of this size as a program that `program.load_program` reads.

    Routing, policy and restarts are in it; a network of your own may be, its parameters become weights in the file.

    Args:
      path: the file; a program that is there is replaced once the new one is whole.
      platforms: of "cpu", "cuda", "rocm", "tpu"; none of them needs to be here.
      streams: how many videos step together; None leaves it open, which a network of your own must support
        (`jax.export`'s symbolic shapes: no Python code may branch on the number of regions).
      precision: the segmentation network's, as `networks.prepare` has it.
      classes: their names; if not given those that your own network has, or Cityscapes' if there are 19.

    Returns the manifest. Raises `InputError` for sizes that the configuration cannot take, a custom call that one of
    the platforms cannot run, a policy that looks at this machine's clock, and a file that cannot be written.
    """
    check_platforms(platforms)
    _check_policy(config.policy)
    check_replaceable(path)
    names = _class_names(classes or getattr(config.segmentation, "classes", None), config.num_classes)
    params = networks.prepare(params, config, precision=precision)
    try:
        grid = region_grid(config, height, width)
        fixed = named_step(params, config, height, width, platforms=platforms, streams=streams or 1)
    except ValueError as error:
        raise InputError(f"cannot be exported: {error}") from error
    for platform in platforms:
        lowered_text(fixed, platform)
    try:
        step = named_step(params, config, height, width, platforms=platforms, streams=streams)
        exported = lower(step, platforms)
    except Exception as error:  # what a symbolic dimension fails on: a network of the user's own, mostly
        if streams is not None:
            raise
        raise InputError(
            f"with the number of streams left open the step does not lower ({first_line(error)[:200]}); name it: "
            "--streams 1"
        ) from error
    weights, state, frames, restart, *motion = step.arguments
    manifest = {
        "versions": {"dvsnet_jax": dvsnet_jax.__version__, "jax": jax.__version__, "jaxlib": jaxlib.__version__},
        "calling_convention_version": exported.calling_convention_version,
        "platforms": list(exported.platforms),
        "frame_size": [height, width],
        "streams": streams,
        "regions": list(config.regions),
        "overlap": config.overlap,
        "region_size": [grid.region_height, grid.region_width],
        "routing": config.routing,
        "chunk": step.chunks,
        "precision": precision,
        "policy": _plain(config.policy),
        "motion": "given" if motion else "network" if config.searches_motion else "paper",
        "classes": [
            {"name": name, "color": color.tolist()}
            for name, color in zip(names, named_palette(config.num_classes, names), strict=False)
        ],
        "inputs": {
            "weights": _weights(weights, step.gpu_orders),
            "state": _signature(state),
            "frames": _said(frames),
            "restart": _said(restart),
            **({"motion": _signature(motion[0])} if motion else {}),
        },
        "outputs": {
            name: _signature(part)
            for name, part in zip(
                ("state", "result"), jax.tree.unflatten(exported.out_tree, exported.out_avals), strict=True
            )
        },
    }
    try:
        config_text = json.dumps(to_json(config), indent=1)
    except InputError:  # a network or policy of the user's own, which only its own program can read
        config_text = json.dumps(_plain(config), indent=1)
    parts = {PROGRAM: bytes(exported.serialize()), CONFIG: config_text.encode()}
    write_container(path, manifest, parts, {name: np.asarray(array) for name, array in step.weights.items()})
    return manifest


def _check_policy(policy: Any) -> None:
    if getattr(policy, "needs_host", False):
        raise InputError(
            f"{policy} is steered by this machine's clock from outside the program, so it cannot be exported; use one "
            "that decides inside it, such as a budget (--budget) or a limit (--limit)"
        )


def _class_names(classes: Sequence[str] | None, count: int) -> Sequence[str]:
    if classes is None:
        return CLASSES if count == len(CLASSES) else [f"class {index}" for index in range(count)]
    if len(classes) != count:
        raise InputError(f"{len(classes)} names of classes, but the network has {count} classes")
    return classes


def _signature(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: _said(array) for name, array in arrays.items()}


def _weights(arrays: dict[str, Any], orders: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """… and how they lie in a GPU's memory, where that is not as in the file."""
    laid = {name: {"gpu_order": list(order)} for name, order in orders.items()}
    return {name: {**said, **laid.get(name, {})} for name, said in _signature(arrays).items()}


def _said(array: Any) -> dict[str, Any]:
    return {"shape": [size if isinstance(size, int) else str(size) for size in array.shape], "dtype": str(array.dtype)}


def _plain(value: Any) -> Any:
    """Any configuration as JSON, to be read by people: what is no plain value by its name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return getattr(value, "__qualname__", type(value).__qualname__)
