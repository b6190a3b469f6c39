"""Files that are on the disk, and not only on their way to it: what a power cut leaves."""

from __future__ import annotations

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dvsnet_jax.errors import InputError

_AT_ONCE = 8  # a journal takes what comes together as one: 300 files in 0.05 s where one by one they took 1.5


def sync_files(paths: Collection[Path]) -> None:
    """Waits until files that are there, and their names in their folders, are on the disk. Raises InputError where
    they cannot be brought there."""
    there = [path for path in paths if path.is_file()]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="dvsnet-sync") as pool:
        list(pool.map(_sync, there))
        list(pool.map(_sync, {path.parent for path in there}))


def _sync(path: Path) -> None:
    try:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        raise InputError(
            f"{path}: did not reach the disk ({error.strerror}); check that it is healthy and not full"
        ) from error
