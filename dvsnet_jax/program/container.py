"""The file of an exported program: an uncompressed zip of plain parts, each with its size and SHA-256 in a manifest.

    manifest.json     what the program is, what it takes and gives, and the other parts' sizes and sums
    manifest.sha256   the manifest's own sum
    program.bin       `jax.export`'s serialized program, for all its platforms
    config.json       the configuration that it was made from
    weights/NAME.npy  one array each, in numpy's own form

So a zip tool, numpy and jax read it, without this package. Nothing in it is pickled. The sums find damage; they do not
prove who made the file. The same content makes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import jax.numpy as jnp
import numpy as np

from dvsnet_jax.errors import InputError, first_line, in_brief
from dvsnet_jax.media.atomic import atomic_path, check_folder

FORMAT = "dvsnet_jax program"
VERSION = 2
"""Goes up when an older reader would misread what is written, or what is written tells more than before. 1: results did
not say what cannot be trusted."""
PROGRAM, CONFIG = "program.bin", "config.json"
_MANIFEST, _SEAL = "manifest.json", "manifest.sha256"
_ADVICE = "copy it again, or export it again with `dvsnet export`"


def write_container(
    path: str | Path, manifest: Mapping[str, Any], parts: Mapping[str, bytes], weights: Mapping[str, np.ndarray]
) -> None:
    """Writes the parts and weights (by name), and a manifest that also lists them, atomically: whole or not at all.

    Raises `InputError` where it cannot be written. See `check_replaceable` for what may be at `path`.
    """
    contents = {**parts, **{_weight(name): _npy(array) for name, array in weights.items()}}
    listed = {name: {"size": len(content), "sha256": _sum(content)} for name, content in contents.items()}
    text = json.dumps({"format": FORMAT, "version": VERSION, **manifest, "parts": listed}, indent=1).encode()
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in {_MANIFEST: text, _SEAL: _sum(text).encode(), **contents}.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # its date is 1980's, so that equal content is equal bytes


def read_container(path: str | Path) -> tuple[dict[str, Any], dict[str, bytes], dict[str, np.ndarray]]:
    """`(manifest, parts, weights)` that `write_container` wrote, each part checked against the manifest.

    Raises `InputError` for a file that is missing, truncated, changed, no program of ours, or of another version.
    """
    try:
        with _open(path) as file, zipfile.ZipFile(file) as archive:
            _check_stored(archive, path)
            manifest = _read_manifest(archive, path)
            names = archive.namelist()
            noted = {_MANIFEST, _SEAL, *manifest["parts"]}
            if len(names) != len(set(names)) or set(names) != noted:
                odd = sorted(noted ^ set(names)) or sorted(name for name in names if names.count(name) > 1)
                raise InputError(f"{path}: is damaged, {odd[0]} is missing or too much in it; {_ADVICE}")
            contents = {name: _read_part(archive, name, noted, path) for name, noted in manifest["parts"].items()}
        weights = {
            name: _array(contents.pop(_weight(name)), said, f"{path}: weight {name}")
            for name, said in manifest["inputs"]["weights"].items()
        }
    except (InputError, MemoryError):
        raise
    except Exception as error:  # zip's directory, the manifest's own form and numpy's headers fail in many ways
        raise InputError(
            f"{path}: is no exported program, or is damaged or truncated ({first_line(error)}); {_ADVICE}"
        ) from error
    return manifest, contents, weights


def check_replaceable(path: str | Path) -> None:
    """Raises `InputError` where something is at `path` that is no program of ours, which is not to be overwritten, and
    where its folder is not there."""
    check_folder(path)
    place = Path(path)
    if not place.exists():
        return
    if place.is_dir():
        raise InputError(f"{path}: is a folder, and a program is one file; choose another path")
    try:
        with place.open("rb") as file, zipfile.ZipFile(file) as archive:
            archive.getinfo(_SEAL)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{path}: is no exported program and will not be overwritten; choose another path") from error


def _open(path: str | Path) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); `dvsnet export` makes programs") from error


def _check_stored(archive: zipfile.ZipFile, path: str | Path) -> None:
    """Ours are not packed; what is could become any size when it is read."""
    for part in archive.infolist():
        if part.compress_type != zipfile.ZIP_STORED or part.file_size != part.compress_size:
            raise InputError(f"{path}: its part {part.filename} is packed, and those of a {FORMAT} are not; {_ADVICE}")


def _read_manifest(archive: zipfile.ZipFile, path: str | Path) -> dict[str, Any]:
    try:
        text, seal = archive.read(_MANIFEST), archive.read(_SEAL)
    except KeyError as error:
        raise InputError(
            f"{path}: is no exported program, it has no {_MANIFEST}; `dvsnet export` makes them"
        ) from error
    if _sum(text).encode() != seal:
        raise InputError(f"{path}: is damaged, its {_MANIFEST} is not as written; {_ADVICE}")
    try:
        manifest = json.loads(text)
        form, version = manifest["format"], manifest["version"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InputError(f"{path}: its {_MANIFEST} is none of a {FORMAT} ({in_brief(error)}); {_ADVICE}") from error
    if form != FORMAT or not isinstance(version, int):
        raise InputError(f"{path}: its {_MANIFEST} is none of a {FORMAT}, but of {form!r}, version {version!r}")
    if version > VERSION:
        raise InputError(
            f"{path}: is a program of version {version}, and this dvsnet-jax reads up to {VERSION}; "
            "upgrade it with pip install -U dvsnet-jax"
        )
    if version < VERSION:
        raise InputError(
            f"{path}: is a program of version {version}, whose results do not say what cannot be trusted, and this "
            f"dvsnet-jax reads version {VERSION}; export it again with `dvsnet export`"
        )
    return manifest


def _read_part(archive: zipfile.ZipFile, name: str, noted: Mapping[str, Any], path: str | Path) -> bytes:
    content = archive.read(name)  # which checks zip's own CRC-32
    if len(content) != noted["size"] or _sum(content) != noted["sha256"]:
        raise InputError(
            f"{path}: is damaged, {name} has {len(content)} bytes with SHA-256 {_sum(content)[:12]}…, but "
            f"{noted['size']} with {noted['sha256'][:12]}… were written; {_ADVICE}"
        )
    return content


def _array(content: bytes, said: Mapping[str, Any], where: str) -> np.ndarray:
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    dtype = jnp.dtype(said["dtype"])  # numpy's own form has no name for bfloat16
    if array.dtype != dtype and array.dtype.itemsize == dtype.itemsize and array.dtype.kind == "V":
        array = array.view(dtype)
    if array.dtype != dtype or list(array.shape) != said["shape"]:
        raise InputError(f"{where} is {array.dtype}{list(array.shape)}, expected {said['dtype']}{said['shape']}")
    return array


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def _weight(name: str) -> str:
    return f"weights/{name}.npy"


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
