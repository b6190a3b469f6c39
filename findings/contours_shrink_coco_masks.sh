#!/usr/bin/env bash
# A mask made a polygon by OpenCV's `findContours` and a mask again by pycocotools has lost its last row and column: OpenCV's points are
# middles of pixels, COCO's are corners. That is how labels usually get into COCO's format. A pole of 4 pixels' width has an IoU of 73 % with
# itself, one of 2 pixels 49 %, and a line of 1 pixel is gone, with no error. The other way round, OpenCV's `fillPoly` and Pillow's
# `polygon` draw COCO's square of 10×10 as 11×11, so that neighbours overlap. Seen with opencv-python-headless 5.0.0.93, pycocotools 2.0.11
# and Pillow 13.0.0. Run lengths keep masks, and so does `findContours` with `fillPoly`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 pycocotools==2.0.11 pillow==13.0.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco

print("OpenCV", cv2.__version__, "pycocotools", version("pycocotools"), "Pillow", version("pillow"))
SIZE = 64, 96


def box(height, width):
    mask = np.zeros(SIZE, np.uint8)
    mask[10 : 10 + height, 10 : 10 + width] = 1
    return mask


def contours(mask):
    return cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]


def by_polygons(mask):
    return coco.decode(coco.merge(coco.frPyObjects([each.astype(float).ravel().tolist() for each in contours(mask)], *SIZE)))


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


shapes = {"square of 10×10": box(10, 10), "disc of 31": cv2.circle(np.zeros(SIZE, np.uint8), (40, 30), 15, 1, -1)}
shapes |= {f"pole of 40×{width}": box(40, width) for width in (4, 3, 2, 1)}
found = {}
for name, mask in shapes.items():
    again = by_polygons(mask)
    found[name] = iou(mask, again)
    print(f"{name}: {mask.sum()} pixels, {again.sum()} as a polygon in COCO's format, IoU {found[name]:.2f}")
    assert (coco.decode(coco.encode(np.asfortranarray(mask))) == mask).all()  # as run lengths
    assert (cv2.fillPoly(np.zeros(SIZE, np.uint8), contours(mask), 1) == mask).all()  # back by OpenCV
assert (by_polygons(box(10, 10)) == box(9, 9)).all()
assert 0.7 < found["pole of 40×4"] < 0.76 and 0.45 < found["pole of 40×2"] < 0.52 and found["pole of 40×1"] == 0

# A square of COCO's, and its neighbour.
squares = [[10, 10, 20, 10, 20, 20, 10, 20], [20, 10, 30, 10, 30, 20, 20, 20]]


def by_opencv(square):
    return cv2.fillPoly(np.zeros(SIZE, np.uint8), [np.array(square).reshape(-1, 2)], 1)


def by_pillow(square):
    picture = Image.new("L", SIZE[::-1])
    ImageDraw.Draw(picture).polygon(square, fill=1)
    return np.array(picture)


for draw, pixels, overlap in (
    (lambda square: coco.decode(coco.frPyObjects([square], *SIZE))[..., 0], 100, 0), (by_opencv, 121, 11), (by_pillow, 121, 11)
):
    one, other = (draw(square) for square in squares)
    print(f"a square of COCO's: {one.sum()} pixels, of which {(one & other).sum()} are its neighbour's too")
    assert one.sum() == pixels and (one & other).sum() == overlap
PYTHON
