#!/usr/bin/env bash
# torchvision's transforms v2 resize a `Mask` by the first pixel of each cell, where the `Image` beside it is resized about the cell's
# middle, and where the same resize of a PIL image takes the middle one: made four times smaller, labels lie 1.5 of the old pixels left
# of and above their pictures, in training and in evaluation, and nothing is said. Seen with torchvision 0.28.0 and torch 2.13.0: of
# poles of eight pixels, made four times smaller, mask and picture have an IoU of 62 %, label and picture as PIL images 100 %.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 torchvision==0.28.0 pillow==13.0.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import numpy as np
import torch

if torch.version.cuda is None:  # then PyPI's torchvision for Linux lacks its operators, of which it wants two by name
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torchvision
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

print("torchvision", torchvision.__version__, "torch", torch.__version__)
columns = torch.arange(128, dtype=torch.uint8).expand(1, 64, 128)
resize = v2.Resize((16, 32))
picture, mask = resize(tv_tensors.Image(columns.float()), tv_tensors.Mask(columns))
pil = np.asarray(v2.functional.resize(Image.fromarray(columns[0].numpy()), [16, 32], v2.InterpolationMode.NEAREST))
apart = (picture - mask.float())[0, :, 1:-1].mean()
print("picture", picture[0, 0, 1:5].tolist(), "its mask", mask[0, 0, 1:5].tolist(), "as a PIL image", pil[0, 1:5].tolist())
assert abs(float(apart) - 1.5) < 0.01 and abs(float((picture[0].numpy() - pil)[:, 1:-1].mean())) <= 0.5

# Poles of eight pixels at random places: the mask against what the resized picture shows.
places = np.cumsum(np.random.default_rng(0).integers(20, 40, 60))
scene = torch.zeros(1, 64, int(places[-1]) + 40, dtype=torch.uint8)
for place in places:
    scene[..., place : place + 8] = 1
size = [16, scene.shape[-1] // 4]
picture, mask = v2.Resize(size)(tv_tensors.Image(scene.float()), tv_tensors.Mask(scene))
shown = picture > 0.5
pil = np.array(v2.functional.resize(Image.fromarray(scene[0].numpy()), size, v2.InterpolationMode.NEAREST))
iou = [float((each.bool() & shown).sum() / (each.bool() | shown).sum()) for each in (mask, torch.from_numpy(pil)[None])]
print(f"IoU of poles, mask and resized picture: {iou[0]:.3f}; by the PIL image: {iou[1]:.3f}")
assert iou[0] < 0.7 and iou[1] > 0.95
PYTHON
