"""The record in each of our checkpoints, `config/dvsnet.json`: the configuration, and what parameters there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dvsnet_jax import config_json
from dvsnet_jax.config_json import StoredConfig
from dvsnet_jax.errors import InputError, in_brief

NAME = "dvsnet.json"
FORMAT = "dvsnet_jax checkpoint"
TRAINING = "dvsnet_jax training state"
"""What the record of a training under way says in its place (`checkpoints.training_state`)."""


def make_record(arrays: Mapping[str, np.ndarray], config: StoredConfig) -> dict[str, Any]:
    """The record of parameters, by their flat names, and their configuration. Raises InputError as `to_json` does."""
    parameters = {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in arrays.items()}
    return {"format": FORMAT, "config": config_json.to_json(config), "params": parameters}


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the checkpoint in `folder`; InputError where there is none, or it is no JSON of ours."""
    if not folder.is_dir():
        if folder.exists():
            raise InputError(
                f"{folder}: is a file, not a checkpoint's folder; `dvsnet import` makes one from TensorFlow's files, "
                "and a program that `dvsnet export` wrote goes to `dvsnet segment --program`"
            )
        raise InputError(
            f"{folder}: there is no such checkpoint; `dvsnet import` makes one from TensorFlow's files, and street and "
            "street-large stand for those that come with the package"
        )
    file = folder / "config" / NAME
    try:
        record = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: is not a checkpoint of dvsnet_jax, it has no config/{NAME}; "
            + (
                f"it is a run's folder, whose weights are {inside}"
                if (inside := folder / "weights").is_dir()
                else "`dvsnet import` makes one from TensorFlow's files"
            )
        ) from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is damaged, it is not JSON ({error}); copy the checkpoint again") from error
    if isinstance(record, dict) and record.get("format") == TRAINING:
        raise InputError(
            f"{folder}: is the state of a training under way, not weights; start the training's command again, which "
            f"goes on and writes {folder.parent / 'weights'} at its end"
        )
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{file}: does not say that it is a {FORMAT}")
    return record


def recorded_config(folder: Path, record: dict[str, Any]) -> StoredConfig:
    """The configuration in a record; InputError where it is damaged or of a newer version."""
    try:
        return config_json.from_json(record.get("config"))
    except InputError as error:
        raise InputError(f"{folder / 'config' / NAME}: {error}") from error


def recorded_shapes(folder: Path, record: dict[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes and types of the parameters in a record, by flat name."""
    try:
        return {
            name: jax.ShapeDtypeStruct(tuple(int(n) for n in entry["shape"]), np.dtype(entry["dtype"]))
            for name, entry in record["params"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{folder / 'config' / NAME}: its list of parameters is damaged ({in_brief(error)})"
        ) from error
