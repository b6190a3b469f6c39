#!/usr/bin/env bash
# torchmetrics' `segmentation.MeanIoU` is no mean IoU as benchmarks have it (intersections and unions of a class added up over the whole
# set, then the mean over classes). It takes the mean over the classes of each picture, leaving out those that neither it nor its truth has,
# and then the mean of the pictures: a class that one picture in eight has weighs as an eighth, large things outweigh small ones. Nor is
# that the mean of its own `per_class=True`. `classification.MulticlassJaccardIndex` is the benchmarks' measure. Seen with torchmetrics
# 1.9.0: 89.0 % (and 63.1 % as the mean of classes) where the set's mean IoU is 62.5 %.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import torch
import torchmetrics
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.segmentation import MeanIoU

print("torchmetrics", torchmetrics.__version__, "torch", torch.__version__)
# Eight pictures of road and building; one has a sign, which is missed; and half of another's road is taken for building.
truth = torch.zeros(8, 32, 32, dtype=torch.int64)
truth[:, :, 16:] = 1
truth[0, :4, :4] = 2
found = truth.clone()
found[0, :4, :4] = 1
found[1, :16] = 0
both = [(found == index, truth == index) for index in range(3)]
expected = sum(float((a & b).sum() / (a | b).sum()) for a, b in both) / 3

measures = {
    "MeanIoU": MeanIoU(num_classes=3, input_format="index"),
    "mean of MeanIoU(per_class=True)": MeanIoU(num_classes=3, input_format="index", per_class=True),
    "MulticlassJaccardIndex": MulticlassJaccardIndex(num_classes=3),
}
values = {}
for name, measure in measures.items():
    for picture in range(8):
        measure.update(found[picture : picture + 1], truth[picture : picture + 1])
    values[name] = float(measure.compute().mean())
    print(f"{name}: {values[name]:.3f}")
print(f"sums over the set, then the mean over classes: {expected:.3f}")
assert abs(values["MulticlassJaccardIndex"] - expected) < 1e-6
assert values["MeanIoU"] > expected + 0.2 and values["MeanIoU"] > values["mean of MeanIoU(per_class=True)"] + 0.2
PYTHON
