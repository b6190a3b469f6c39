#!/usr/bin/env bash
# Pillow writes a palette PNG with as many bits a pixel as its palette has colours for, whatever ids the pixels have, and cuts off what does
# not fit: labels with void (255) and a palette of their 11 classes come back with 15 for void; with three or four colours it is 3, with two
# it is 1, so that void has become the foreground. Nothing is said, and the option `bits=8` changes nothing. A palette of 256 colours keeps
# the ids, and so do TIFF and BMP. Seen with Pillow 13.0.0: a mask within a rim of void has an IoU of 79 % with itself, read back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import io

import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__)


def read_back(labels, colours, **options):
    picture = Image.fromarray(labels)
    picture.putpalette(np.random.default_rng(0).integers(0, 256, (colours, 3), np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, **({"format": "PNG"} | options))
    return np.array(Image.open(file))


for classes, void in ((2, 1), (4, 3), (11, 15), (16, 15), (17, 255), (19, 255)):
    labels = np.arange(64 * 64).reshape(64, 64).astype(np.uint8) % classes
    labels[:8] = 255
    found = read_back(labels, classes)
    print(f"{classes} colours: void 255 is read as {np.unique(found[:8]).tolist()}")
    assert (found[8:] == labels[8:]).all() and (found[:8] == void).all()
    assert (read_back(labels, classes, bits=8) == found).all()
    for kept in (read_back(labels, 256), *(read_back(labels, classes, format=name) for name in ("TIFF", "BMP"))):
        assert (kept == labels).all()

# A foreground of a quarter of the picture, with a rim of void about it: its IoU with itself, written and read.
mask = np.zeros((64, 64), np.uint8)
mask[14:50, 14:50], mask[16:48, 16:48] = 255, 1
found = read_back(mask, 2)
iou = ((found == 1) & (mask == 1)).sum() / ((found == 1) | (mask == 1)).sum()
print(f"foreground within a rim of void: IoU with what was written {iou:.3f}")
assert iou < 0.8
PYTHON
