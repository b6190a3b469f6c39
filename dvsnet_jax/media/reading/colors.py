"""From a decoded frame to RGB, by the matrix and range that the file names, or those that its kind of video has."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

_BT709, _UNSPECIFIED, _BT601, _BT2020, _BT2020_CONSTANT = 1, 2, 5, 9, 10  # FFmpeg's numbers for the matrices
MATRICES = {"bt601": _BT601, "bt709": _BT709}
"""Those that may be taken for a video that names none."""
_LIMITED, _FULL = 1, 2  # and for the ranges 16..235 and 0..255
_HD_ROWS, _HD_COLUMNS = 720, 1280
_PQ, _HLG = 16, 18
_HDR = {_PQ: "PQ", _HLG: "HLG"}
_NOT_READ = {8: "YCgCo", 11: "SMPTE 2085", 12: "of its own primaries", 13: "of its own primaries", 14: "ICtCp"}

_WHITE = 203.0  # nits of a white sheet in HDR video (ITU-R BT.2408); it becomes SDR's white
_KNEE = 0.8  # share of it from which on brighter ones are pressed together
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # of linear light, BT.2020 → BT.709 (ITU-R BT.2087)


def rgb(frame: Any) -> UInt8[np.ndarray, "height width 3"]:
    """A PyAV frame as it is stored, RGB 0..255, as an SDR screen shows it.

    A colour matrix that is not named is BT.709 for HD and BT.601 for less, as players take it. (FFmpeg's own conversion
    takes BT.601 for all: up to 39 of 255 off.) HDR (PQ and HLG) becomes SDR: white where HDR has 203 nits.
    """
    if not frame.format.is_rgb:
        if frame.colorspace == _UNSPECIFIED:
            frame.colorspace = _BT709 if _is_hd(frame) else _BT601
        elif frame.colorspace == _BT2020_CONSTANT:
            frame.colorspace = _BT2020
    if frame.color_trc in _HDR:
        coded = frame.to_ndarray(format="rgb48le", dst_color_range=_FULL, threads=1)
        return _to_sdr(_over_all(coded) if _is_narrow_grey(frame) else coded, frame.color_trc)
    # In one thread: with several, which FFmpeg would take, a frame of 960×540 took eight times as long.
    image = np.asarray(frame.to_ndarray(format="rgb24", dst_color_range=_FULL, threads=1))
    return _over_all(image) if _is_narrow_grey(frame) else image


def _is_narrow_grey(frame: Any) -> bool:
    """Whether it has no colours and black at 16, as HEVC's greys have, which FFmpeg converts as if black were at 0."""
    return bool(frame.color_range == _LIMITED and frame.format.name.startswith("gray"))


def _over_all(narrow: UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"]) -> Any:
    """Values from 16 to 235 (of 16 bits, 256 times as large) over all that their type has."""
    most = np.iinfo(narrow.dtype).max
    unit = (most + 1) // 256
    values = np.arange(most + 1, dtype=np.float32)
    table = np.clip((values - 16 * unit) * (most / (219 * unit)) + 0.5, 0, most).astype(narrow.dtype)
    return table[narrow]


def with_matrix(frame: Any, matrix: str | None) -> Any:
    """The frame, its colours by a `matrix` of `MATRICES` where it names none."""
    if matrix is not None and _unnamed(frame):
        frame.colorspace = MATRICES[matrix]
    return frame


def unnamed_matrix(frame: Any) -> str | None:
    """What is to be said of a frame that names no matrix, where BT.709 is taken for it."""
    if not _unnamed(frame) or not _is_hd(frame):
        return None
    return (
        "names no matrix for its colours; BT.709 is taken, as cameras mean it and players show it. OpenCV, imageio and "
        "FFmpeg make BT.601 of pictures and do not name it either; for those 'dvsnet segment' has --matrix bt601, and "
        "DATA of other commands an ending, video:drive.mp4@bt601"
    )


def _unnamed(frame: Any) -> bool:
    return not frame.format.is_rgb and len(frame.format.components) > 2 and frame.colorspace == _UNSPECIFIED


def _is_hd(frame: Any) -> bool:
    return bool(frame.height >= _HD_ROWS or frame.width >= _HD_COLUMNS)


def strange_colors(frame: Any) -> str | None:
    """What is to be said of a frame's colours, where they may come out other than they were meant."""
    if frame.color_trc in _HDR:
        return f"is HDR video ({_HDR[frame.color_trc]}); it is segmented as SDR shows it, the brightest parts paler"
    if _is_narrow_grey(frame):  # which HEVC's decoder says of files that say nothing, too
        return (
            "is grey with black at 16 and white at 235, as HEVC has it where a file says nothing else; PyAV and FFmpeg "
            "may make such files of 0 to 255 and not say so, which come out too hard: make them anew with their range "
            "(color_range pc)"
        )
    if "f32" in frame.format.name or "f16" in frame.format.name:
        return (
            "has floating-point pixels, of which 0 to 1 is taken, as a screen shows it; linear light, as EXR and HDR "
            "files have it, comes out too dark: convert it to 8 or 16 bits of sRGB first"
        )
    if frame.colorspace in _NOT_READ and not frame.format.is_rgb:
        return (
            f"has colours that are not read here (a matrix {_NOT_READ[frame.colorspace]}), so they come out wrong; "
            "convert it to BT.709 first"
        )
    return None


def _to_sdr(coded: UInt16[np.ndarray, "h w 3"], transfer: int) -> UInt8[np.ndarray, "h w 3"]:
    light = _light(transfer)[coded] @ _TO_BT709.T
    return _shown()[(np.clip(light, 0, 1) * 4095 + 0.5).astype(np.uint16)]


@cache
def _light(transfer: int) -> Float32[np.ndarray, "65536"]:
    """Linear light of each coded value, 1 at SDR's white; what is brighter is pressed together below 1."""
    value = np.linspace(0, 1, 65536)
    if transfer == _PQ:  # SMPTE ST 2084
        root = value ** (32 / 2523)
        nits = 10000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
    else:  # ITU-R BT.2100, on a screen of 1000 nits; its gamma channel by channel
        scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        nits = 1000 * scene**1.2
    light = nits / _WHITE
    pressed = _KNEE + (1 - _KNEE) * np.tanh((light - _KNEE) / (1 - _KNEE))
    return np.where(light > _KNEE, pressed, light).astype(np.float32)


@cache
def _shown() -> UInt8[np.ndarray, "4096"]:
    """sRGB's value, 0..255, of linear light 0..4095."""
    light = np.linspace(0, 1, 4096)
    value = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(255 * value).astype(np.uint8)
