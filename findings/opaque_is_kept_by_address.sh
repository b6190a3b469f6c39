#!/usr/bin/env bash
# With copy_opaque a frame has its packet's `opaque`. PyAV keeps these objects in a table by address, so where two packets are
# given one object (a small integer is one), the end of the first takes it from the second, whose frames come with None.
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


write("a.mp4", "libx264", bf="2")


def opaques(path, label):
    with av.open(path) as file:
        stream = file.streams.video[0]
        stream.codec_context.copy_opaque = True
        frames = []
        for number, packet in enumerate(file.demux(stream)):
            packet.opaque = label(number)
            frames += packet.decode()
        return frames


first = opaques("a.mp4", lambda number: number)
second = opaques("a.mp4", lambda number: number)
before = [frame.opaque for frame in second]
del first
after = [frame.opaque for frame in second]
first = opaques("a.mp4", lambda number: (number,))
third = opaques("a.mp4", lambda number: (number,))
del first
print("while the other frames live:", before[:4], "after:", after[:4], "objects of their own:", [f.opaque for f in third][:4])
assert None not in before and set(after) == {None} and None not in [frame.opaque for frame in third]
PYTHON
