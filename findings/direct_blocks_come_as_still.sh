#!/usr/bin/env bash
# In MPEG-4 (Part 2) a block of a B frame in direct mode takes its motion from another frame's block. FFmpeg reports such blocks
# with vectors of zero, though the picture moves; MPEG-2, which has no direct mode, reports what there is.
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


for codec in ("mpeg4", "mpeg2video"):
    write(f"{codec}.mkv", codec, bf="2", b="4000000")
    still = []
    for frame in decode(f"{codec}.mkv"):
        table = vectors(frame)
        if frame.pict_type == av.video.frame.PictureType.B and table is not None:
            still.append(float(np.mean((table["motion_x"] == 0) & (table["motion_y"] == 0))))
    print(codec, "share of zero vectors in B frames:", round(float(np.mean(still)), 2))
    assert np.mean(still) > 0.5 if codec == "mpeg4" else np.mean(still) < 0.1
PYTHON
