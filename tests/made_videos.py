"""Video files as cameras, phones and broken tools leave them, made of given frames."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dvsnet_jax.media.reading.opened import AS_SHOWN, Reading
from dvsnet_jax.media.sources import Frame, open_source

# By name, how a picture is stored that is shown upright, and the first numbers of its matrix's rows: a, b, c, d.
TURNS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], tuple[int, int, int, int]]] = {
    "left": (lambda f: np.rot90(f, 1), (0, 1, -1, 0)),
    "right": (lambda f: np.rot90(f, -1), (0, -1, 1, 0)),
    "half": (lambda f: np.rot90(f, 2), (-1, 0, 0, -1)),
    "mirror": (lambda f: f[:, ::-1], (-1, 0, 0, 1)),
    "flip": (lambda f: f[::-1], (1, 0, 0, -1)),
    "across": (lambda f: f.swapaxes(0, 1), (0, 1, 1, 0)),
    "anti": (lambda f: np.rot90(f, 2).swapaxes(0, 1), (0, -1, -1, 0)),
}


def encode(
    path: Path,
    frames: Sequence[np.ndarray],
    codec: str = "libx264",
    *,
    pix_fmt: str = "yuv420p",
    rate: int = 20,
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    prepare: Callable[[av.VideoFrame], av.VideoFrame] = lambda frame: frame,
    container_options: dict[str, str] | None = None,
    **options: object,
) -> Path:
    """RGB frames as a video; `prepare` is given each before it is encoded, `options` are the encoder's."""
    settings = {name.replace("_", "-"): str(value) for name, value in {"preset": "ultrafast", **options}.items()}
    if codec != "libx264":
        settings.pop("preset")
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=settings)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if time_base is not None:
            stream.time_base = stream.codec_context.time_base = time_base
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = prepare(picture.reformat(format=pix_fmt))
            picture.pts = index if pts is None else pts[index]
            picture.time_base = time_base or Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def several(path: Path, clips: Sequence[Sequence[np.ndarray]]) -> Path:
    """Several video streams in one file."""
    with av.open(str(path), "w") as container:
        streams = []
        for clip in clips:
            stream = container.add_stream("libx264", rate=20, options={"preset": "ultrafast"})
            stream.height, stream.width, stream.pix_fmt = *clip[0].shape[:2], "yuv420p"
            streams.append(stream)
        for frames in zip(*clips, strict=True):
            for stream, frame in zip(streams, frames, strict=True):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


def mark(path: Path, matrix: tuple[int, int, int, int], width: int = 0, height: int = 0) -> Path:
    """Writes a display matrix (a, b, c, d) into an MP4's track header."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, width << 16, height << 16, 1 << 30)
    path.write_bytes(content)
    return path


def frames_of(path: Path | str, reading: Reading = AS_SHOWN) -> list[Frame]:
    with closing(open_source(path, reading=reading).frames()) as frames:  # type: ignore[type-var]
        return list(frames)


def distance(one: np.ndarray | None, other: np.ndarray) -> float:
    """Mean difference, grey levels; 255 for pictures of different sizes."""
    if one is None or one.shape != other.shape:
        return 255.0
    return float(np.abs(one.astype(float) - other).mean())
