"""What tells an input from another one, and from what it was before: whether what came of it still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvsnet_jax.media.sources import Source


def identity(source: Source) -> dict[str, Any]:
    """A JSON value that is the same while the source's files are: their number, the first one's name, all their bytes
    and the last change among them. A stream has no files, and no identity but its name."""
    files = [Path(file) for file in source.files]
    found = [file.stat() for file in files if file.is_file()]
    return {
        "first": files[0].name if files else source.name,
        "files": len(files),
        "bytes": sum(each.st_size for each in found),
        "changed": max((each.st_mtime_ns for each in found), default=0),
    }


def is_live(source: Source) -> bool:
    """Whether it is a stream or camera, which cannot be gone through again."""
    return hasattr(source, "location") and not source.files
