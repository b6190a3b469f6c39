"""Optical flow on disk: Middlebury's .flo (exact float32), KITTI's 16-bit PNG (1/64 pixel, with a valid mask), and what
other data sets have, of which `read_flow` tells the kind.

In memory flow is `[h, w, 2]`: displacement (x, y) = (u, v) in pixels of its own grid, x to the right, y down. In what
`read_flow` gives and `write_flow` takes NaN stands for "not known here", whichever the format.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Bool, Float, UInt16
from numpy.typing import ArrayLike

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.flow_arrays import (
    UNKNOWN_ABOVE,
    FilePath,
    known_flow,
    opened,
    read_flo5,
    read_npy,
    read_npz,
    read_pfm,
)
from dvsnet_jax.media.most_pixels import too_large

_MAGIC = struct.pack("<f", 202021.25)  # reads "PIEH"; a big-endian writer leaves "HEIP"
_UNKNOWN = 1e10  # UNKNOWN_FLOW of Middlebury's flowIO.h
WRITTEN = {".flo": "Middlebury", ".png": "KITTI"}
"""Suffixes of the files that are written, and whose format they are."""
KNOWN = WRITTEN | {".pfm": "FlyingThings", ".flo5": "Spring", ".npz": "VIPER", ".npy": "TartanAir"}
"""Suffixes of the files that are read."""
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_COLOUR = {0: "grey", 2: "RGB", 3: "palette", 4: "grey + alpha", 6: "RGBA"}


def read_flow(path: FilePath, size: tuple[int, int] | None = None) -> Float[np.ndarray, "h w 2"]:
    """Flow float32 `[h, w, 2]` in pixels from a file of any kind, chosen by the suffix; NaN where it is not known.

    | suffix | whose |
    |---|---|
    | .flo | Middlebury, Sintel, FlyingChairs |
    | .png | KITTI, HD1K; TartanAir's version 2, told by its channels |
    | .pfm | FlyingThings3D, Monkaa, Driving |
    | .flo5 | Spring; with the pictures' `size`, (height, width), every second pixel of flow that is twice as large |
    | .npz | VIPER |
    | .npy | TartanAir, with its mask where that lies beside it |

    Raises `InputError` as the readers of `flow_arrays` and those below do, and for any other suffix.
    """
    suffix = _suffix(path, KNOWN)
    if suffix == ".png":
        return _png_flow(path)
    flow = _READERS[suffix](path)
    if suffix == ".flo5" and size is not None and flow.shape[:2] == (2 * size[0], 2 * size[1]):
        return np.ascontiguousarray(flow[::2, ::2])  # as Spring's own loader does
    return flow


def _png_flow(path: FilePath) -> Float[np.ndarray, "h w 2"]:
    channels = _read_png(path)
    if _is_tartanairs(channels):
        flow = (channels[..., [2, 1]].astype(np.float32) - 2**15) / 64
        flow[channels[..., 0] != 0] = np.nan
        return flow
    flow, valid = _of_kitti(channels)
    flow[~valid] = np.nan
    return flow


def write_flow(path: FilePath, flow: ArrayLike) -> None:
    """Writes flow `[h, w, 2]` in pixels, NaN where unknown, as .flo or KITTI .png, chosen by the suffix; atomic.

    A .png rounds to 1/64 pixel. Raises `InputError` as `write_flo` and `write_kitti_flow` do, and for other suffixes.
    """
    if _suffix(path, WRITTEN) == ".flo":
        write_flo(path, flow)
    else:
        write_kitti_flow(path, flow, ~np.isnan(_checked(path, flow)).any(-1))


def read_flo(path: FilePath) -> Float[np.ndarray, "h w 2"]:
    """Flow float32 `[h, w, 2]` in pixels from Middlebury's .flo (Baker et al., ICCV 2007; `flowIO.h`).

    Both components are NaN where the file marks a pixel as unknown: one of them above 1e9 in size, or NaN.

    Raises `InputError` for a file that is not there or not a .flo, and for a header that asks for more or fewer bytes
    than follow it. The size is held against the file's before any memory is taken for it.
    """
    with opened(path) as (file, held):
        start = file.read(12)
        if start[:4] != _MAGIC:
            hint = {
                _MAGIC[::-1]: "it is big-endian: write it again in little-endian byte order",
                _PNG_START[:4]: "it is a PNG: give it the suffix .png",
            }.get(start[:4], "check that it is optical flow in Middlebury's format")
            raise InputError(f"{path}: starts with {start[:4]!r}, but a .flo file starts with {_MAGIC!r}; {hint}")
        if len(start) < 12:
            raise InputError(f"{path}: ends inside its 12-byte header, after {len(start)} bytes; copy the file again")
        width, height = struct.unpack("<ii", start[4:])
        if width < 1 or height < 1:
            raise InputError(
                f"{path}: its header says {width} × {height} pixels, expected 1 × 1 or more; copy it again"
            )
        wanted = 12 + width * height * 8
        if held != wanted:
            fault = "is cut short or its header damaged" if held < wanted else "has bytes after the flow"
            raise InputError(
                f"{path}: holds {held} bytes, but {width} × {height} pixels need {wanted}: it {fault}; copy it again"
            )
        flow = np.frombuffer(file.read(wanted - 12), "<f4").reshape(height, width, 2)
    return known_flow(flow)


def write_flo(path: FilePath, flow: ArrayLike) -> None:
    """Writes flow `[h, w, 2]` in pixels as Middlebury's .flo: float32, exact, atomic.

    A pixel with a NaN is written as unknown (1e10 in both components). Raises `InputError` for another shape or type,
    for sizes above 1e9 and infinities, which a reader would take for "unknown", and where the file cannot be written.
    """
    flow = _checked(path, flow)
    _refuse(path, (np.abs(flow) > UNKNOWN_ABOVE).any(-1), "above 1e9, in a .flo the mark of unknown; set it to NaN")
    flow[np.isnan(flow).any(-1)] = _UNKNOWN
    with atomic_path(path) as temporary:
        temporary.write_bytes(_MAGIC + struct.pack("<ii", flow.shape[1], flow.shape[0]) + flow.astype("<f4").tobytes())


def read_kitti_flow(path: FilePath) -> tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
    """Flow float32 `[h, w, 2]` in pixels, -512 to 511.98, and where it is valid, bool `[h, w]` (KITTI 2012 and 2015).

    The file is a 16-bit RGB PNG: u = (R - 2^15) / 64, v = (G - 2^15) / 64, valid = B > 0. Where it is not valid the
    flow is 0, as in KITTI's development kit.

    Raises `InputError` for a file that is not there, another kind of PNG, TartanAir's whose channels mean other things,
    one that is cut short, and any damage that breaks a checksum. Rows that a faulty writer left out are not valid, as
    every pixel without data.
    """
    channels = _read_png(path)
    if _is_tartanairs(channels):
        raise InputError(f"{path}: is TartanAir's flow, a mask in red and u in blue, not KITTI's; read_flow reads it")
    return _of_kitti(channels)


def _of_kitti(channels: UInt16[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
    valid = channels[..., 2] > 0
    flow = (channels[..., :2].astype(np.float32) - 2**15) / 64
    flow[~valid] = 0
    return flow, valid


def _is_tartanairs(channels: UInt16[np.ndarray, "h w 3"]) -> bool:
    """Whether red is a mask of 8 bits and blue more than KITTI's 0 and 1: TartanAir's version 2 was written by OpenCV,
    whose first channel is blue, as u, v and mask (castacks/tartanairpy). As KITTI's it would be flow of -512 pixels."""
    return bool(channels[..., 2].max() > 255 and channels[..., 0].max() <= 255)


def _read_png(path: FilePath) -> UInt16[np.ndarray, "h w 3"]:
    with opened(path) as (file, held):
        start = file.read(29)
        if start[:16] != _PNG_START or len(start) < 29:
            raise InputError(f"{path}: starts with {start[:8]!r}, but KITTI flow is a PNG file; check which file it is")
        width, height, depth, colour = struct.unpack(">IIBB", start[16:26])
        if (depth, colour) != (16, 2):
            kind = f"{depth}-bit {_PNG_COLOUR.get(colour, 'unknown')}"
            raise InputError(f"{path}: is a {kind} PNG, expected 16-bit RGB; give flow, not disparity or a drawing")
        # Deflate packs 1032 to 1 at best, so a header that asks for more is refused before memory is taken.
        if height * (6 * width + 1) > 1032 * held:
            raise InputError(f"{path}: {held} bytes cannot hold its header's {width} × {height} pixels; copy it again")
        if (wrong := too_large(height, width)) is not None:
            raise InputError(f"{path}: its header says that it {wrong}")
        packed = start + file.read()
    # Not Pillow: it reads 16-bit RGB as 8-bit (version 13).
    decoder = av.CodecContext.create("png", "r")
    decoder.options = {"err_detect": "crccheck+explode"}  # else a flipped bit may pass
    decoder.thread_count = 1
    try:
        (frame,) = [*decoder.decode(av.Packet(packed)), *decoder.decode(None)]
        channels = frame.to_ndarray()
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path}: is damaged or cut short, the PNG decoder gave up ({error}); copy it again"
        ) from error
    if channels.shape != (height, width, 3):
        raise InputError(f"{path}: has {channels.shape[-1]} channels, expected 3; store it without transparency")
    return channels


def write_kitti_flow(path: FilePath, flow: ArrayLike, valid: ArrayLike | None = None) -> None:
    """Writes flow `[h, w, 2]` in pixels as KITTI's 16-bit RGB PNG, rounded to 1/64 pixel; atomic.

    `valid`, bool `[h, w]`, says which pixels count: all of them by default. The others are written as zeros, and what
    the flow says there is not looked at.

    *Differs from the original:* the development kit clips what is out of range and rounds down. A clipped flow is a
    wrong flow, so here a valid pixel that is NaN, infinite or outside -512 … 511.98 raises `InputError`, as do another
    shape or type and a file that cannot be written.
    """
    flow = _checked(path, flow)
    mask = np.ones(flow.shape[:2], bool) if valid is None else np.asarray(valid)
    if mask.shape != flow.shape[:2] or mask.dtype != bool:
        raise InputError(f"{path}: valid is {mask.dtype} {list(mask.shape)}, expected bool {list(flow.shape[:2])}")
    with np.errstate(over="ignore"):
        steps = np.rint(flow * 64) + 2**15
    fits = ((steps >= 0) & (steps < 2**16)).all(-1)
    _refuse(path, mask & ~fits, "NaN or outside KITTI's -512 … 511.98; mark it not valid or write a .flo")
    channels = np.zeros((*mask.shape, 3), np.uint16)
    channels[mask, :2] = steps[mask]
    channels[mask, 2] = 1
    encoder = av.CodecContext.create("png", "w")
    encoder.height, encoder.width = mask.shape
    encoder.pix_fmt, encoder.time_base = "rgb48be", Fraction(1)
    encoder.options = {"pred": "up"}  # a third of the size without a predictor, at the same speed
    encoder.thread_count = 1
    try:
        frame = av.VideoFrame.from_ndarray(channels, format="rgb48be")
        packets = [*encoder.encode(frame), *encoder.encode(None)]
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: the PNG encoder refused flow {list(flow.shape)} ({error}); write a .flo") from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(bytes(packet) for packet in packets))


def _suffix(path: FilePath, known: Mapping[str, str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        kinds = [f"{each} ({whose})" for each, whose in known.items()]
        raise InputError(f"{path}: ends in {suffix!r}, expected {', '.join(kinds[:-1])} or {kinds[-1]}; rename it")
    return suffix


def _checked(path: FilePath, flow: ArrayLike) -> Float[np.ndarray, "h w 2"]:
    """A float64 copy, so that no check overflows and the caller's array stays as it was."""
    flow = np.asarray(flow)
    if flow.ndim != 3 or flow.shape[2] != 2 or flow.size == 0 or flow.dtype.kind in "bcOSUmM":
        raise InputError(f"{path}: flow is {flow.dtype} {list(flow.shape)}, expected real numbers [height, width, 2]")
    return np.array(flow, np.float64)


def _refuse(path: FilePath, wrong: Bool[np.ndarray, "h w"], why: str) -> None:
    if wrong.any():
        row, column = np.unravel_index(np.argmax(wrong), wrong.shape)
        where = f"{wrong.sum()} of {wrong.size} pixels, first at row {row}, column {column}"
        raise InputError(f"{path}: at {where}, the flow is {why}")


_READERS = {".flo": read_flo, ".pfm": read_pfm, ".flo5": read_flo5, ".npz": read_npz, ".npy": read_npy}
