"""The weights that come with the package, as half-precision numbers: `DVSNetConfig.street()`'s and `street_large()`'s.

    params, config = load_bundled()
    params, config = load_bundled("carried", "street-large")

A file is an npz: `config.json` (UTF-8 bytes) and one float16 array for each parameter. `docs/model_card.md` says
what they were trained on, how good they are, and under which licence they may be used.
"""

from __future__ import annotations

import hashlib
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.matching import check_shapes, flatten, unflatten, with_flow
from dvsnet_jax.config import DeepLabPairConfig, DVSNetConfig
from dvsnet_jax.config_json import from_json, to_json
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path

BUNDLE = "street.npz"
"""Its name, in the package's folder `weights`: all networks, the flow network among them."""
CARRIED = "street_carried.npz"
"""Scale field, decision network and configuration for carried motion, around the same segmentation network."""
LARGE = "street_large.npz"
"""Scale field, decision network and configuration for carried motion around the heavier pair of segmentation networks,
and these; what the first has in common with the other file's network is left out."""
BundledName = Literal["street", "street-large"]
"""What stands for them where a checkpoint's path may."""
_CONFIG = "config.json"
_SUM = "sha256"


def load_bundled(
    motion: Literal["paper", "carried"] = "paper", name: BundledName = "street"
) -> tuple[networks.Params, DVSNetConfig]:
    """Parameters, float32 on the default device, and configuration of the package's own weights.

    `paper` finds motion by a flow network, from the frames alone. `carried`, which the commands use, is given it with
    each frame (`CarriedMotionConfig`) and is better and faster; `street-large` has that alone. Raises InputError where
    a file is missing (an incomplete installation) or damaged, and for a flow network of `street-large`.
    """
    if name == "street-large":
        if motion == "paper":
            raise InputError(
                "street-large has no flow network, it carries motion: load_bundled('carried', 'street-large'), and any "
                "--motion but paper; or take street"
            )
        return _around_bundled(LARGE)
    if motion == "paper":
        return read_bundle(_content(BUNDLE), source=BUNDLE)
    return _around_bundled(CARRIED)


def _around_bundled(name: str) -> tuple[networks.Params, DVSNetConfig]:
    """A file with what lies around `BUNDLE`'s segmentation network: the rest of DVSNet, and maybe another beside it."""
    whole, _ = _parts(_content(BUNDLE), source=BUNDLE)
    rest, config = _parts(_content(name), source=name)
    network = whole["segmentation"]
    if "segmentation" in rest:
        own = flatten(rest["segmentation"])
        network = unflatten(flatten({"first": network}) | own)
    return _checked({**rest, "segmentation": network}, config, source=f"{BUNDLE} and {name}")


def without_bundled(params: networks.Params, config: DVSNetConfig) -> networks.Params:
    """The part of `params` that `CARRIED` or `LARGE` holds: of a pair of segmentation networks the second and what the
    first has otherwise than `BUNDLE`'s.

    Raises InputError where it is no pair and not `BUNDLE`'s.
    """
    rest: dict[str, Any] = {entry: params[entry] for entry in ("flow", "decision") if entry in params}
    here = _parts(_content(BUNDLE), source=BUNDLE)[0]["segmentation"]
    if isinstance(config.segmentation, DeepLabPairConfig):
        others = _others(params["segmentation"], {"first": here})
        return rest | {"segmentation": unflatten(others)}
    if others := _others(params["segmentation"], here):
        raise InputError(
            f"{next(iter(others))}: is not as in {BUNDLE}, whose segmentation network these weights have to be around"
        )
    return rest


def _others(network: networks.Params, bundled: networks.Params) -> dict[str, Any]:
    """What of a network is not as bundled, once both are rounded to float16; flat."""
    wanted = flatten(bundled)
    return {
        name: array
        for name, array in flatten(jax.device_get(network)).items()
        if name not in wanted or not np.array_equal(np.float16(array), np.float16(wanted[name]))
    }


def bundled_name(path: str | Path | None) -> BundledName | None:
    """Which of the package's own weights `path` stands for: their name, and nothing is there by it; None for others."""
    return next((name for name in get_args(BundledName) if str(path) == name and not Path(name).exists()), None)


def _content(name: str) -> bytes:
    place = resources.files("dvsnet_jax") / "weights" / name
    try:
        return place.read_bytes()
    except OSError as error:
        raise InputError(
            f"{place}: the package's weights are missing; install dvsnet-jax again, or pass weights of your own"
        ) from error


def read_bundle(content: bytes, *, source: str) -> tuple[networks.Params, DVSNetConfig]:
    """What `write_bundle` wrote. Raises InputError for anything else."""
    return _checked(*_parts(content, source=source), source=source)


def _checked(params: networks.Params, config: DVSNetConfig, *, source: str) -> tuple[networks.Params, DVSNetConfig]:
    check_shapes(flatten(params), networks.abstract_params(config), source=source)
    return with_flow(params, config), config


def _parts(content: bytes, *, source: str) -> tuple[networks.Params, DVSNetConfig]:
    """The same for parameters that may be a part of the configuration's."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        said = bytes(arrays.pop(_SUM)).decode()
        text = bytes(arrays.pop(_CONFIG))
    except Exception as error:  # zip and npy fail in many ways
        raise InputError(f"{source}: is damaged ({error}); install dvsnet-jax again") from error
    if said != _sum(text, arrays):
        raise InputError(f"{source}: is damaged, its checksum does not fit; install dvsnet-jax again")
    config = from_json(json.loads(text))
    if not isinstance(config, DVSNetConfig):
        raise InputError(f"{source}: holds a {type(config).__name__}, expected all of DVSNet")
    # Put there as they are: a conversion would be compiled for every shape.
    return unflatten(jax.device_put({name: array.astype(np.float32) for name, array in arrays.items()})), config


def write_bundle(path: str | Path, params: networks.Params, config: DVSNetConfig) -> int:
    """Writes parameters, rounded to float16, and configuration as one file; how many bytes it has.

    Raises InputError for a number that float16 cannot hold, and where the file cannot be written.
    """
    arrays: dict[str, Any] = {}
    for name, array in flatten(jax.device_get(params)).items():
        with np.errstate(over="ignore"):  # looked at below
            arrays[name] = np.asarray(array).astype(np.float16)
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"{name}: has numbers past float16's 65504 or not finite; these weights cannot be bundled")
    text = json.dumps(to_json(config)).encode()
    whole: dict[str, Any] = {_CONFIG: np.frombuffer(text, np.uint8), **arrays}
    whole[_SUM] = np.frombuffer(_sum(text, arrays).encode(), np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **whole)
    return Path(path).stat().st_size


def _sum(text: bytes, arrays: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256(text)
    for name in sorted(arrays):
        total.update(name.encode())
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()
