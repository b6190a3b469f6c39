"""Our own checkpoints: a folder that orbax writes, the configuration beside the weights.

    OUT/config/dvsnet.json   the configuration, and every parameter's name, shape and type
    OUT/params/…             the arrays
    OUT/segmentation/…       a segmentation network of the user's own, where one is kept: `checkpoints.own`
    OUT/keep.json            what limits keep, where that was measured: `evaluation.policies.promise`
    OUT/checksums.json       of all the files above

A save is whole or it never happened, and loading runs nothing that a file names: there are arrays and JSON, no more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.checkpoints import checksums
from dvsnet_jax.checkpoints.atomic_folder import replacing, standing
from dvsnet_jax.checkpoints.bundled import bundled_name, load_bundled
from dvsnet_jax.checkpoints.compatibility import check_agreement
from dvsnet_jax.checkpoints.matching import check_shapes, flatten, unflatten, with_flow
from dvsnet_jax.checkpoints.own.network import FOLDER, kept_network
from dvsnet_jax.checkpoints.record import NAME, make_record, read_record, recorded_config, recorded_shapes
from dvsnet_jax.checkpoints.safetensors_file import is_safetensors, read_safetensors
from dvsnet_jax.config import DVSNetConfig, OwnSegmentationConfig
from dvsnet_jax.config_json import StoredConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params

KEPT = "keep.json"
"""What each limit keeps of the segmentation network's own labels, where that was measured (`--keep`)."""
_CONTENTS = {"config", "params", FOLDER, KEPT, "_CHECKPOINT_METADATA", "commit_success.txt", checksums.NAME}
"""What a folder of ours may hold; with anything else in it, it is not ours to replace."""


def save(
    path: str | Path,
    params: networks.Params,
    config: StoredConfig,
    *,
    beside: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write parameters and their configuration as a checkpoint at `path`, a folder; its parents are made.

    With a `FlowNet2Config` it is a checkpoint of that flow network alone, for `load_flow`.

    `beside` may write more into the checkpoint's folder before it is moved to its place.

    A checkpoint that is there is replaced once the new one is whole; if anything goes wrong, the old one stays.

    Raises:
      InputError: something else is at `path`, `params` are not the configuration's, the configuration cannot be stored
        (a policy of your own), or the disk is full or not writable.
    """
    folder = _absolute(path)
    _check_replaceable(folder)
    abstract = _abstract(config)
    arrays = {name: np.asarray(array) for name, array in flatten(params).items()}
    record = make_record(arrays, config)
    check_shapes(arrays, abstract, source="params")
    # In the abstract tree's order, whatever order the caller's dicts have; as numpy arrays, so that no device is noted.
    tree = unflatten({name: arrays[name] for name in flatten(abstract)})
    try:
        with replacing(folder) as new:
            with quiet_orbax() as (ocp, checkpointer):
                checkpointer.save(
                    new, ocp.args.Composite(params=ocp.args.PyTreeSave(tree), config=ocp.args.JsonSave(record))
                )
            beside(new)
            checksums.write_checksums(new)
    except MemoryError:
        raise
    except Exception as error:  # OSError, and whatever orbax and tensorstore make of it: ValueError, mostly
        raise InputError(
            f"{path}: the checkpoint cannot be written ({reason_of(error)}); what was there before is unchanged. "
            "Check that the disk has room and that the folder is writable"
        ) from error


def load(path: str | Path, *, config: DVSNetConfig | None = None) -> tuple[networks.Params, DVSNetConfig]:
    """Parameters (on the default device) and configuration from a checkpoint that `save` wrote.

    Where it keeps a segmentation network of the user's own, that is built again (`checkpoints.own`), which wants the
    libraries that it is of. Where it names one that is kept elsewhere, `config.segmentation` stays an
    `OwnSegmentationConfig`, with which nothing can be segmented.

    Args:
      path: the checkpoint's folder, or a .safetensors file (`save_safetensors`); or where nothing is by that name,
        `street` or `street-large`: `load_bundled("carried", …)`.
      config: what to use instead of the stored configuration. Its networks must be the stored ones; its other fields
        (policy, overlap, regions, routing, chunk, input_size) are free.

    Raises:
      InputError: no checkpoint of ours, damaged, written by a newer version, or for other networks than `config`'s.
    """
    name = bundled_name(path)
    params, stored = load_bundled("carried", name) if name else (None, load_config(path))
    if config is not None:
        check_agreement(config, stored, source=str(path))
    if params is None:
        params, _ = load_any(path)
    if isinstance(stored.segmentation, OwnSegmentationConfig):
        network = kept_network(place_of(path) / FOLDER, stored.segmentation)
        if network is not None:
            stored = stored.replace(segmentation=network.function)
            config = config and config.replace(segmentation=network.function)
            params = {**params, "segmentation": network.params}
    return params, config or stored


def load_any(path: str | Path) -> tuple[networks.Params, StoredConfig]:
    """Parameters and configuration of any checkpoint of ours, of DVSNet or of a flow network alone; see `load`."""
    if is_safetensors(path):
        arrays, stored = read_safetensors(path)
        wanted = flatten(_wanted(stored, str(path)))
        came, those = ({name: (leaf.shape, leaf.dtype) for name, leaf in each.items()} for each in (arrays, wanted))
        if wrong := sorted(name for name in {*came, *those} if came.get(name) != those.get(name)):
            raise InputError(
                f"{path}: its weights are not those of its configuration: {len(wrong)} are missing, unknown or of "
                f"another shape or type ({', '.join(wrong[:3])}); export it again"
            )
        return _complete(unflatten(arrays), stored), stored
    folder = place_of(path)
    record = read_record(folder)
    checksums.verify(folder)
    stored = recorded_config(folder, record)
    abstract = _wanted(stored, str(folder))
    check_shapes(recorded_shapes(folder, record), abstract, source=str(path))
    return _complete(jax.device_put(restore_arrays(folder, abstract)), stored), stored


def load_config(path: str | Path) -> DVSNetConfig:
    """The configuration of a checkpoint of DVSNet, without its weights. Raises InputError as `load` does."""
    if name := bundled_name(path):
        return load_bundled("carried", name)[1]
    folder = place_of(path)
    stored = read_safetensors(path)[1] if is_safetensors(path) else recorded_config(folder, read_record(folder))
    if not isinstance(stored, DVSNetConfig):
        raise InputError(
            f"{path}: holds the weights of {stored.network} alone; they are for `dvsnet flow`, not for segmentation"
        )
    return stored


def _wanted(stored: StoredConfig, source: str) -> networks.Params:
    try:
        return _abstract(stored)
    except Exception as error:  # numbers that the configuration's own checks let pass, in a file that was edited
        raise InputError(f"{source}: its configuration makes no network ({reason_of(error)})") from error


def _complete(params: networks.Params, stored: StoredConfig) -> networks.Params:
    return params if isinstance(stored, FlowNet2Config) else with_flow(params, stored)


def _abstract(config: StoredConfig) -> networks.Params:
    if isinstance(config, FlowNet2Config):
        return abstract_flow_params(config)
    # Without the empty entry of a network that is kept elsewhere.
    return {name: params for name, params in networks.abstract_params(config).items() if params != {}}


def restore_arrays(folder: Path, abstract: networks.Params) -> Any:
    """The arrays, as numpy's: this machine decides on which device they go, not the one that saved them."""
    try:
        with quiet_orbax() as (ocp, checkpointer):
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), abstract)
            wanted = ocp.args.Composite(params=ocp.args.PyTreeRestore(item=abstract, restore_args=as_numpy))
            return checkpointer.restore(folder, wanted)["params"]
    except MemoryError:
        raise
    except Exception as error:  # a damaged folder fails in orbax and tensorstore in as many ways as it has bytes
        raise InputError(
            f"{folder}: the checkpoint is damaged or incomplete ({reason_of(error)}); copy it again, with all its files"
        ) from error


def place_of(path: str | Path) -> Path:
    """Where a checkpoint's folder really is: through links, and beside its place where a process was killed while it
    was being replaced. All that is read of one is read there."""
    return standing(_absolute(path))


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().resolve()  # through links: what a link points to is what gets replaced


def _check_replaceable(folder: Path) -> None:
    """Refuse to write over anything but an empty folder or a checkpoint of ours."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, and a checkpoint is a folder; choose another path")
    contents = {entry.name for entry in folder.iterdir()}
    if not contents:
        return
    try:
        read_record(folder)
    except InputError as error:
        raise InputError(
            f"{folder}: is not a checkpoint of ours and will not be overwritten; choose another"
        ) from error
    if strangers := sorted(contents - _CONTENTS):
        raise InputError(
            f"{folder}: this checkpoint's folder also holds {', '.join(strangers[:5])}, which replacing it would "
            "delete; move that away, or choose another path"
        )


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line of at most 300 characters."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:300]


@contextmanager
def quiet_orbax() -> Iterator[tuple[Any, Any]]:
    """orbax (imported here: it takes a while) and a checkpointer for our folders, silent on stderr meanwhile.

    orbax logs through absl's logger: hints about its own layout, and tracebacks of what it raises anyway.
    """
    import orbax.checkpoint as ocp

    # Of several processes one writes (or each reads) by itself: orbax must not wait for the others.
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )
    handler = ocp.CompositeCheckpointHandler(
        params=ocp.PyTreeCheckpointHandler(multiprocessing_options=alone),
        config=ocp.JsonCheckpointHandler(filename=NAME, multiprocessing_options=alone),
        composite_options=ocp.CompositeOptions(multiprocessing_options=alone),
    )
    logger = logging.getLogger("absl")
    was, logger.disabled = logger.disabled, True
    try:
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
            yield ocp, checkpointer
    finally:
        logger.disabled = was
