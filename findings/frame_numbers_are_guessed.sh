#!/usr/bin/env bash
# The n-th frame, asked for by its number, is another one where a reader makes a time of it by the mean frame rate and looks there.
# imageio's PyAV plugin (`imread(path, index=n, plugin="pyav")`) takes every file for one of constant rate, though its documentation has
# the file asked: of a phone's MP4 of variable rate it gives frame 69 as the 118th, and of a Matroska file of constant rate, whose times
# are in whole milliseconds, the next frame for some. OpenCV's CAP_PROP_POS_FRAMES does so in a Matroska file of variable rate: 22
# frames off, and what it then says of its position is the number asked for. Nothing is said. Read in order, or in imageio with
# constant_framerate=False, all are right. Seen with imageio 2.38.1, PyAV 18.1.0, OpenCV 5.0.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check imageio==2.38.1 av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from fractions import Fraction
from importlib.metadata import version

import av
import cv2
import imageio.v3
import numpy as np

av.logging.set_level(av.logging.ERROR)
print(*(f"{name} {version(name)}" for name in ("imageio", "av", "opencv-python-headless")))
COUNT, ASKED = 120, (7, 29, 30, 31, 50, 93, 100, 118)


def numbered(number):
    """Black and white bars that say the frame's number."""
    return np.repeat([[255 * (number >> bit & 1) for bit in range(8)]], 16, 1).astype(np.uint8).repeat(64, 0)[..., None].repeat(3, 2)


def number_of(picture):
    return sum(int(picture[32, 16 * bit + 8, 1] > 127) << bit for bit in range(8))


def write(path, times):
    """Frames shown at these times, in 1/90000 of a second; each 30th is a key frame."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "30"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def by_imageio(path, **options):
    return [number_of(imageio.v3.imread(path, index=number, plugin="pyav", **options)) for number in ASKED]


def by_opencv(path):
    capture, found = cv2.VideoCapture(path), []
    for number in ASKED:
        assert capture.set(cv2.CAP_PROP_POS_FRAMES, number) and capture.get(cv2.CAP_PROP_POS_FRAMES) == number
        found.append(number_of(capture.read()[1]))
    return found


def in_order(path):
    capture, found = cv2.VideoCapture(path), []
    while (read := capture.read())[0]:
        found.append(number_of(read[1]))
    return found


steps = np.random.default_rng(0).choice([2900, 3000, 3100, 3000, 4500, 6000], COUNT - 1)  # a phone in a dim room: 15 to 31 a second
variable, constant = [0, *np.cumsum(steps)], range(0, 3000 * COUNT, 3000)
print(f"asked for: {list(ASKED)}")
off = {}
for kind, times in (("constant", constant), ("variable", variable)):
    for suffix in ("mp4", "mkv"):
        path = f"{kind}.{suffix}"
        write(path, times)
        assert in_order(path) == list(range(COUNT)) == [number_of(each) for each in imageio.v3.imiter(path, plugin="pyav")]
        assert by_imageio(path, constant_framerate=False) == list(ASKED)
        for reader, read in (("imageio", by_imageio), ("OpenCV", by_opencv)):
            found = read(path)
            off[reader, path] = max(abs(number - asked) for number, asked in zip(found, ASKED, strict=True))
            print(f"{path}: {reader}: {found}, up to {off[reader, path]} off")
assert off["imageio", "constant.mp4"] == off["OpenCV", "constant.mp4"] == off["OpenCV", "constant.mkv"] == 0
assert off["imageio", "variable.mp4"] > 40 and off["imageio", "variable.mkv"] > 10 and off["imageio", "constant.mkv"] == 1
assert off["OpenCV", "variable.mkv"] > 10
PYTHON
