r"""What a heavy network gains on a CPU: every frame in PyTorch, ONNX Runtime and OpenVINO, and through DVSNet, in turn.

    python eval/heavy.py                              # SegFormer-B5, 512×1024; a quiet machine, about 15 minutes
    python eval/heavy.py "UperNet, ConvNeXt-T" 512x1024 5      # another of peers/torch_networks.py, size, rounds
    python eval/heavy.py SegFormer-B0 128x256 1       # does it run?

Wants the extra `torch` and `pip install onnx onnxscript onnxruntime openvino`. The network has its full size and random
weights; all go from uint8 frames to labels. DVSNet has 2×2 regions and segments each on one frame of ten, so 10 % of
regions. A round is a frame for each peer and twenty for DVSNet; of every kind the fastest round counts, and the peer
that DVSNet is held against is the fastest. CPU seconds are those of all cores, whoever else has some.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from peers.beside_dvsnet import INTERVAL, Stepping, timed
from peers.runtimes import calls
from peers.torch_networks import SIZES, made

from dvsnet_jax import ImageInput
from dvsnet_jax.benchmarks.exported_program import read_clip

CONFIG = ("SegFormer-B5", "512x1024", "3")


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    name, size, rounds = (*given, *CONFIG[len(given) :])
    height, width = (int(side) for side in size.split("x"))
    clip = read_clip(None, (height, width), frames=2 * INTERVAL + 1)
    module, wanted = made(name), ImageInput.imagenet(size=SIZES.get(name))
    rows: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        peers = calls(module, wanted, clip[0], Path(folder))
        step = Stepping(module, wanted, clip[0])
        for frame in clip[: int(rounds)]:
            for peer, call in peers.items():
                rows.setdefault(f"every frame, {peer}", []).append(timed(partial(call, frame), 1))
            rows.setdefault("DVSNet", []).append(timed(partial(step.through, clip[1:]), len(clip) - 1))
            print(*(f"{row}: {found[-1][0]:.3f} s;" for row, found in rows.items()), flush=True)
    best = min(min(found)[0] for row, found in rows.items() if row != "DVSNet")
    print(
        f"\n{name}, {height}×{width}, {step.said}\n\n| | s a frame | frames/s | of the fastest peer's | CPU s a frame |"
    )
    print("|---|--:|--:|--:|--:|")
    for row, found in rows.items():
        seconds, processor = (min(each[at] for each in found) for at in (0, 1))
        row = row if row != "DVSNet" else f"DVSNet, {step.share:.1%} of regions"
        print(f"| {row} | {seconds:.3f} | {1 / seconds:.2f} | {best / seconds:.2f} | {processor:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
