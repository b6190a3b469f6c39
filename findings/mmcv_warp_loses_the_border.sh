#!/usr/bin/env bash
# mmcv's `flow_warp` leaves out the last row and the last column, even where nothing moves: of a still picture's labels they become the value
# that missing pixels get, by default 0, which is road, and a pixel that comes from there is missing too. Along half a pixel its nearest
# takes every second column twice and none of the others. Its bilinear cuts what it sums instead of rounding, a hair aside of the place:
# of a still picture half of all values are one less, and so once more in each step that is carried on. It warns of its speed alone.
# Seen with mmcv-lite 2.2.0 (the same Python as mmcv 2.2.0).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# mmengine asks for matplotlib and for OpenCV with windows, of which none of this needs anything.
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps mmcv-lite==2.2.0 mmengine==0.10.7 addict==2.4.0 numpy==2.4.6 \
    opencv-python-headless==5.0.0.93 packaging==26.4 pillow==12.2.0 platformdirs==4.14.8 pyyaml==6.0.4 yapf==0.43.0 rich==15.0.0 termcolor==3.3.0 \
    pygments==2.21.0 markdown-it-py==4.3.0 mdurl==0.1.2
cd "$folder" && venv/bin/python - <<'PYTHON'
import warnings

import mmcv
import numpy as np

warnings.simplefilter("ignore")
print("mmcv", mmcv.__version__)
SKY, CAR = 10, 13

# A car at the lower right edge under the sky, and a flow that says that nothing moves.
labels = np.full((48, 64), SKY, np.uint8)
labels[30:, 40:] = CAR
still = np.zeros((48, 64, 2), np.float32)


def warp(array, flow, **options):
    return mmcv.flow_warp(array[..., None], flow, **options)[..., 0]


nearest = warp(labels, still)
border = np.zeros_like(labels, bool)
border[-1], border[:, -1] = True, True
print(f"still, nearest: {(nearest == labels).mean():.1%} are right; the last row {np.unique(nearest[-1])}, column {np.unique(nearest[:, -1])}")
assert (nearest[~border] == labels[~border]).all() and (nearest[border] == 0).all()
assert (warp(labels, still, filling_value=255)[border] == 255).all()

# All moves up by a row in each of eight frames: the flow points to where a pixel came from, a row further down.
up, carried = still + np.float32([0, 1]), labels
for _ in range(8):
    carried = warp(carried, up)
print(f"up by a row, eight times: {int((carried[:, 0] == 0).sum())} rows are 0, where 8 came from outside")
assert (carried[:, 0] == 0).sum() == 9

columns = np.broadcast_to(np.arange(64, dtype=np.uint8), labels.shape).copy()
half = warp(columns, still + np.float32([0.5, 0]))[0]
print(f"half a pixel, nearest: columns {half[:8]} … come from, {len(np.unique(half[:-1]))} others of {63}")
assert (half[:-1] == np.round(np.arange(63) + 0.5)).all() and len(np.unique(half[:-1])) == 32

picture = np.random.default_rng(0).integers(20, 200, labels.shape, np.uint8)
brightness, now = [], picture
for _ in range(8):
    now = warp(now, still, interpolate_mode="bilinear")
    brightness.append(float((now.astype(int) - picture)[:40, :50].mean()))
once = warp(labels, still, interpolate_mode="bilinear")
print("still, bilinear, eight times: darker by", *(f"{-each:.2f}" for each in brightness), f"; of labels {(once == labels).mean():.1%} are right")
assert -0.6 < brightness[0] < -0.4 and brightness[-1] < -3
PYTHON
