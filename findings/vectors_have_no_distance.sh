#!/usr/bin/env bash
# A motion vector says whether it comes from list 0 (source -1) or list 1 (+1), and nothing of how many frames away its
# reference is. In a file with B frames the same motion of 4 pixels a frame comes as 4, 8, 12, … pixels.
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


write("a.mp4", "libx264", **{"x264-params": "bframes=2:b-adapt=0:b-pyramid=none"})
sources, lengths = set(), set()
for frame in decode("a.mp4"):
    table = vectors(frame)
    if table is not None:
        sources |= set(table["source"].tolist())
        for source in np.unique(table["source"]):
            lengths.add(float(np.median(table["motion_x"][table["source"] == source] / 4)))
print("source:", sorted(sources), "pixels in x, medians of the frames:", sorted(lengths))
assert sources == {-1, 1} and {-8, -4, 4, 8, 12} <= lengths
PYTHON
