#!/usr/bin/env bash
# kornia's `remap`, the way to warp along a flow, moves pictures along no flow: as its default it takes coordinates of pixels' middles
# (0 to width - 1) to -1 to 1 by one convention and samples by the other, so that everything comes from up to half a pixel outwards of
# where it was told to, and the border is mixed with black. Its documentation says so (kornia's issue 4504), no warning does. Of
# labels by "nearest", along a flow of 0.3 pixels, which should stay, 30 % are those of another pixel. `align_corners=True` is right.
# Seen with kornia 0.9.0, torch 2.13.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 kornia==0.9.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import warnings
from importlib.metadata import version

import torch
from kornia.geometry.transform import remap

warnings.simplefilter("error", UserWarning)
print("kornia", version("kornia"), "torch", torch.__version__)
HEIGHT, WIDTH = 96, 128
ys, xs = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
places = xs.expand(1, 1, HEIGHT, WIDTH)  # a picture whose pixels are their columns
for given in ({}, {"align_corners": False}, {"align_corners": True}):
    off = (remap(places, xs[None], ys[None], padding_mode="border", **given) - places)[0, 0, HEIGHT // 2]
    lost = remap(torch.ones_like(places), xs[None], ys[None], **given)[0, 0]
    print(f"{given or 'default'}: no flow moves column 1 by {off[1]:.2f}, {WIDTH - 2} by {off[-2]:.2f}; a white corner is {lost[0, 0]:.2f}")
    if given.get("align_corners"):
        assert off.abs().max() < 1e-3 and (lost > 0.999).all()
    else:
        assert off[1] < -0.45 and off[-2] > 0.45 and abs(float(lost[0, 0]) - 0.25) < 0.01

# Labels with a flow of 0.3 pixels, which round to where they are.
labels = (torch.arange(WIDTH) % 19).float().expand(1, 1, HEIGHT, WIDTH)
for given in ({}, {"align_corners": True}):
    found = remap(labels, xs[None] + 0.3, ys[None] + 0.3, mode="nearest", padding_mode="border", **given)
    share = float((found == labels).float().mean())
    print(f"{given or 'default'}: labels along 0.3 pixels, {share:.1%} are those of the nearest pixel")
    assert (share == 1) if given else share < 0.9
PYTHON
