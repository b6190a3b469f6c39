"""Places within an input where a run can go on, as files in the input's folder: the last two, each whole or not there.

A bookmark is an .npz: `about`, JSON as bytes, and arrays as bytes. Nothing in it is pickled.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.durable.syncing import sync_files

_NAMES = ("dvsnet-bookmark-0.npz", "dvsnet-bookmark-1.npz")
_FORM = 1


class Bookmark(NamedTuple):
    """A place in an input, after so many frames."""

    about: dict[str, Any]
    """JSON values; `frames` says after how many."""
    arrays: list[np.ndarray]
    """In the order in which they were given."""

    @property
    def frames(self) -> int:
        return int(self.about["frames"])


def write_bookmark(folder: Path, about: dict[str, Any], arrays: Sequence[np.ndarray]) -> None:
    """In the place of the older of two, and on the disk when this returns. Raises InputError where it cannot be
    written."""
    older = min(_NAMES, key=lambda name: -1 if (there := _read(folder / name)) is None else there["frames"])
    kinds = [[array.dtype.name, list(array.shape)] for array in arrays]
    text = json.dumps({**about, "form": _FORM, "arrays": kinds}).encode()
    raw = {f"array_{at}": np.frombuffer(array.tobytes(), np.uint8) for at, array in enumerate(arrays)}
    path = folder / older
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, about=np.frombuffer(text, np.uint8), **raw)
    sync_files([path])


def read_bookmarks(folder: Path) -> list[Bookmark]:
    """Those that are there and whole, the last place first."""
    found = [bookmark for name in _NAMES if (bookmark := _load(folder / name)) is not None]
    return sorted(found, key=lambda bookmark: -bookmark.frames)


def remove_bookmarks(folder: Path) -> None:
    """Removes them, if there are any."""
    for name in _NAMES:
        (folder / name).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """What one says of itself; None where there is none, or one that was not written by this version."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:  # a damaged one is closed, too
            about = json.loads(content["about"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = isinstance(about, dict) and about.get("form") == _FORM and isinstance(about.get("frames"), int)
    return about if whole else None


def _load(path: Path) -> Bookmark | None:
    about = _read(path)
    if about is None:
        return None
    try:
        arrays = []
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            for at, (kind, shape) in enumerate(about["arrays"]):
                arrays.append(content[f"array_{at}"].view(np.dtype(kind)).reshape(shape))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return Bookmark(about, arrays)
