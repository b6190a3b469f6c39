#!/usr/bin/env bash
# Void as -1 becomes class 0, in Cityscapes' train ids road, where labels are written or counted. OpenCV's imwrite makes any kind of
# integer that PNG has not 8-bit, whatever is below 0 becoming 0, returns true, and says once a process, in a line on stderr, that the
# depth is unsupported; Pillow refuses to write such labels, but its way to 8 bits, `convert("L")`, does the same and says nothing; and
# jax.numpy.bincount counts -1 as 0, so that a confusion matrix of 19 classes has void's pixels as road's. numpy's bincount refuses it;
# `astype(uint8)` makes it 255. Seen with OpenCV 5.0.0, Pillow 13.0.0, JAX 0.10.2 (whose documentation has it), numpy 2.4.6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 pillow==13.0.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import cv2
import jax.numpy as jnp
import numpy as np
from PIL import Image

print(*(f"{name} {version(name)}" for name in ("opencv-python-headless", "pillow", "jax", "numpy")))
labels = np.random.default_rng(0).integers(-1, 19, (48, 64))
void = labels == -1
as_road = np.where(void, 0, labels)

for kind in (np.int8, np.int16, np.int32, np.int64):
    written = cv2.imwrite("labels.png", labels.astype(kind))
    again = cv2.imread("labels.png", cv2.IMREAD_UNCHANGED)
    print(f"OpenCV, {kind.__name__}: written {written}, read as {again.dtype}, void became {np.unique(again[void]).tolist()}")
    assert written and again.dtype == np.uint8 and np.array_equal(again, as_road)

try:
    Image.fromarray(labels.astype(np.int32)).save("refused.png")
except OSError as error:
    print("Pillow:", error)
else:
    raise AssertionError("Pillow wrote it")
grey = np.asarray(Image.fromarray(labels.astype(np.int32)).convert("L"))
print("Pillow's convert('L'): void became", np.unique(grey[void]).tolist())
assert np.array_equal(grey, as_road)

counts = np.asarray(jnp.bincount(jnp.asarray(labels.ravel()), length=19))
truth = int((labels == 0).sum())
print(f"jax.numpy.bincount: {counts[0]} pixels of class 0, of which {int(void.sum())} are void and {truth} are of it")
assert counts[0] == truth + void.sum()
try:
    np.bincount(labels.ravel())
except ValueError as error:
    print("numpy.bincount:", error)
else:
    raise AssertionError("numpy counted it")
assert (labels.astype(np.uint8)[void] == 255).all()
PYTHON
