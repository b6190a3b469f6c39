#!/usr/bin/env bash
# A TIFF that is marked as to be shown turned (EXIF orientation) is turned by Pillow in loading it, which no other format is, and
# the mark is gone afterwards. An uncompressed one of one or four channels that is to be turned by a quarter comes out scrambled:
# opened by its name it is mapped into memory with height and width exchanged. From a file object, or compressed, it is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
cd "$folder" && venv/bin/python -W error - <<'PYTHON'
import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__)
stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
shown = np.rot90(stored, -1)  # orientation 6
exif = Image.Exif()
exif[0x0112] = 6
for name, options in (("a.png", {}), ("a.tif", {}), ("packed.tif", {"compression": "tiff_lzw"})):
    Image.fromarray(stored).save(name, exif=exif, **options)


def loaded(file):
    with Image.open(file) as image:
        return np.asarray(image), image.getexif().get(0x0112)


png, tiff, packed = loaded("a.png"), loaded("a.tif"), loaded("packed.tif")
with open("a.tif", "rb") as file:
    from_object = loaded(file)
for name, (pixels, mark) in (("PNG", png), ("TIFF", tiff), ("from an object", from_object), ("packed", packed)):
    print(f"{name}: {pixels.tolist()}, marked {mark}")
assert (png[0] == stored).all() and png[1] == 6
assert (from_object[0] == shown).all() and (packed[0] == shown).all() and from_object[1] is packed[1] is None
assert tiff[0].shape != shown.shape or (tiff[0] != shown).any()
PYTHON
