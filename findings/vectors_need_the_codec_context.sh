#!/usr/bin/env bash
# flags2=+export_mvs given to av.open is accepted without a word, and no frame comes with vectors; on the codec context it works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import av
import numpy as np

print("PyAV", av.__version__, "libavcodec", av.library_versions["libavcodec"])

texture = np.kron(np.random.default_rng(0).integers(0, 255, (80, 240), np.uint8), np.ones((4, 4), np.uint8))


def write(path, codec, frames=24, **options):
    """A texture that moves 4 pixels a frame."""
    with av.open(path, "w") as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 240, 144, "yuv420p"
        for t in range(frames):
            picture = np.ascontiguousarray(texture[40:184, 8 + 4 * t : 248 + 4 * t])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        file.mux(stream.encode())


def decode(path, **settings):
    with av.open(path) as file:
        decoder = file.streams.video[0].codec_context
        decoder.options = {"flags2": "+export_mvs"}
        for name, value in settings.items():
            setattr(decoder, name, value)
        yield from file.decode(video=0)


def vectors(frame):
    found = frame.side_data.get("MOTION_VECTORS")
    return None if found is None else found.to_ndarray()


write("a.mp4", "libx264", bf="0")
with av.open("a.mp4", options={"flags2": "+export_mvs"}) as file:
    by_open = sum(vectors(frame) is not None for frame in file.decode(video=0))
by_context = sum(vectors(frame) is not None for frame in decode("a.mp4"))
print("frames with vectors: asked for in av.open", by_open, "on the codec context", by_context, "of 24")
assert by_open == 0 and by_context == 23
PYTHON
