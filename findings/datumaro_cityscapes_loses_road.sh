#!/usr/bin/env bash
# datumaro, a converter of data sets, reads Cityscapes without its road, or without its cars. Of `_labelTrainIds.png`, which it takes where there
# are any, it passes over id 0: road. Of the `_instanceIds.png` that Cityscapes comes with it looks for the ids of classes alone, and a car's
# pixels are 26001 there, not 26: whatever is counted one by one is gone. Nothing is said. The same pictures read as its
# `common_semantic_segmentation` come whole. Seen with datumaro 1.13.12.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import contextlib
import io
import json
from importlib.metadata import version
from pathlib import Path

import datumaro
import numpy as np
from PIL import Image

print("datumaro", version("datumaro"))
ROAD, SIDEWALK, BUILDING, CAR = 0, 1, 2, 13
NAMES = {ROAD: "road", SIDEWALK: "sidewalk", BUILDING: "building", CAR: "car"}
LABEL_IDS = {ROAD: 7, SIDEWALK: 8, BUILDING: 11, CAR: 26}

# A street with a house, a sidewalk and two cars: train ids, label ids, and ids of instances, which are label id × 1000 + number for things.
train = np.full((64, 128), ROAD, np.uint8)
train[:20], train[:, :10] = BUILDING, SIDEWALK
cars = [np.s_[40:55, 30:50], np.s_[40:55, 70:90]]
for car in cars:
    train[car] = CAR
labels = np.vectorize(LABEL_IDS.get)(train).astype(np.uint8)
instances = labels.astype(np.uint16)
for number, car in enumerate(cars):
    instances[car] = 26000 + number


def write(root, suffixes):
    """The set as it is unpacked, with the label files whose names end so."""
    files = {"labelIds": labels, "instanceIds": instances, "labelTrainIds": train}
    pictures, truth = (root / kind / "train" / "aachen" for kind in ("leftImg8bit", "gtFine"))
    pictures.mkdir(parents=True)
    truth.mkdir(parents=True)
    Image.fromarray(np.zeros((*train.shape, 3), np.uint8)).save(pictures / "aachen_000000_000019_leftImg8bit.png")
    for suffix in suffixes:
        Image.fromarray(files[suffix]).save(truth / f"aachen_000000_000019_gtFine_{suffix}.png")


def read(root, form):
    """Pixels of each class."""
    data = datumaro.Dataset.import_from(str(root), form)
    names = data.categories()[datumaro.AnnotationType.label]
    (item,) = data
    found = {}
    for each in item.annotations:
        found[names[each.label].name] = found.get(names[each.label].name, 0) + int(each.image.sum())
    return found


there = {name: int((train == label).sum()) for label, name in NAMES.items()}
print("there:", there)

write(Path("released"), ("labelIds", "instanceIds"))
write(Path("prepared"), ("labelIds", "instanceIds", "labelTrainIds"))
plain = Path("plain")
for kind, picture in (("images", np.zeros((*train.shape, 3), np.uint8)), ("masks", train)):
    (plain / kind).mkdir(parents=True)
    Image.fromarray(picture).save(plain / kind / "frame_000019.png")
(plain / "dataset_meta.json").write_text(json.dumps({"label_map": {str(label): NAMES.get(label, f"class{label}") for label in range(19)}}))

told = io.StringIO()
with contextlib.redirect_stderr(told):
    found = {root: read(Path(root), form) for root, form in (("released", "cityscapes"), ("prepared", "cityscapes"), ("plain", "common_semantic_segmentation"))}
for root, classes in found.items():
    print(f"{root}: {classes}")
assert found["plain"] == there and not told.getvalue()
assert found["released"] == {name: there[name] for name in ("road", "sidewalk", "building")}
assert found["prepared"] == {name: there[name] for name in ("sidewalk", "building", "car")}
PYTHON
