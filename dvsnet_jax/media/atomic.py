"""Files appear whole or not at all: written beside their place first, then moved over it.

Those that grow for hours are written at their place instead, in parts of which each is whole.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvsnet_jax.errors import InputError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the path of an empty temporary file to write; it becomes `path` when the block ends well.

    The temporary file lies in the folder of `path`, because a rename is atomic only inside one file system, and ends
    in the same suffix, because encoders choose the format by it. When the block raises (Ctrl-C too) it is removed and
    a file that was at `path` is as it was. A link at `path` stays a link, and the file it points to is replaced.
    Readers never see half a file; what survives a power cut is the file system's business, nothing is synced here.

    Raises `InputError` where the file cannot be written: no such folder, no permission, disk full.
    """
    target = Path(os.path.realpath(path))
    # The target's stem is not part of the name: a name of 255 bytes, legal by itself, would become too long.
    temporary = target.with_name(f".partial-{secrets.token_hex(6)}{target.suffix}")
    try:
        try:
            # Not `tempfile`: its files are readable by the owner alone and would stay so after the move.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield temporary
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raises `InputError` where the folder that `path` is to be written to is not there: said before the work."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}; make it, or name another")


def is_partial(path: Path) -> bool:
    """Whether it is called like a temporary file, as a killed process leaves them."""
    return re.fullmatch(r"\.partial-[0-9a-f]{12}(\..*)?", path.name) is not None


def remove_partial(folder: Path, *, below: bool = False) -> None:
    """Removes the temporary files in a folder that nobody is writing to, and in those `below` it."""
    for path in filter(is_partial, (folder.rglob if below else folder.glob)(".partial-*")):
        path.unlink(missing_ok=True)


@contextmanager
def growing_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields `path` itself, empty, to be written so that what is in it is of use at any moment: after SIGKILL, too.

    Raises `InputError` as `atomic_path` does; what was written until then stays.
    """
    try:
        Path(path).write_bytes(b"")
        yield Path(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str | os.PathLike[str], error: OSError) -> InputError:
    reason = error.strerror or error
    return InputError(f"{path}: cannot be written ({reason}); check that its folder is there, writable and not full")
