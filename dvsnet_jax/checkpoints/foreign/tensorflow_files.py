"""TensorFlow's checkpoints as arrays by name: V2 and the old V1, in one file or in shards; partitioned variables whole.

TensorFlow itself reads them; it is imported when the first one is read, and `is_tensorflow` works without it. Nothing
in such a file is executed: it holds names and numbers, and the graph beside it (`.meta`) is never opened.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvsnet_jax.errors import InputError

_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of a V1 file and of a V2 index."""
_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_V1_SHARD = re.compile(r"-(\d{5}|\?{5})-of-\d{5}$")


def is_tensorflow(path: str | Path) -> bool:
    """Whether a TensorFlow checkpoint is at the path, in any form that `read_tensorflow` takes."""
    try:
        prefix = _prefix(Path(path))
    except InputError:
        return False
    return _is_v2(prefix) or any(_is_table(file) for file in _v1_files(prefix))


def read_tensorflow(path: str | Path) -> dict[str, np.ndarray]:
    """All the variables of a checkpoint, by their names.

    Args:
      path: a prefix (`model.ckpt-7`), one of its files (`.index`, `.meta`, `.data-…`), a V1 file, or a directory: then
        the checkpoint that its `checkpoint` file names, or the only one in it.

    Raises:
      InputError: nothing is there, it is no TensorFlow checkpoint, or it is damaged; or TensorFlow is not installed.
    """
    prefix = _prefix(Path(path))
    if not _is_v2(prefix) and not _v1_files(prefix):
        raise InputError(
            f"{prefix}: there is no TensorFlow checkpoint (neither {prefix.name}.index nor a file of that name); "
            "give its prefix, such as model.ckpt-7, or its directory"
        )
    tensorflow = _import_tensorflow(prefix)
    try:
        return _read(tensorflow, prefix)
    except MemoryError:
        raise
    except Exception as error:  # TensorFlow's OpError, and IndexError, ValueError, RuntimeError for various damage
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{prefix}: the TensorFlow checkpoint cannot be read ({reason}); it is damaged, incomplete or of another "
            "format: copy it again, with all its files"
        ) from error


def _read(tensorflow: Any, prefix: Path) -> dict[str, np.ndarray]:
    # Shards of V1 are one checkpoint under a pattern; everything else is read by its prefix.
    shard = None if _is_v2(prefix) else _V1_SHARD.search(prefix.name)
    pattern = f"{str(prefix)[: shard.start() - len(prefix.name)]}-?????{shard[0][-9:]}" if shard else str(prefix)
    reader = tensorflow.train.load_checkpoint(pattern)
    if _is_v2(prefix):
        return {name: np.asarray(reader.get_tensor(name)) for name in reader.get_variable_to_shape_map()}
    # The reader gives V2's partitioned variables whole, and refuses V1's; the operation that restored them does not.
    restore = tensorflow.raw_ops.Restore
    types = reader.get_variable_to_dtype_map()
    return {name: restore(file_pattern=pattern, tensor_name=name, dt=dtype).numpy() for name, dtype in types.items()}


def _prefix(path: Path) -> Path:
    """The prefix that a user's path means."""
    path = path.expanduser()
    if not path.is_dir():
        return path.with_name(_PART.sub("", path.name) or path.name)
    state = path / "checkpoint"
    if state.is_file():
        return _latest(state)
    found = sorted(path.glob("*.index"))
    if len(found) != 1:
        names = ", ".join(file.stem for file in found) or "none"
        raise InputError(
            f"{path}: a directory needs a `checkpoint` file or a single .index to say which checkpoint is meant "
            f"(here: {names}); give one's prefix"
        )
    return found[0].with_suffix("")


def _latest(state: Path) -> Path:
    """What a `checkpoint` file names as the last one saved: a path that may be of the machine it was written on."""
    try:
        found = re.search(rb'^\s*model_checkpoint_path:\s*"((?:[^"\\\n]|\\.)+)"', state.read_bytes(), re.MULTILINE)
    except OSError as error:
        raise InputError(f"{state}: cannot be read ({error.strerror})") from error
    if not found:
        raise InputError(f"{state}: names no model_checkpoint_path; give the checkpoint's prefix instead")
    # Protocol buffers' text form writes what is not ASCII in octal escapes, byte by byte.
    octal = re.sub(rb"\\([0-3][0-7]{2}|.)", lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else m[1], found[1])
    name = octal.decode("utf-8", "surrogateescape")
    beside = state.parent / re.split(r"[/\\]", name)[-1]
    elsewhere = state.parent / name  # which is `name` itself where that is absolute
    for prefix in (elsewhere, beside) if not Path(name).is_absolute() else (beside, elsewhere):
        if _is_v2(prefix) or _v1_files(prefix):
            return prefix
    raise InputError(f"{state}: names {name}, but there is no such checkpoint, nor {beside.name} beside it")


def _is_v2(prefix: Path) -> bool:
    return prefix.with_name(prefix.name + ".index").is_file()


def _v1_files(prefix: Path) -> list[Path]:
    """The file, or for `model.ckpt-?????-of-00002` (as TensorFlow writes it down) or one of the shards, all of them."""
    if shard := _V1_SHARD.search(prefix.name):
        stem, count = prefix.name[: shard.start()], shard[0][-9:]
        names = [f"{stem}-{index:05}{count}" for index in range(int(count[-5:]))]
        files = [prefix.with_name(name) for name in names]
        return files if all(file.is_file() for file in files) else []
    return [prefix] if prefix.is_file() else []


def _is_table(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            stream.seek(-len(_TABLE_MAGIC), os.SEEK_END)
            return stream.read() == _TABLE_MAGIC
    except OSError:  # too short, or not to be read
        return False


def _import_tensorflow(prefix: Path) -> Any:
    try:
        with _quietly():
            import tensorflow
    except ImportError as error:
        raise InputError(
            f"{prefix}: reading TensorFlow's checkpoints needs TensorFlow, which cannot be imported here ({error}): "
            "pip install 'dvsnet-jax[import]'"
        ) from error
    return tensorflow


@contextmanager
def _quietly() -> Iterator[None]:
    """TensorFlow greets on stderr when it is imported, and keeps the log level it finds then; these two silence it.

    The environment is as before afterwards: what TensorFlow imports leaves things there too (OpenCV a library path).
    """
    before = dict(os.environ)
    # Also over what is set: JAX sets the first, to a level that lets warnings through.
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside TensorFlow, nothing that a caller could fix
            yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
