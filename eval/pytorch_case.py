r"""A real case from end to end: a network trained in PyTorch, DVSNet around it from unlabelled video, what that keeps.

    python eval/pytorch_case.py ../shared/data/camvid CASE            # hours on two cores; a quiet machine, as it times
    python eval/pytorch_case.py ../shared/data/camvid CASE 4          # so many steps of each training: does it run?

Wants the extra `torch`. Trains a SegFormer of B0's size on CamVid's labelled training frames (CASE/network, in Hugging
Face's layout), then runs the commands that a user would: accelerate, on the same frames as video without labels, held
out: val; policies, with val's labels, at 10, 20 and 30 % of regions; evaluate beside every frame; export at 10 %, and
segment from the export, without PyTorch. Ends with the milliseconds a frame of PyTorch itself on every frame; `segment`
prints DVSNet's frames/s with and without reading and writing, in the same run. What stands in CASE is not made again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from peers.torch_segformer import by_torch, trained

from dvsnet_jax.cli import main as dvsnet


def main(argv: list[str]) -> int:
    root, case, steps = argv[0], Path(argv[1]), int(argv[2]) if len(argv) > 2 else None
    train, val, weights, fast = f"camvid:{root}:train", f"camvid:{root}:val", f"{case}/run/weights", f"{case}/f.dvsnet"
    less = ["--steps", steps, "--pairs", steps, "--epochs", steps, "--look-every", 1] if steps else []
    if not (case / "network").exists():
        trained(train, case / "network", **({"steps": steps} if steps else {}))
    for words in (
        ["accelerate", "--data", train, "--validate", val, "--segmentation", case / "network", "--save-dir",
         case / "run", "--keep", 0.95, *less],
        ["policies", "--data", val, "--weights", weights, "--shares", 0.1, 0.2, 0.3, "--policies", "loss", "interval"],
        ["evaluate", val, "--weights", weights, "--budget", 0.1, "--every-frame", "--out", case / "evaluated"],
        ["export", fast, "--weights", weights, "--size", "360x480", "--budget", 0.1],
        ["segment", f"{root}/val", "--program", fast, "--out", case / "exported", "--overwrite", "--no-overlay"],
    ):  # fmt: skip
        print("dvsnet", *words, flush=True)
        if status := dvsnet([str(word) for word in words]):
            return status
    print(by_torch(val, case / "network"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
