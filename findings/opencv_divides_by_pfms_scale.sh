#!/usr/bin/env bash
# A .pfm's third line has the byte order in its sign and, in its size, a scale, which is about brightness and says nothing of flow or
# disparities. OpenCV's imread divides all numbers by it and tells nobody: in a file whose scale is 1/255 a disparity of 10 pixels is
# read as 2550. Pillow gives what is stored. Where the scale is 1, as in FlyingThings3D, the two agree. Seen with OpenCV 5.0.0,
# Pillow 13.0.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

print("OpenCV", cv2.__version__, "Pillow", version("pillow"))
pixels = np.random.default_rng(0).uniform(1, 60, (48, 64)).astype(np.float32)  # disparities
for scale in ("-1", "-1.0", "1", "-0.003922", "0.003922", "-2"):
    rows = pixels[::-1].astype("<f4" if scale.startswith("-") else ">f4")  # the last one first
    Path("a.pfm").write_bytes(f"Pf\n64 48\n{scale}\n".encode() + rows.tobytes())
    by_opencv, by_pillow = cv2.imread("a.pfm", cv2.IMREAD_UNCHANGED), np.asarray(Image.open("a.pfm"))
    times = float(np.median(by_opencv / pixels))
    print(f"scale {scale}: a stored 10 is {10 * times:.1f} by OpenCV, {10 * float(np.median(by_pillow / pixels)):.1f} by Pillow")
    assert by_opencv.shape == by_pillow.shape == pixels.shape and np.array_equal(by_pillow, pixels)
    assert np.allclose(by_opencv, pixels / abs(float(scale)), rtol=1e-5)
PYTHON
