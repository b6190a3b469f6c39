#!/usr/bin/env bash
# av.open of a live transport stream gives nothing before FFmpeg has looked at some 20 frames for the frame rate: four seconds of
# a camera of 5 frames a second. `analyzeduration` alone shortens that by half; with `fpsprobesize=0` three frames are enough. And an
# HTTP stream without a length, as cameras send it, ends with an I/O error, not with "end of file", when the sender closes it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np

print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])

FRAMES = 40
noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
file, ends = io.BytesIO(), [0]
with av.open(file, "w", format="mpegts") as container:
    stream = container.add_stream("libx264", rate=5, options={"g": "10", "tune": "zerolatency"})
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for number in range(FRAMES):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, number, 1), format="rgb24")))
        ends.append(file.tell())
content = file.getvalue()

opened = threading.Event()
sent = []


class Camera(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        for number in range(FRAMES):
            self.wfile.write(content[ends[number] : ends[number + 1]])
            sent[-1] = number + 1
            opened.wait(0.2)  # in real time, until the client has opened it

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
threading.Thread(target=server.serve_forever, daemon=True).start()


def look(**options):
    """Frames that were sent before `av.open` came back, frames that could be decoded, and how it ended."""
    opened.clear()
    sent.append(0)
    end, count = "end of file", 0
    with av.open(f"http://127.0.0.1:{server.server_port}/camera", options=options, timeout=30) as container:
        before = sent[-1]
        opened.set()
        try:
            for _ in container.decode(video=0):
                count += 1
        except av.error.FFmpegError as error:
            end = error.strerror
    return before, count, end


results = {}
for name, options in {
    "as it is": {},
    "analyzeduration=0.5 s": {"analyzeduration": "500000"},
    "fpsprobesize=0 besides": {"analyzeduration": "500000", "fpsprobesize": "0"},
}.items():
    results[name] = look(**options)
    print(f"{name}: {results[name][0]} frames sent before it was open, {results[name][1]} decoded, then: {results[name][2]}")
whole, short, without = (result[0] for result in results.values())
assert whole > 15 and without <= 5 and short > without
assert all(end == "Input/output error" for _, _, end in results.values())
PYTHON
