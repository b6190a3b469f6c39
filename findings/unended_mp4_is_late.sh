#!/usr/bin/env bash
# A fragmented MP4 with B frames and negative_cts_offsets that is cut off before it is ended, as after a kill: FFmpeg reads its frames
# late by as many as the encoder holds back, where those of the same file, once it is ended, are read at their times. Without B
# frames both are the same. So a video that may be cut off, and gone on with, is written without.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import av
import numpy as np

print("PyAV", av.__version__, "libavformat", ".".join(map(str, av.library_versions["libavformat"])))
OPTIONS = {"movflags": "hybrid_fragmented+negative_cts_offsets", "frag_duration": "500000"}
picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
late = {}
for frames in ("2", "0"):
    with open("made.mp4", "wb", buffering=0) as raw, av.open(raw, "w", format="mp4", options=OPTIONS) as file:
        stream = file.add_stream("libx264", rate=10, options={"bf": frames, "preset": "veryfast"})
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        for number in range(90):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(picture, number, 1), format="rgb24")))
        cut = open("made.mp4", "rb").read()  # before it is ended
        file.mux(stream.encode(None))
    open("cut.mp4", "wb").write(cut)
    times = []
    for name in ("made.mp4", "cut.mp4"):
        with av.open(name) as file:
            times.append({bytes(packet): packet.pts * packet.time_base for packet in file.demux(video=0) if packet.size})
    whole, part = times
    late[frames] = sorted({round(float(part[content] - whole[content]), 3) for content in part})
    print(f"{frames} B frames: {len(part)} frames in the cut file, late by {late[frames]} s")
assert max(late["2"]) > 0 and late["0"] == [0.0]
PYTHON
