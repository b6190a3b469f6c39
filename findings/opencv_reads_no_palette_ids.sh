#!/usr/bin/env bash
# OpenCV reads the colours of a palette PNG and never its numbers, which in label files are the ids: `IMREAD_UNCHANGED` gives three channels
# of colour, and `IMREAD_GRAYSCALE`, which looks right (uint8, one channel), their brightness. imageio does the same, with `mode="L"` in
# greys up to one off. In Cityscapes' colours car becomes 16, which is train, and truck 7 (in imageio 8), a traffic sign; all other classes
# are above 18, where counting leaves them out as void. Sidewalk and vegetation are one grey in OpenCV: where truth and labels both are read
# so, each for the other is right. Seen with opencv-python-headless 5.0.0.93 and imageio 2.38.1; Pillow 13.0.0 gives the ids, and ids as
# greys are ids in all three.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 imageio==2.38.1 pillow==13.0.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import cv2
import imageio.v3 as imageio
import numpy as np
from PIL import Image

print("OpenCV", cv2.__version__, "imageio", version("imageio"), "Pillow", version("pillow"))
# Cityscapes' colours, in the order of its train ids.
COLOURS = bytes.fromhex(
    "804080 f423e8 464646 66669c be9999 999999 faaa1e dcdc00 6b8e23 98fb98 4682b4 dc143c ff0000 00008e 000046 003c64 005064 0000e6 770b20"
)
SIDEWALK, VEGETATION, CAR, TRUCK = 1, 8, 13, 14


def write(name, labels, palette=True):
    picture = Image.fromarray(labels)
    if palette:
        picture.putpalette(COLOURS.ljust(768, b"\0"))
    picture.save(name)


labels = (np.arange(38 * 38) % 19).reshape(38, 38).astype(np.uint8)
write("palette.png", labels)
write("grey.png", labels, palette=False)
ways = {
    "OpenCV, UNCHANGED": lambda name: cv2.imread(name, cv2.IMREAD_UNCHANGED),
    "OpenCV, GRAYSCALE": lambda name: cv2.imread(name, cv2.IMREAD_GRAYSCALE),
    "imageio": lambda name: imageio.imread(name),
    'imageio, mode="L"': lambda name: imageio.imread(name, mode="L"),
    "Pillow": lambda name: np.array(Image.open(name)),
}
for name, read in ways.items():
    found = read("palette.png")
    assert (read("grey.png") == labels).all()
    if found.ndim == 3:
        print(f"{name}: {found.shape}, colours")
        assert found.shape == (38, 38, 3) and name in ("OpenCV, UNCHANGED", "imageio")
        continue
    ids = {old: int(np.unique(found[labels == old])[0]) for old in range(19)}
    print(f"{name}: {found.dtype} {found.shape}, {ids}")
    if name == "Pillow":
        assert (found == labels).all()
        continue
    assert found.dtype == np.uint8 and not (found == labels).any()
    assert (ids[CAR], ids[TRUCK]) == (16, 7 if name.startswith("OpenCV") else 8)
    assert {old for old, new in ids.items() if new < 19} == {CAR, TRUCK}

# Sidewalk and vegetation, changed for one another.
truth = np.where(np.arange(64) < 32, SIDEWALK, VEGETATION).astype(np.uint8)[None].repeat(64, 0)
write("truth.png", truth)
write("labels.png", truth[:, ::-1].copy())
for name in ("OpenCV, GRAYSCALE", "Pillow"):
    right = (ways[name]("truth.png") == ways[name]("labels.png")).mean()
    print(f"sidewalk and vegetation changed for one another: {right:.0%} right by {name}")
    assert right == (name == "OpenCV, GRAYSCALE")
PYTHON
