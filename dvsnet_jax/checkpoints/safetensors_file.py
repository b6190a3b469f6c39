"""Our own weights as one .safetensors file, the configuration in its metadata: for other programs, hubs and people.

    segmentation/conv1/weights   float32   every parameter by the name that messages, checkpoints and `flatten` have for
    flow/conv1/weights           …         it: network, layer, and what of it; convolutions are [height, width, in, out]
    decision/cells/biases        …
    __metadata__                 {"dvsnet_jax": '{"config": what `config_json` writes, "sha256": of all the above}'}

All is in one entry of the metadata, as the library writes several in another order each time, and the same weights are
to be the same bytes. Names stay as they are from version to version: a checkpoint's arrays have them too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.config_json import StoredConfig, from_json, storable, to_json
from dvsnet_jax.errors import InputError, first_line, in_brief
from dvsnet_jax.media.atomic import atomic_path

SUFFIX = ".safetensors"
ENTRY = "dvsnet_jax"
"""Of the metadata."""
_INSTALL = "safetensors files need a library: pip install safetensors"


def is_safetensors(path: str | Path) -> bool:
    """Whether a path is called as such a file is; a folder is none."""
    return str(path).endswith(SUFFIX) and not Path(path).is_dir()


def save_safetensors(path: str | Path, params: networks.Params, config: StoredConfig) -> int:
    """Writes parameters and configuration as one file; how many bytes it has. Of a segmentation network of the user's
    own it has the name alone, as checkpoints without one.

    Raises InputError for another suffix, a configuration that cannot be stored, and where it cannot be written.
    """
    if not is_safetensors(path):
        raise InputError(f"{path}: expected a file that ends in {SUFFIX}; choose such a name")
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise InputError(_INSTALL) from error
    if isinstance(config, DVSNetConfig) and config is not (stored := storable(config)):
        config, params = stored, {name: part for name, part in params.items() if name != "segmentation"}
    arrays = {name: np.asarray(array, order="C") for name, array in flatten(jax.device_get(params)).items()}
    text = json.dumps(to_json(config))
    said = json.dumps({"config": text, "sha256": _sum(text, arrays)})
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={ENTRY: said})
    return Path(path).stat().st_size


def read_safetensors(path: str | Path) -> tuple[dict[str, jax.Array], StoredConfig]:
    """Arrays by flat name, and configuration, of a file that `save_safetensors` wrote.

    Raises InputError, in one line, for one that is missing, damaged, of another program or of a newer version.
    """
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise InputError(_INSTALL) from error
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; 'dvsnet export --format safetensors' writes one")
    try:
        with safe_open(path, framework="numpy") as file:
            said = (file.metadata() or {}).get(ENTRY)
            arrays: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()} if said else {}  # noqa: SIM118
    except Exception as error:  # its own SafetensorError, OSError, and numpy's for types that it lacks
        raise InputError(
            f"{path}: is no safetensors file, or a damaged one ({first_line(error)}); copy it again"
        ) from error
    if said is None:
        raise InputError(
            f"{path}: holds weights of another program, without DVSNet's configuration; --segmentation takes networks "
            "of others"
        )
    try:
        record = json.loads(said)
        whole = record["sha256"] == _sum(record["config"], arrays)
        config = from_json(json.loads(record["config"])) if whole else None
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: its configuration cannot be read ({in_brief(error)}); export it again") from error
    if config is None:
        raise InputError(f"{path}: is damaged, its checksum does not fit; copy it again")
    return jax.device_put(arrays), config


def _sum(text: str, arrays: Mapping[str, Any]) -> str:
    total = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        total.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        total.update(arrays[name].tobytes())
    return total.hexdigest()
