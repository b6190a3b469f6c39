"""Opening a video file, a network stream or a camera, and saying what is in the way where that fails."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.most_pixels import MOST_PIXELS, too_large
from dvsnet_jax.media.reading.addresses import without_password
from dvsnet_jax.media.reading.streams import choose

TIMEOUT = 10.0
"""Seconds after which a stream that sends nothing counts as gone."""
# FFmpeg looks at 20 frames for the frame rate before it gives the first, which are seconds of a slow camera; and, where
# it misses anything else, at five seconds of the stream.
_SOON = {"fpsprobesize": "0", "analyzeduration": "500000"}
# Over UDP, which FFmpeg would ask an RTSP camera for first, firewalls let it promise packets that never come.
_TCP = {"rtsp_flags": "prefer_tcp"}
_DEVICE_FORMATS = ("v4l2", "avfoundation", "dshow", "gdigrab", "x11grab", "lavfi")
_MP4_BOXES = (b"ftyp", b"mdat", b"moov", b"free", b"wide", b"skip", b"pnot", b"uuid")


@dataclass(frozen=True)
class Reading:
    """How a video is read, where there are several ways."""

    rotate: bool = True
    """Turned and mirrored as the file says it is to be shown; else as it is stored. Of images too."""
    stream: int | None = None
    """Which of its video streams, from 0; the largest if not given."""
    matrix: str | None = None
    """`bt601` or `bt709`, by which colours are read where a video names none; by its size if not given."""


AS_SHOWN = Reading()


def is_live(location: str) -> bool:
    """Whether this names a network stream or a device, in place of a file."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", location)) or _device(location) is not None


def comes_once(location: str) -> bool:
    """Whether it is no regular file, such as a stream, a camera or a pipe, so that opening it again would find its
    beginning gone, or nothing."""
    return is_live(location) or not Path(location).is_file()


@contextmanager
def opened(location: str, reading: Reading = AS_SHOWN) -> Iterator[tuple[Any, Any]]:
    """PyAV's container and the video stream in it, of a network stream or camera so that the first picture comes soon.
    Raises InputError where there is none that can be read."""
    device = _device(location)
    live, name = is_live(location), without_password(location)
    if device is not None and device[0] not in av.formats_available:
        raise InputError(
            f"{name}: this PyAV cannot open it (it was built without {device[0]}); reinstall it over a full FFmpeg "
            "with 'pip install --no-binary av av', or stream the camera to a URL"
        )
    try:
        container = av.open(
            device[1] if device else location if live else _as_file(location),
            format=device[0] if device else None,
            timeout=TIMEOUT if live else None,
            options={**_SOON, **_TCP} if live else {},
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        cause = error if name == location else None  # FFmpeg's names the address
        if live and is_silence(error):
            raise InputError(f"{name}: {SILENT}; check the address, and that it sends") from cause
        hint = _live_hint(error) if live else _hint(location)
        raise InputError(f"{name}: cannot be opened ({reason(error)}); {hint}") from cause
    with container:
        stream, note = choose(container, name, reading.stream)
        if note is not None:
            tell(name, note)
        decoder = stream.codec_context
        if (wrong := too_large(decoder.height, decoder.width)) is not None:
            raise InputError(f"{name}: its header says that it {wrong}")
        decoder.options = {"max_pixels": str(MOST_PIXELS)}  # a picture may name another size than the header
        yield container, stream


def _as_file(path: str) -> str:
    """A path that FFmpeg takes for nothing else: what is before the colon of `12:30.mp4` would be a protocol."""
    return path if os.path.isabs(path) else f"{os.curdir}/{path}"  # noqa: PTH117  # as it stands, links and all


SILENT = f"sent nothing for {TIMEOUT:g} seconds"


def is_silence(error: BaseException) -> bool:
    """Whether this is what comes of a stream that sends nothing."""
    return isinstance(error, av.error.ExitError | av.error.TimeoutError)


def reason(error: BaseException) -> str:
    """FFmpeg's, in one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def tell(location: str, note: str) -> None:
    """One line for the person at the terminal, once for each file."""
    warnings.warn(f"{location}: {note}", InputNotice, stacklevel=3)


def _live_hint(error: BaseException) -> str:
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return "check user and password, which stand before the host: rtsp://USER:PASSWORD@HOST/PATH, with %40 for an @"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "check the path in the address; each kind of camera has its own"
    return "check the address"


def _hint(path: str) -> str:
    if not comes_once(path) and _lacks_index(path):
        return (
            "it is an MP4 without its index (moov), which recorders write last, so one that lost power leaves none; "
            "tools such as untrunc rebuild it with the help of a whole file of the same camera"
        )
    return "expected a video, an image, a folder of images or a .txt list of them"


def _lacks_index(path: str) -> bool:
    """Whether a file consists of MP4's boxes and has no index among them."""
    kinds: list[bytes] = []
    with suppress(OSError), Path(path).open("rb") as file:
        while len(header := file.read(8)) == 8 and header[4:] in _MP4_BOXES and len(kinds) < 100:
            kinds.append(header[4:])
            size = int.from_bytes(header[:4], "big")
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            if size < 8:  # to the end of the file, or nothing
                break
            file.seek(size - 8, 1)
    return bool(kinds) and kinds[0] in (b"ftyp", b"mdat", b"wide") and b"moov" not in kinds


def _device(location: str) -> tuple[str, str] | None:
    """(format, device) for `/dev/video0` and `FORMAT:DEVICE`, None for anything else."""
    if location.startswith("/dev/video"):
        return "v4l2", location
    prefix, colon, device = location.partition(":")
    if colon and prefix in _DEVICE_FORMATS and not Path(location).exists():
        return prefix, device
    return None
