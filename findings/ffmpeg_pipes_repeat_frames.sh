#!/usr/bin/env bash
# What reads video through a pipe of the `ffmpeg` command, as imageio's default plugin and moviepy do, and `ffmpeg -i FILE %06d.png`
# itself, get a constant frame rate: of a video of variable rate (phones, screens, cameras in the dark) frames are repeated, 150
# come of 60. moviepy then stops after as many as the header counts: 60 frames, of which the last shows the 24th, and nothing is said.
# So labels made frame by frame belong to other pictures there. PyAV, OpenCV and `-fps_mode passthrough` give each
# frame once. Seen with imageio 2.38.1, imageio-ffmpeg 0.8.1, whose FFmpeg is 9.0.2, and moviepy 2.2.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check imageio==2.38.1 imageio-ffmpeg==0.8.1 moviepy==2.2.1 av==18.1.0 \
  opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import subprocess
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import imageio
import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip

av.logging.set_level(av.logging.ERROR)
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
print(*(f"{name} {version(name)}" for name in ("imageio", "imageio-ffmpeg", "moviepy", "av", "opencv-python-headless")))
print(subprocess.run([FFMPEG, "-version"], capture_output=True, text=True, check=True).stdout.split(" Copyright")[0])


def numbered(number):
    """Black and white bars that say the frame's number."""
    return np.repeat([[255 * (number >> bit & 1) for bit in range(8)]], 16, 1).astype(np.uint8).repeat(64, 0)[..., None].repeat(3, 2)


def number_of(picture):
    return sum(int(picture[32, 16 * bit + 8, 1] > 127) << bit for bit in range(8))


def write(path, times):
    """Frames shown at these times, in 1/90000 of a second."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def by_ffmpeg(path, *options):
    for old in Path.cwd().glob("*.png"):
        old.unlink()
    subprocess.run([FFMPEG, "-v", "error", "-i", path, *options, "%06d.png"], check=True)
    return [number_of(cv2.imread(str(each))) for each in sorted(Path.cwd().glob("*.png"))]


def by_opencv(path):
    capture, found = cv2.VideoCapture(path), []
    while (read := capture.read())[0]:
        found.append(number_of(read[1]))
    return found


def by_moviepy(path):
    with VideoFileClip(path) as clip:
        return [number_of(picture) for picture in clip.iter_frames()]


steps = np.random.default_rng(0).choice([2900, 3000, 3100, 3000, 4500, 6000], 59)  # a phone in a dim room: 15 to 31 a second
for path, times in (("phone.mp4", [0, *np.cumsum(steps)]), ("constant.mp4", range(0, 180000, 3000))):
    write(path, times)
    with av.open(path) as container:
        pyav = [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    found = {
        "PyAV": pyav, "OpenCV": by_opencv(path), "ffmpeg -fps_mode passthrough": by_ffmpeg(path, "-fps_mode", "passthrough"),
        "ffmpeg": by_ffmpeg(path), "imageio": [number_of(picture) for picture in imageio.get_reader(path)], "moviepy": by_moviepy(path),
    }  # fmt: skip
    assert imageio.get_reader(path).count_frames() == 60
    for name, numbers in found.items():
        print(f"{path}: {name}: {len(numbers)} frames, {len(set(numbers))} of the 60 there are; the last is {numbers[-1]}: {numbers[:12]} …")
        right = numbers == list(range(60))
        assert right == (path == "constant.mp4" or name not in ("ffmpeg", "imageio", "moviepy"))
    if path == "phone.mp4":
        assert len(found["imageio"]) > 120 and len(found["moviepy"]) == 60 and max(found["moviepy"]) < 30
PYTHON
