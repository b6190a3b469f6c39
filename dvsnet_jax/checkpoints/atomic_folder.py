"""A folder that appears whole or not at all, in the place of an older one if there is one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yields a path beside `folder`, with nothing there yet: a folder made there takes the old one's place.

    Where the block raises, the old folder stands as it was and what was made of the new one is gone. A folder cannot be
    exchanged in one step, so the old one is first moved aside: a process killed between the two moves leaves it there,
    and `standing` finds it. A process killed earlier leaves a hidden folder, `.NAME.saving-…`, that may be deleted.

    Raises OSError where the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    standing_aside = aside(folder)
    if standing_aside.exists():  # a process was killed between or after the moves
        if folder.exists():
            shutil.rmtree(standing_aside)
        else:
            _move(standing_aside, folder)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.saving-", dir=folder.parent))
    try:
        new = staging / "new"  # mkdtemp's own folder is closed to others; one made inside it is as the umask says
        yield new
        if folder.exists():
            _move(folder, standing_aside)
            try:
                _move(new, folder)
            except BaseException:
                _move(standing_aside, folder)
                raise
        else:
            _move(new, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    with suppress(OSError):  # the new one stands; the next save tries again to clear the old one away
        shutil.rmtree(standing_aside)


def standing(folder: Path) -> Path:
    """`folder`, or what stands aside for it after a process was killed between the two moves of `replacing`."""
    return aside(folder) if aside(folder).exists() and not folder.exists() else folder


def aside(folder: Path) -> Path:
    """Where `replacing` keeps the old folder for a moment."""
    return folder.parent / f".{folder.name}.previous"


def _move(old: Path, new: Path) -> None:
    old.rename(new)
