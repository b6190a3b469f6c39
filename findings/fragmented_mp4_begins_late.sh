#!/usr/bin/env bash
# FFmpeg writes a fragmented MP4 without an edit list. With B frames its first picture is then shown late, by as many frames as the
# encoder holds back: a file of the same packets that is not fragmented begins at 0. hybrid_fragmented takes negative_cts_offsets against it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import av
import numpy as np

print("PyAV", av.__version__, "libavformat", ".".join(map(str, av.library_versions["libavformat"])))
times = {}
for flags in ("", "hybrid_fragmented", "hybrid_fragmented+negative_cts_offsets"):
    with av.open("made.mp4", "w", options={"movflags": flags} if flags else {}) as file:
        stream = file.add_stream("libx264", rate=10, options={"bf": "2"})
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        for level in range(8):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 30 * level, np.uint8), format="rgb24")
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    with av.open("made.mp4") as file:
        times[flags] = [round(frame.time, 3) for frame in file.decode(video=0)]
    print(f"{flags or 'not fragmented'}: frames at {times[flags][:3]} … s")
plain, fragmented, mended = times.values()
assert plain[0] == mended[0] == 0 and fragmented[0] == 0.2
PYTHON
