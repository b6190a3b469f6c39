#!/usr/bin/env bash
# Recordings that are joined byte by byte (cat a b > c): of Matroska, WebM, AVI, MPEG and raw H.264 PyAV and OpenCV give all
# frames; of MP4, QuickTime, FLV and WMV those of the first recording, and end in good order; of MP4 in fragments they leave out the
# first fragment of the second. Nothing is said, and of MP4 the header's count of frames is that of what comes.
# Seen with PyAV 18.1.0 (libavformat 62.12.102) and OpenCV 5.0.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import numpy as np

av.logging.set_level(av.logging.ERROR)
print(*(f"{name} {version(name)}" for name in ("av", "opencv-python-headless")))
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def write(path, codec, options):
    """Eight frames, a key frame every four."""
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate=20, options={"g": "4", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        for number in range(8):
            picture = np.full((96, 160, 3), 20 + 25 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def by_opencv(path):
    video, frames = cv2.VideoCapture(path), 0
    while video.read()[0]:
        frames += 1
    return frames


kinds = {
    "a.mkv": "libx264", "a.webm": "libvpx", "a.avi": "mpeg4", "a.mpg": "mpeg2video", "a.h264": "libx264", "a.mp4": "libx264",
    "a.mov": "mpeg4", "a.flv": "libx264", "a.wmv": "wmv2", "fragments.mp4": "libx264",
}  # fmt: skip
found = {}
for path, codec in kinds.items():
    write(path, codec, FRAGMENTS if path.startswith("fragments") else {})
    joined = f"joined_{path}"
    Path(joined).write_bytes(2 * Path(path).read_bytes())
    with av.open(joined) as container:
        found[path] = sum(1 for _ in container.decode(video=0)), container.streams.video[0].frames, by_opencv(joined)
    print(f"{joined}, 16 frames: PyAV gives {found[path][0]}, its header says {found[path][1] or 'nothing'}, OpenCV gives {found[path][2]}")
for path, (frames, header, opencv) in found.items():
    whole = Path(path).suffix in (".mkv", ".webm", ".avi", ".mpg", ".h264")
    assert frames == (16 if whole else 12 if path.startswith("fragments") else 8), path
    assert opencv == frames, path
assert found["a.mp4"][1] == found["a.mov"][1] == 8
PYTHON
