#!/usr/bin/env bash
# Pictures that OpenCV's VideoWriter, imageio (both plugins) or PyAV make a video of become YCbCr by BT.601's matrix whatever their
# size, and the file does not say so. From 720 rows on players, and readers that do as they do, take a file that names no matrix for
# BT.709: colours come out up to 41 of 255 off. Read by the same libraries, which take BT.601 for whatever names nothing, they look
# right. A stream that is converted to BT.709 and marked so is right everywhere.
# Seen with OpenCV 5.0.0, imageio 2.38.1 with imageio-ffmpeg 0.8.1, PyAV 18.1.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check imageio==2.38.1 imageio-ffmpeg==0.8.1 av==18.1.0 \
  opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import av
import cv2
import imageio
import imageio.v3
import numpy as np

av.logging.set_level(av.logging.ERROR)
print(*(f"{name} {version(name)}" for name in ("opencv-python-headless", "imageio", "imageio-ffmpeg", "av")))
UNMARKED, BT709, BT601 = 2, 1, 5
corners = [[255 * (place >> bit & 1) for bit in range(3)] for place in range(8)]
colours = np.array([*corners, *np.random.default_rng(0).integers(0, 256, (8, 3))], np.uint8)
picture = np.ascontiguousarray(colours.repeat(80, 0)[None].repeat(720, 0))  # 720 × 1280, stripes of 80 columns


def by_opencv(path):
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 25, (1280, 720))
    for _ in range(3):
        writer.write(picture[..., ::-1])
    writer.release()


def by_imageio(path):
    with imageio.get_writer(path, fps=25) as writer:
        for _ in range(3):
            writer.append_data(picture)


def by_imageio_pyav(path):
    imageio.v3.imwrite(path, np.stack([picture] * 3), fps=25, plugin="pyav", codec="libx264")


def by_pyav(path, marked=False):
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if marked:
                frame = frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=1)
                stream.codec_context.colorspace, stream.codec_context.color_range = BT709, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def off(read):
    """By how much the middles of the stripes are others, at most."""
    middles = read.astype(float).reshape(720, 16, 80, 3)[300:400, :, 30:50].mean((0, 2))
    return round(float(np.abs(middles - colours).max()))


for name, write in (
    ("OpenCV", by_opencv), ("imageio", by_imageio), ("imageio with PyAV", by_imageio_pyav), ("PyAV", by_pyav),
    ("PyAV, converted to BT.709 and marked", lambda path: by_pyav(path, marked=True)),
):  # fmt: skip
    write("a.mp4")
    with av.open("a.mp4") as container:
        frame = next(container.decode(video=0))
    matrix = int(frame.colorspace)
    as_ = {said: off(frame.to_ndarray(format="rgb24", src_colorspace=number)) for said, number in (("601", BT601), ("709", BT709))}
    opencv = off(cv2.VideoCapture("a.mp4").read()[1][..., ::-1])
    print(f"{name}: matrix {matrix}; off by {as_['601']} as BT.601, {as_['709']} as BT.709, {opencv} as OpenCV reads it")
    if write in (by_opencv, by_imageio, by_imageio_pyav, by_pyav):
        assert matrix == UNMARKED and max(as_["601"], opencv) < 12 and as_["709"] > 30
    else:
        assert matrix == BT709 and max(as_["709"], opencv) < 6 and as_["601"] > 15
PYTHON
