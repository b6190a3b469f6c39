#!/usr/bin/env bash
# A PyAV frame whose `side_data` was looked at is not freed when the last name for it goes: the two hold each other, and its pixels
# stay until Python's collector goes through all its generations. Frames that were not asked are freed at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import gc

import av
import numpy as np

print("PyAV", av.__version__)
with av.open("made.mp4", "w") as file:
    stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
    stream.height = stream.width = 64
    stream.pix_fmt = "yuv420p"
    for level in range(100):
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")))
    file.mux(stream.encode(None))


def left(ask):
    """Frames that are there after all were decoded and let go of."""
    gc.collect()
    gc.disable()
    with av.open("made.mp4") as file:
        for frame in file.decode(video=0):
            if ask:
                frame.side_data.get("DISPLAYMATRIX")
        del frame
    count = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
    gc.enable()
    return count


plain, asked = left(False), left(True)
gc.collect()
after = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
print(f"of 100 frames {plain} stay; of 100 that were asked for side data {asked}, and {after} after the collector")
assert plain == 0 and asked == 100 and after == 0
PYTHON
