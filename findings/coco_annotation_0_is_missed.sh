#!/usr/bin/env bash
# pycocotools' COCOeval notes for each detection the id of the annotation that it fits, and 0 where there is none: an annotation whose id
# is 0 counts as missed, and what fits it as wrong. Who numbers annotations from 0, as enumerate does, gets 81 % AP for masks held
# against themselves here, and 25 % for the class whose first one it is. Ids of pictures and of categories may be 0. pycocotools says
# nothing; faster-coco-eval counts in the same way and warns. Seen with pycocotools 2.0.11, faster-coco-eval 1.8.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import contextlib
import io
import warnings
from importlib.metadata import version

import numpy as np
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print(*(f"{name} {version(name)}" for name in ("pycocotools", "faster-coco-eval")))
# Two pictures of road (0), building (1) and a car (2); the second has a pole (3), too. Category and picture ids begin at 0.
labels = np.zeros((2, 96, 128), np.uint8)
labels[:, :, 64:] = 1
labels[:, 20:60, 30:50] = 2
labels[1, 10:90, 100:104] = 3


def dataset(first):
    annotations = []
    for picture, each in enumerate(labels):
        for label in np.unique(each).tolist():
            runs = masks.encode(np.asfortranarray(each == label).astype(np.uint8))
            area, box = float(masks.area(runs)), masks.toBbox(runs).tolist()
            runs["counts"] = runs["counts"].decode()
            where = {"image_id": picture, "category_id": label, "segmentation": runs}
            annotations.append({"id": first + len(annotations), **where, "area": area, "bbox": box, "iscrowd": 0})
    images = [{"id": picture, "width": 128, "height": 96, "file_name": f"{picture}.png"} for picture in range(2)]
    return {"images": images, "annotations": annotations, "categories": [{"id": label, "name": str(label)} for label in range(4)]}


def evaluate(data, read, measure):
    """AP over all classes and by class, of the masks held against themselves; and how often it warned."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        truth = read()
        truth.dataset = data
        truth.createIndex()
        same = [{key: each[key] for key in ("image_id", "category_id", "segmentation")} | {"score": 1.0} for each in data["annotations"]]
        found = measure(truth, truth.loadRes(same), "segm")
        found.evaluate()
        found.accumulate()
        found.summarize()
    return float(found.stats[0]), found.eval["precision"][0, :, :, 0, -1].mean(0), len(told)


for name, read, measure in (("pycocotools", COCO, COCOeval), ("faster-coco-eval", FasterCOCO, COCOeval_faster)):
    for first in (0, 1):
        whole, classes, told = evaluate(dataset(first), read, measure)
        print(f"{name}, ids from {first}: AP {whole:.3f}, by class", *(f"{each:.3f}" for each in classes), f"warnings {told}")
        assert np.allclose(classes, [1 if first else 0.2525, 1, 1, 1], atol=1e-3) and abs(whole - classes.mean()) < 1e-6
        assert not (told and name == "pycocotools")
PYTHON
