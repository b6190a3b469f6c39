#!/usr/bin/env bash
# segmentation_models_pytorch's `accuracy` counts each pixel once for every class, and for each class that is neither true nor predicted as
# right: of 19 classes a network that is wrong everywhere has an accuracy of 89 %, one that is right in every second pixel 95 %, in every
# reduction. The share of right pixels is its `recall` with "micro". And its `iou_score`, unless given `zero_division`, takes 1 for a class
# that is nowhere: a network that says road everywhere has a mean IoU of 92 % where two of 19 classes occur, 25 % over those two. Seen with
# segmentation-models-pytorch 0.6.0 and torch 2.13.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps segmentation-models-pytorch==0.6.0
cd "$folder" && venv/bin/python - <<'PYTHON'
import importlib.util
import sys
from importlib.metadata import version

import torch

print("segmentation_models_pytorch", version("segmentation-models-pytorch"), "torch", torch.__version__)
# Its folder of metrics by itself, which needs torch alone; the rest of it needs torchvision and timm.
(package,) = importlib.util.find_spec("segmentation_models_pytorch").submodule_search_locations
spec = importlib.util.spec_from_file_location("metrics", f"{package}/metrics/__init__.py")
metrics = sys.modules["metrics"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(metrics)


def counts(labels, truth):
    return metrics.get_stats(labels, truth, mode="multiclass", num_classes=19, ignore_index=255)


truth = (torch.arange(4 * 38 * 38) % 19).reshape(4, 38, 38)
wrong = (truth + 1) % 19
for name, labels, right in (
    ("right everywhere", truth, 1.0),
    ("right in every second row", torch.where(torch.arange(38)[:, None] % 2 == 0, truth, wrong), 0.5),
    ("wrong everywhere", wrong, 0.0),
):
    share = float((labels == truth).float().mean())
    found = {each: float(metrics.accuracy(*counts(labels, truth), reduction=each)) for each in ("micro", "macro", "micro-imagewise")}
    recall = float(metrics.recall(*counts(labels, truth), reduction="micro"))
    print(f"{name}: accuracy", *(f"{each} {value:.3f}," for each, value in found.items()), f"micro recall {recall:.3f}, share {share:.3f}")
    assert abs(share - right) < 1e-6 and abs(recall - right) < 1e-6
    assert all(abs(value - (1 - 2 / 19 * (1 - right))) < 1e-4 for value in found.values())

# A street of road (0) and building (2), and a network that says road everywhere.
truth = torch.zeros(4, 64, 64, dtype=torch.long)
truth[..., 32:] = 2
found = counts(torch.zeros_like(truth), truth)
default = float(metrics.iou_score(*found, reduction="macro"))
each = metrics.iou_score(*(part.sum(0, keepdim=True) for part in found), reduction="none")[0]
occurring = float(each[[0, 2]].mean())
print(f"road everywhere: mean IoU {default:.3f}, over the two classes that occur {occurring:.3f}")
assert abs(default - (0.5 + 17) / 19) < 1e-6 and abs(occurring - 0.25) < 1e-6
PYTHON
