#!/usr/bin/env bash
# OpenCV's `remap` and `warpAffine` with INTER_NEAREST round a coordinate half-way between two pixels to the even one. Along a motion of
# half a pixel (codecs' vectors come in quarters of one) columns are taken as 10, 12, 12, 14, 14 …: every second one is lost, its neighbour
# is there twice. Of poles of one pixel in a label map half vanish, and the others are twice as wide; along a quarter or three quarters of a
# pixel all stay, and so they do where halves are rounded up (floor of x + 0.5). Seen with OpenCV 5.0.0: 28 of 57 poles are left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import cv2
import numpy as np

print("OpenCV", cv2.__version__)
height, width = 32, 400
rows, columns = np.mgrid[:height, :width].astype(np.float32)
labels = np.where(columns % 7 == 3, 5, 0).astype(np.uint8)  # poles (5) of one pixel, seven apart


def poles(row):
    """Their widths."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row == 5, [0]]).astype(int)))
    return np.diff(edges)[::2]


all_of_them = len(poles(labels[0]))
for motion in (0.25, 0.5, -0.5, 0.75, 1.5):
    ends = columns + np.float32(motion)
    carried = cv2.remap(labels, ends, rows, cv2.INTER_NEAREST)
    moved = cv2.warpAffine(labels, np.float32([[1, 0, -motion], [0, 1, 0]]), (width, height), flags=cv2.INTER_NEAREST)
    upwards = labels[0][np.clip(np.floor(ends[0] + 0.5), 0, width - 1).astype(int)]
    found = poles(carried[0])
    print(f"motion {motion:+.2f}: {len(found)} of {all_of_them} poles, {found.max()} wide; halves up: {len(poles(upwards))}")
    assert len(poles(upwards)) == all_of_them and poles(upwards).max() == 1
    half = motion % 1 == 0.5
    assert found.max() == 1 + half and abs(len(found) - all_of_them / (1 + half)) <= 1
    assert abs(len(poles(moved[0])) - len(found)) <= 1 and poles(moved[0]).max() == found.max()
PYTHON
