"""What tells an input from another one, and from what it was before: whether what came of it still holds."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from dvsnet_jax.media.sources import Source


def identity(source: Source) -> dict[str, Any]:
    """A JSON value that is the same while the source's files are: their number, the first one's name, all their bytes
    and the last change among them; of several, as of a list, their names in order, below the folder that all are in. A
    stream has no files, and no identity but its name. What comes out of a pipe nobody knows beforehand: it is never the
    same. `input` is what the source is called, which is no part of that (`is_same`)."""
    files = [Path(file) for file in source.files]
    state = state_of(files)
    own = {"input": source.name, "first": files[0].name if files else source.name, **state, "files": len(files)}
    if len(files) > 1:
        own["order"] = _order(files)
    if state["files"] == len(files) or not any(path.exists() and not path.is_file() for path in files):
        return own
    return {**own, "read": time.time_ns()}


def is_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two of these are of the same files, whatever the input was called."""
    return {**before, "input": None} == {**now, "input": None}


def is_another(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two of these are of different inputs: of other files and another name."""
    return not is_same(before, now) and before.get("input", now["input"]) != now["input"]


def _order(files: Sequence[Path]) -> str:
    """Tells several files in this order from the same ones in another; the same wherever the folder of all is."""
    parts = [path.absolute().parts for path in files]
    shared = len([*takewhile(lambda same: len({*same}) == 1, zip(*parts, strict=False))])
    names = "\0".join("/".join(each[shared:]) for each in parts)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def state_of(files: Iterable[str | os.PathLike[str]]) -> dict[str, int]:
    """The same of files alone: how many of them there are, all their bytes and the last change among them."""
    found = [path.stat() for path in map(Path, files) if path.is_file()]
    return {
        "files": len(found),
        "bytes": sum(each.st_size for each in found),
        "changed": max((each.st_mtime_ns for each in found), default=0),
    }


def is_live(source: Source) -> bool:
    """Whether it is a stream or camera, which cannot be gone through again."""
    return hasattr(source, "location") and not source.files
