#!/usr/bin/env bash
# A PNG of three channels of 16 bits (KITTI's, HD1K's and TartanAir's flow) is opened by Pillow as 8-bit RGB: the lower byte of
# every number is gone, and nothing in mode, info or a warning says that there was one. OpenCV reads all 16 bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python -W error - <<'PYTHON'
import cv2
import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__, "OpenCV", cv2.__version__)

# Flow of 0.5 and -0.25 pixels, valid: u, v = 2^15 + 64 * flow in red and green, 1 in blue.
stored = np.zeros((2, 3, 3), np.uint16)
stored[...] = (2**15 + 32, 2**15 - 16, 1)
assert cv2.imwrite("flow.png", stored[..., ::-1])

whole = cv2.imread("flow.png", cv2.IMREAD_UNCHANGED)[..., ::-1]
with Image.open("flow.png") as image:
    mode, info, halved = image.mode, dict(image.info), np.asarray(image)
print("OpenCV:", whole.dtype, whole[0, 0].tolist(), "Pillow:", mode, halved.dtype, halved[0, 0].tolist(), "info:", info)
assert (whole == stored).all()
assert mode == "RGB" and halved.dtype == np.uint8 and (halved == stored >> 8).all()
assert not any("16" in str(value) for value in info.values())
PYTHON
