#!/usr/bin/env bash
# A video that is stored turned or mirrored, and marked so (by phones, by cameras with a mirror picture, by editors), comes out of
# readers in four ways. OpenCV takes an angle out of the mark and no more: a picture that is to be mirrored left to right is turned by
# half and stands on its head, one to be mirrored top to bottom stays on it, and CAP_PROP_ORIENTATION_META says 180 and 0. imageio's PyAV
# plugin turns nothing, so an upright phone's video lies on its side; moviepy turns it and squeezes it into the size in which it is
# stored. FFmpeg's command, and imageio's other plugin by it, do as players do. Nothing is said of any. Seen with OpenCV 5.0.0,
# imageio 2.38.1 with imageio-ffmpeg 0.8.1, whose FFmpeg is 9.0.2, PyAV 18.1.0, moviepy 2.2.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check imageio==2.38.1 imageio-ffmpeg==0.8.1 moviepy==2.2.1 av==18.1.0 \
  opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import logging
import struct
import subprocess
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import imageio
import imageio.v3
import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip

av.logging.set_level(av.logging.ERROR)
logging.disable(logging.WARNING)  # of sizes
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
print(*(f"{name} {version(name)}" for name in ("opencv-python-headless", "imageio", "imageio-ffmpeg", "av", "moviepy")))
HEIGHT, WIDTH, ONE = 96, 160, 0x10000
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
quarters = np.array(list(COLOURS.values()), np.uint8).reshape(2, 2, 3)
upright = quarters.repeat(HEIGHT // 2, 0).repeat(WIDTH // 2, 1)  # red and green above blue and white: as it is to be seen
RIGHT = f"{WIDTH}×{HEIGHT} red green / blue white"


def said(picture):
    """Its size and its four corners."""
    (height, width), corners = picture.shape[:2], []
    for y, x in ((0.2, 0.2), (0.2, 0.8), (0.8, 0.2), (0.8, 0.8)):
        far = {name: np.abs(picture[int(y * height), int(x * width)].astype(int) - rgb).max() for name, rgb in COLOURS.items()}
        corners.append(min(far, key=far.get))
    return f"{width}×{height} {corners[0]} {corners[1]} / {corners[2]} {corners[3]}"


def write(path, stored, matrix):
    """A video of pictures as they are stored, and in the header of its track the mark that says how they are shown."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        (stream.height, stream.width), stream.pix_fmt = stored.shape[:2], "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray(Path(path).read_bytes())
    place = content.index(b"tkhd") + 44
    (a, b), (c, d), (x, y) = matrix
    content[place : place + 36] = struct.pack(">9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, x * ONE, y * ONE, 0x40000000)
    Path(path).write_bytes(content)


def by_ffmpeg(path):
    subprocess.run([FFMPEG, "-v", "error", "-y", "-i", path, "-frames:v", "1", "a.png"], check=True)
    return cv2.imread("a.png")[..., ::-1]


def by_moviepy(path):
    with VideoFileClip(path) as clip:
        return clip.get_frame(0)


readers = {
    "ffmpeg": by_ffmpeg, "imageio": lambda path: imageio.get_reader(path, "ffmpeg").get_data(0),
    "OpenCV": lambda path: cv2.VideoCapture(path).read()[1][..., ::-1],
    "imageio with PyAV": lambda path: imageio.v3.imread(path, plugin="pyav", index=0), "moviepy": by_moviepy,
}  # fmt: skip
marks = {
    "none": (upright, ((1, 0), (0, 1), (0, 0))),
    "a quarter to the right": (np.rot90(upright), ((0, 1), (-1, 0), (HEIGHT, 0))),
    "a quarter to the left": (np.rot90(upright, 3), ((0, -1), (1, 0), (0, WIDTH))),
    "a half": (np.rot90(upright, 2), ((-1, 0), (0, -1), (WIDTH, HEIGHT))),
    "mirrored left to right": (upright[:, ::-1], ((-1, 0), (0, 1), (WIDTH, 0))),
    "mirrored top to bottom": (upright[::-1], ((1, 0), (0, -1), (0, HEIGHT))),
}
for name, (stored, matrix) in marks.items():
    write("a.mp4", stored, matrix)
    found = {reader: said(read("a.mp4")) for reader, read in readers.items()}
    angle = cv2.VideoCapture("a.mp4").get(cv2.CAP_PROP_ORIENTATION_META)
    print(f"to be turned or mirrored: {name}; OpenCV's angle {angle:.0f}")
    for reader, picture in found.items():
        print(f"    {reader}: {picture}{'' if picture == RIGHT else '  <- not as it is to be seen'}")
    quarter, mirrored = name.startswith("a quarter"), name.startswith("mirrored")
    assert found["ffmpeg"] == found["imageio"] == RIGHT
    assert (found["OpenCV"] == RIGHT) == (not mirrored)
    if mirrored:
        assert found["OpenCV"] == f"{WIDTH}×{HEIGHT} blue white / red green" and angle == (180 if "left" in name else 0)
    assert found["imageio with PyAV"] == said(stored)
    assert found["moviepy"] == (RIGHT.replace(f"{WIDTH}×{HEIGHT}", f"{HEIGHT}×{WIDTH}") if quarter else RIGHT)
PYTHON
