#!/usr/bin/env bash
# pytorch-ignite's `ConfusionMatrix` multiplies true labels by the number of classes in the labels' own type: uint8, as a PNG gives them,
# wraps at 256. Of 19 classes truck, bus, train, motorcycle and bicycle (ids from 14 on) are counted as others, the sum of all cells is right
# still, and a network without a mistake has a mean IoU of 49 %. int64 labels are counted rightly; int8 ones stop with an error. Besides, the
# `ignore_index` of its `IoU` and `mIoU` leaves out that class's value, not its pixels: where void is a class, what is predicted on void
# counts against the others. Seen with pytorch-ignite 0.5.5 and torch 2.13.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 pytorch-ignite==0.5.5 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import ignite
import torch
from ignite.metrics import ConfusionMatrix, IoU, mIoU

print("pytorch-ignite", ignite.__version__, "torch", torch.__version__)


def scores_of(labels, classes):
    """Those of a network that is sure of these labels."""
    return torch.nn.functional.one_hot(labels, classes).permute(0, 3, 1, 2).float()


truth = (torch.arange(2 * 38 * 38) % 19).reshape(2, 38, 38)
found = {}
for dtype in (torch.int64, torch.uint8):
    counts = ConfusionMatrix(num_classes=19)
    measure = mIoU(counts)
    counts.update((scores_of(truth, 19), truth.to(dtype)))
    matrix = counts.compute()
    found[dtype] = float(measure.compute())
    wrong = [index for index in range(19) if matrix[index, index] != (truth == index).sum()]
    print(f"no mistake, {dtype} labels: mean IoU {found[dtype]:.3f}, {int(matrix.sum())} pixels, wrong rows {wrong}")
    assert matrix.sum() == truth.numel() and wrong == ([] if dtype is torch.int64 else [*range(14, 19)])
assert found[torch.int64] > 0.999 and 0.4 < found[torch.uint8] < 0.6

# Road, building and, in the lowest quarter, void, on which building is predicted.
truth = torch.zeros(1, 32, 32, dtype=torch.int64)
truth[..., 16:] = 1
labels = truth.clone()
truth[:, 24:] = 2
labels[:, 24:] = 1
counts = ConfusionMatrix(num_classes=3)
measure = IoU(counts, ignore_index=2)
counts.update((scores_of(labels, 3), truth))
road, building = measure.compute().tolist()
print(f"no mistake but on void, ignore_index=void: IoU of road {road:.2f}, of building {building:.2f}")
assert road > 0.999 and abs(building - 0.6) < 0.01
PYTHON
