#!/usr/bin/env bash
# A photo in HEIC, as phones keep it, is cut into tiles. FFmpeg (through PyAV 18.1) opens such a file as MP4 with a video stream a
# tile, and no stream of the whole: whoever takes the first or the largest has one tile of it, without an error. What tells is
# the disposition "dependent" of each; how the tiles lie (FFmpeg's stream groups) PyAV does not give. libheif reads the photo whole.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 pillow-heif==1.8.1 numpy==2.4.6
cd "$folder" && venv/bin/python -W error - <<'PYTHON'
import struct
from fractions import Fraction

import av
import numpy as np
import pillow_heif

print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"], "libheif", pillow_heif.libheif_version())
TILE = 64


def box(kind, *content, version=None, flags=0):
    body = b"".join(content)
    body = body if version is None else struct.pack(">I", version << 24 | flags) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


coded = []
for level in (40, 200):  # two tiles beside each other
    with av.open("tile.mkv", "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=none"})
        stream.width = stream.height = TILE
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((TILE, TILE, 3), level, np.uint8), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open("tile.mkv") as container:
        settings = container.streams.video[0].codec_context.extradata
        coded += [bytes(packet) for packet in container.demux(video=0) if packet.size]

grid = struct.pack(">4B2H", 0, 0, 0, 1, 2 * TILE, TILE)  # one row of two


def meta(start):
    entries = [(1, 1, 0, len(grid)), (2, 0, start, len(coded[0])), (3, 0, start + len(coded[0]), len(coded[1]))]
    kinds = ((1, 0, b"grid"), (2, 1, b"hvc1"), (3, 1, b"hvc1"))
    sizes = [box(b"ispe", struct.pack(">II", width, TILE), version=0) for width in (TILE, 2 * TILE)]
    names = [box(b"infe", struct.pack(">HH4sx", item, 0, kind), version=2, flags=hidden) for item, hidden, kind in kinds]
    uses = struct.pack(">I HBB HBBB HBBB".replace(" ", ""), 3, 1, 1, 3, 2, 2, 0x81, 2, 3, 2, 0x81, 2)
    return box(
        b"meta",
        box(b"hdlr", struct.pack(">I4s12x", 0, b"pict"), b"\0", version=0),
        box(b"pitm", struct.pack(">H", 1), version=0),
        box(b"iinf", struct.pack(">H", 3), *names, version=0),
        box(b"iref", box(b"dimg", struct.pack(">4H", 1, 2, 2, 3)), version=0),
        box(b"iprp", box(b"ipco", box(b"hvcC", settings), *sizes), box(b"ipma", uses, version=0)),
        box(
            b"iloc",
            struct.pack(">BBH", 0x44, 0, 3),
            *(struct.pack(">HHHHII", item, way, 0, 1, at, size) for item, way, at, size in entries),
            version=1,
        ),
        box(b"idat", grid),
        version=0,
    )


head = box(b"ftyp", b"heic", bytes(4), b"mif1", b"heic")
with open("photo.heic", "wb") as file:
    file.write(head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", *coded))

whole = pillow_heif.open_heif("photo.heic")
with av.open("photo.heic") as container:
    streams = [(s.codec_context.width, s.codec_context.height, s.disposition.name) for s in container.streams.video]
    first = next(container.decode(video=0))
print("libheif:", whole.size, "PyAV:", streams, "first frame:", (first.width, first.height))
assert whole.size == (2 * TILE, TILE)
assert streams == 2 * [(TILE, TILE, "dependent")] and (first.width, first.height) == (TILE, TILE)
assert not hasattr(container, "stream_groups")
PYTHON
