#!/usr/bin/env bash
# H.264 can crop at all four sides. FFmpeg cuts at the right, the top and the bottom, but leaves columns at the left after which
# rows would not begin at an aligned address: 240 columns cropped by 20 and 4 come as 236, not 216; by 64 and 4 as 172.
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


shapes = {}
for left in (0, 20, 64):
    write("a.h264", "libx264", frames=4, bf="0", **{"x264-params": f"crop-rect={left},12,4,4"})
    frame = next(decode("a.h264"))
    shapes[left] = (frame.width, frame.height)
print("width and height of 240 × 144 cropped by 12, 4, 4 at top, right and bottom, and at the left by", shapes)
assert shapes == {0: (236, 128), 20: (236, 128), 64: (172, 128)}
PYTHON
