"""A photo as phones keep them: HEIC, cut into tiles that are coded one by one."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
from made_videos import encode


def box(kind: str, *content: bytes, version: int | None = None, flags: int = 0) -> bytes:
    body = b"".join(content)
    if version is not None:
        body = struct.pack(">I", version << 24 | flags) + body
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def tiled_heic(path: Path, picture: np.ndarray, tile: int) -> Path:
    """RGB of whole square tiles, row by row, below one item that puts them together."""
    height, width = picture.shape[:2]
    rows, columns = height // tile, width // tile
    coded, settings = [], b""
    for row in range(rows):
        for column in range(columns):
            part = picture[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
            place = encode(path.with_suffix(".mkv"), [part], "libx265", **{"x265-params": "log-level=none"})
            with av.open(str(place)) as container:
                settings = container.streams.video[0].codec_context.extradata
                coded += [bytes(packet) for packet in container.demux(video=0) if packet.size]
            place.unlink()
    tiles = range(2, 2 + len(coded))
    grid = struct.pack(">4B2H", 0, 0, rows - 1, columns - 1, width, height)

    def meta(start: int) -> bytes:
        """The index; pictures begin at a place in the file."""
        starts = np.cumsum([start, *map(len, coded)])[:-1]
        entries = [
            (1, 1, 0, len(grid)),
            *((item, 0, at, len(data)) for item, at, data in zip(tiles, starts, coded, strict=True)),
        ]
        kinds = [(1, 0, b"grid"), *((item, 1, b"hvc1") for item in tiles)]
        return box(
            "meta",
            box("hdlr", struct.pack(">I4s12x", 0, b"pict"), b"\0", version=0),
            box("pitm", struct.pack(">H", 1), version=0),
            box(
                "iinf",
                struct.pack(">H", len(kinds)),
                *(box("infe", struct.pack(">HH4sx", item, 0, kind), version=2, flags=hid) for item, hid, kind in kinds),
                version=0,
            ),
            box("iref", box("dimg", struct.pack(f">{2 + len(coded)}H", 1, len(coded), *tiles)), version=0),
            box(
                "iprp",
                box(
                    "ipco",
                    box("hvcC", settings),
                    box("ispe", struct.pack(">II", tile, tile), version=0),
                    box("ispe", struct.pack(">II", width, height), version=0),
                ),
                box(
                    "ipma",
                    struct.pack(">I", 1 + len(coded)),
                    struct.pack(">HBB", 1, 1, 3),
                    *(struct.pack(">HBBB", item, 2, 0x81, 2) for item in tiles),
                    version=0,
                ),
            ),
            box(
                "iloc",
                struct.pack(">BBH", 0x44, 0, len(entries)),
                *(struct.pack(">HHHHII", item, way, 0, 1, at, size) for item, way, at, size in entries),
                version=1,
            ),
            box("idat", grid),
            version=0,
        )

    head = box("ftyp", b"heic", bytes(4), b"mif1", b"heic")
    path.write_bytes(head + meta(len(head) + len(meta(0)) + 8) + box("mdat", *coded))
    return path
