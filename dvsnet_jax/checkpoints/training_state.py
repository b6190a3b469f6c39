"""The state of a training in a folder that orbax writes: parameters, optimizer slots, step, and a record in JSON.

    FOLDER/config/dvsnet.json   the record: whatever the training has to know beside its arrays
    FOLDER/params/…             the arrays
    FOLDER/checksums.json       of all the files above

As with the checkpoints of finished weights, a save is whole or it never happened, and the state saved before stands
until the new one is whole: a training killed at any moment, or stopped by a full disk, goes on from there.

Not orbax's CheckpointManager, which would keep several steps and write in the background: between the last byte that
it writes and the moment the folder appears there is no time for checksums, and without them damage goes unseen. Of 37
folders with one flipped bit it restored 36 with other numbers and no error (orbax-checkpoint 0.12.8). Nor would it save
code: a training keeps two states, its last and its best, under names that do not change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax.checkpoints import checksums
from dvsnet_jax.checkpoints.atomic_folder import replacing, standing
from dvsnet_jax.checkpoints.matching import check_shapes, flatten, unflatten
from dvsnet_jax.checkpoints.record import NAME, TRAINING, recorded_shapes
from dvsnet_jax.checkpoints.store import quiet_orbax, reason_of, restore_arrays
from dvsnet_jax.errors import InputError


def save_state(path: str | Path, tree: Any, record: dict[str, Any]) -> None:
    """Writes a pytree of arrays and a record of JSON values as a folder, in the place of the one that was there.

    Raises InputError where it cannot be written (disk full, not writable); the folder is then as it was.
    """
    folder = Path(path).expanduser().resolve()
    arrays = {name: np.asarray(leaf) for name, leaf in _named(tree).items()}
    shapes = {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in arrays.items()}
    content = {"format": TRAINING, "record": record, "params": shapes}
    try:
        with replacing(folder) as new:
            with quiet_orbax() as (ocp, checkpointer):
                checkpointer.save(
                    new,
                    ocp.args.Composite(
                        params=ocp.args.PyTreeSave(unflatten(arrays)), config=ocp.args.JsonSave(content)
                    ),
                )
            checksums.write_checksums(new)
    except MemoryError:
        raise
    except Exception as error:  # OSError, and whatever orbax and tensorstore make of it
        raise InputError(
            f"{path}: the training's state cannot be written ({reason_of(error)}); the one saved before is unchanged. "
            "Make room on the disk and start the same command again"
        ) from error


def has_state(path: str | Path) -> bool:
    """Whether a state was saved at `path`."""
    return standing(Path(path).expanduser().resolve()).is_dir()


def load_state(path: str | Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """What `save_state` wrote, the pytree on the default device and the record; `like` has the pytree's shapes.

    Raises InputError for a folder that is missing, damaged, no training state, or of other arrays than `like`'s.
    """
    folder = standing(Path(path).expanduser().resolve())
    if not folder.is_dir():
        raise InputError(f"{path}: there is no state of a training here; expected the folder that a training saves")
    checksums.verify(folder)
    wanted = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in _named(like).items()}
    try:
        content = json.loads((folder / "config" / NAME).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: is not the state of a training ({reason_of(error)}); choose another folder"
        ) from error
    if not isinstance(content, dict) or content.get("format") != TRAINING:
        raise InputError(f"{path}: does not say that it is a {TRAINING}; choose another folder")
    check_shapes(recorded_shapes(folder, content), unflatten(wanted), source=str(path))
    arrays = flatten(restore_arrays(folder, unflatten(wanted)))
    leaves = [jnp.array(arrays[name]) for name in wanted]  # copied: a training step donates it
    return jax.tree.unflatten(jax.tree.structure(like), leaves), content["record"]


def _named(tree: Any) -> dict[str, Any]:
    """The leaves by their place: {"optimizer/0/count": array}, in the tree's order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
