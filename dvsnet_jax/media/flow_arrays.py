"""Flow files of other data sets, read alone: FlyingThings' .pfm, Spring's .flo5, VIPER's .npz, TartanAir's .npy.

All give flow float32 `[h, w, 2]`, NaN where it is not known, which each set marks in its own way. Nothing is unpickled.
`media.flow_files.read_flow` chooses among these by the suffix.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.most_pixels import MOST_PIXELS, too_large

FilePath = str | os.PathLike[str]

UNKNOWN_ABOVE = 1e9
"""What a .flo file means by "not known here" (Middlebury's flowIO.h); larger in size than any flow."""
_MOST_BYTES = 16 * MOST_PIXELS  # u and v in float64
_PFM_HEADER = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s")


def read_pfm(path: FilePath) -> Float[np.ndarray, "h w 2"]:
    """The first two channels of a colour .pfm: flow of FlyingThings3D, Monkaa, Driving (Mayer et al., CVPR 2016).

    The file's first row is the picture's last. The sign of its scale tells the byte order, minus is little-endian; its
    size says nothing about the numbers. NaN, infinity and what is above 1e9 are not known.

    Raises `InputError` for a file that is not there, no .pfm or one of a single channel (disparity), and where more or
    fewer bytes follow the header than it asks for.
    """
    with opened(path) as (file, held):
        start = file.read(128)
        header = _PFM_HEADER.match(start)
        if header is None:
            raise InputError(f"{path}: starts with {start[:8]!r}, but a .pfm starts with PF and its size; check it")
        if header[1] == b"Pf":
            raise InputError(f"{path}: has one channel, as disparity has, expected three, of which flow takes two")
        width, height, scale = int(header[2]), int(header[3]), header[4]
        wanted = header.end() + width * height * 12
        if held != wanted or not width or not height:
            raise InputError(
                f"{path}: holds {held} bytes, but {width} × {height} pixels of three channels need {wanted}; copy it "
                "again"
            )
        file.seek(header.end())
        numbers = np.frombuffer(file.read(), "<f4" if scale.startswith(b"-") else ">f4")
    return known_flow(numbers.reshape(height, width, 3)[::-1, :, :2])


def read_flo5(path: FilePath) -> Float[np.ndarray, "h w 2"]:
    """Spring's .flo5 (Mehl et al., CVPR 2023): an HDF5 file whose `flow` is `[h, w, 2]`, NaN where it is not known.

    It is twice as high and wide as Spring's pictures, in pixels of the pictures, not of its own. Needs h5py.

    Raises `InputError` for a file that is not there or no such one, and without h5py.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: .flo5 needs h5py; pip install 'dvsnet-jax[spring]'") from error
    with opened(path) as (handle, _):
        try:
            with h5py.File(handle, "r") as file:
                names = sorted(file.keys())
                if "flow" not in names:
                    raise InputError(f"{path}: holds {', '.join(names) or 'nothing'}, expected flow; is it disparity?")
                stored = file["flow"]
                if len(stored.shape) == 3 and (wrong := too_large(*stored.shape[:2])) is not None:
                    raise InputError(f"{path}: {wrong}")
                return _of_two_channels(path, stored[()])
        except InputError:
            raise
        except Exception as error:  # the library's own of damage are of many kinds
            raise InputError(f"{path}: is no HDF5 file, or damaged ({error}); copy it again") from error


def read_npz(path: FilePath) -> Float[np.ndarray, "h w 2"]:
    """VIPER's .npz (Richter et al., Playing for Benchmarks, ICCV 2017): `u` and `v`, or `flow` `[h, w, 2]`.

    NaN, infinity and what is above 1e9 are not known. Raises `InputError` for a file that is not there, damaged, or of
    other arrays.
    """
    with _arrays(path) as file:
        names = sorted(file.files)
        if {"u", "v"} <= {*names}:
            u, v = file["u"], file["v"]
            if u.shape != v.shape or u.ndim != 2:
                raise InputError(f"{path}: u is {list(u.shape)} and v {list(v.shape)}, expected [height, width] twice")
            return _of_two_channels(path, np.stack([u, v], -1))
        if "flow" in names:
            return _of_two_channels(path, file["flow"])
        raise InputError(f"{path}: holds {', '.join(names) or 'nothing'}, expected u and v, or flow")


def read_npy(path: FilePath) -> Float[np.ndarray, "h w 2"]:
    """TartanAir's `000000_000001_flow.npy` (Wang et al., IROS 2020): `[h, w, 2]`.

    Where `000000_000001_mask.npy` lies beside it, pixels that it marks (not 0: occluded, out of view, moving) are not
    known, as are NaN, infinity and what is above 1e9. Raises `InputError` for a file that is not there, damaged, or of
    another shape.
    """
    with _arrays(path) as stored:
        flow = _of_two_channels(path, np.array(stored))
    own, mask_path = Path(path), mask_of(path)
    if own.name.endswith("_flow.npy") and mask_path.is_file():
        with _arrays(mask_path) as mask:
            if mask.shape != flow.shape[:2]:
                raise InputError(f"{mask_path}: is {list(mask.shape)}, expected {list(flow.shape[:2])} as {own.name}")
            flow[np.array(mask) != 0] = np.nan
    return flow


def mask_of(path: FilePath) -> Path:
    """Where the mask of TartanAir's `000000_000001_flow.npy` belongs, whether it is there or not."""
    own = Path(path)
    return own.with_name(f"{own.name.removesuffix('_flow.npy')}_mask.npy")


@contextmanager
def opened(path: FilePath) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size in bytes. Raises `InputError` where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be read ({reason}); check the name and that you may read it") from error


@contextmanager
def _arrays(path: FilePath) -> Iterator[Any]:
    """What numpy stored. Of a .npy nothing is in memory yet, so a header cannot ask for more than the file has."""
    try:
        with opened(path) as (file, _):
            if Path(path).suffix.lower() == ".npy":
                yield np.load(path, mmap_mode="r", allow_pickle=False)
            else:  # from an open file, as numpy leaves one that it opened itself open where that is damaged
                with zipfile.ZipFile(file) as looked_at:
                    if (packed := sum(part.file_size for part in looked_at.infolist())) > _MOST_BYTES:
                        raise InputError(f"{path}: holds {packed:,} bytes when unpacked, more than any flow; check it")
                file.seek(0)
                with np.load(file, allow_pickle=False) as archive:
                    yield archive
    except InputError:
        raise
    except Exception as error:  # zip, deflate and numpy's headers fail in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: is no file of numpy's arrays, or damaged ({reason}); copy it again") from error


def _of_two_channels(path: FilePath, flow: np.ndarray) -> Float[np.ndarray, "h w 2"]:
    if flow.ndim != 3 or flow.shape[2] != 2 or flow.size == 0 or flow.dtype.kind not in "fiu":
        raise InputError(f"{path}: holds {flow.dtype} {list(flow.shape)}, expected real numbers [height, width, 2]")
    if (wrong := too_large(*flow.shape[:2])) is not None:
        raise InputError(f"{path}: {wrong}")
    return known_flow(flow)


def known_flow(flow: np.ndarray) -> Float[np.ndarray, "h w 2"]:
    """A float32 copy, both components NaN where one of them is no flow."""
    flow = np.array(flow, np.float32)
    flow[~(np.abs(flow) <= UNKNOWN_ABOVE).all(-1)] = np.nan  # the negation catches NaN as well
    return flow
