#!/usr/bin/env bash
# PyAV cannot say what comes with a frame that has EXIF: `frame.side_data` raises "ValueError: 31 is not a valid Type", so that the
# frame's display matrix, by which it is to be turned, and everything else that came with it is out of reach. FFmpeg 8 hands EXIF on as
# a kind of side data that PyAV's list of kinds does not have yet. Every photo of a phone is such a frame, and so is Motion JPEG whose
# pictures have EXIF; the same picture without EXIF is fine. `frame.rotation` still tells the turn, and nothing of a mirror.
# Seen with PyAV 18.1.0 (libavcodec 62.28.102) on JPEGs of Pillow 13.0.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 pillow==13.0.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
from PIL import Image

print(*(f"{name} {version(name)}" for name in ("av", "pillow")), "libavcodec", ".".join(map(str, av.library_versions["libavcodec"])))
picture = Image.fromarray(np.tile(np.arange(160, dtype=np.uint8)[None, :, None], (96, 1, 3)))
picture.save("plain.jpg")
for orientation in (1, 2, 6):  # upright; mirrored; to be turned to the right
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(f"orientation{orientation}.jpg", exif=exif)
exif = Image.Exif()
exif[0x010F] = "a maker"  # no orientation at all
picture.save("maker.jpg", exif=exif)
Path("motion.mjpeg").write_bytes(3 * Path("orientation6.jpg").read_bytes())


def said(path):
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        try:
            kinds = [each.type.name for each in frame.side_data]
        except ValueError as error:
            kinds = str(error)
        return kinds, frame.rotation


found = {path: said(path) for path in ("plain.jpg", "maker.jpg", *(f"orientation{n}.jpg" for n in (1, 2, 6)), "motion.mjpeg")}
for path, (kinds, rotation) in found.items():
    print(f"{path}: side data {kinds}, rotation {rotation}")
assert found.pop("plain.jpg") == ([], 0)
assert all(kinds == "31 is not a valid Type" for kinds, _ in found.values())
assert found["orientation6.jpg"][1] == found["motion.mjpeg"][1] == -90
PYTHON
