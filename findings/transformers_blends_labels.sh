#!/usr/bin/env bash
# transformers' image processors of BEiT and DPT resize label maps bicubically, as they do pictures, and cut the result to integers:
# between road (0) and car (13) a rim of sidewalk, building, pole, person and rider is made up, with truck and bus beyond it, and around
# void (255) there are classes that do not exist. Those of SegFormer, Mask2Former and others, called in the same way, take the nearest
# pixel. Seen with transformers 5.24.0 (its PIL processors, which need no torch; torchvision's give the same): 3.7 % of a street.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check transformers==5.24.0 pillow==13.0.0 numpy==2.4.6
cd "$folder" && TRANSFORMERS_NO_ADVISORY_WARNINGS=1 venv/bin/python - <<'PYTHON'
import numpy as np
import transformers

print("transformers", transformers.__version__)


def resized(kind, labels, height, width):
    size = {"height": height, "width": width}
    processor = getattr(transformers, kind)(size=size, do_center_crop=False, do_reduce_labels=False)
    picture = np.zeros((*labels.shape, 3), np.uint8)
    return processor(picture, segmentation_maps=labels, return_tensors="np")["labels"][0]


# A car on a road, and a street of many things: blocks of random classes, some void.
car = np.zeros((256, 512), np.uint8)
car[100:180, 150:330] = 13
choice = np.random.default_rng(0).choice([*range(19), 255], (16, 32)).astype(np.uint8)
street = choice.repeat(32, 0).repeat(32, 1)
share = {}
for kind in ("BeitImageProcessorPil", "DPTImageProcessorPil", "SegformerImageProcessorPil"):
    made_up = sorted(set(np.unique(resized(kind, car, 100, 200)).tolist()) - {0, 13})
    found = resized(kind, street, 384, 768)
    rows, columns = (((np.arange(n) + 0.5) * 512 / 384).astype(int) for n in found.shape)
    share[kind] = (found != street[rows[:, None], columns]).mean(), ((found > 18) & (found != 255)).mean(), len(made_up)
    print(f"{kind}: road and car became {made_up} too; of the street {share[kind][0]:.1%} is", end=" ")
    print(f"another class than the nearest pixel's, {share[kind][1]:.1%} one that does not exist")
    assert (len(made_up) > 3) == (kind[:4] != "Segf")
assert all(share[kind][0] > 0.02 for kind in ("BeitImageProcessorPil", "DPTImageProcessorPil"))
PYTHON
