#!/usr/bin/env bash
# Where a file has B frames and the decoder decodes several frames at a time, some come without their vectors, others from one
# run to the next; the pixels are the same. Threads for slices lose none.
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


write("a.mp4", "libx264", frames=48, bf="3")


def seen(**settings):
    frames = list(decode("a.mp4", **settings))
    return [vectors(frame) is not None for frame in frames], [frame.to_ndarray(format="gray") for frame in frames]


have, pixels = seen(thread_type="SLICE", thread_count=4)
for run in range(1, 201):
    threaded, same = seen(thread_type="FRAME", thread_count=4)
    assert np.array_equal(same, pixels)
    if threaded != have:
        break
print("frames with vectors:", sum(have), "of", len(have), "- with frame threads, in run", run, ":", sum(threaded))
assert sum(have) == 47 and sum(threaded) < 47
PYTHON
