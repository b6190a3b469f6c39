r"""What a heavy network gains on a CPU: every frame in PyTorch, ONNX Runtime and OpenVINO, and through DVSNet, in turn.

    python eval/heavy.py SegFormer-B5                                   # 512×1024; a quiet machine, about 15 minutes
    python eval/heavy.py SegFormer-B0 --size 128x256 --rounds 1         # does it run?

Wants the extra `torch` and `pip install onnx onnxscript onnxruntime openvino`. The network has its full size and random
weights, and is any of `peers/torch_networks.py`. DVSNet has 2×2 regions and segments each on one frame of ten, so 10 %
of regions exactly; motion is searched for inside the step. All go from uint8 frames to labels. A round is one frame for
each peer and `--frames` for DVSNet; of every kind the fastest round counts. CPU seconds are those of all cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from peers.runtimes import Labels, calls
from peers.torch_networks import MADE, SIZES, made

from dvsnet_jax import CarriedMotionConfig, FixedInterval, ImageInput, init_state, networks, segment_frame
from dvsnet_jax.benchmarks.exported_program import read_clip
from dvsnet_jax.checkpoints import load_bundled
from dvsnet_jax.training.own_network import in_place_of
from dvsnet_jax.video import region_grid

INTERVAL = 10


def main(argv: Sequence[str] | None = None) -> int:
    given = parsed(argv)
    size = tuple(int(side) for side in given.size.split("x"))
    clip = read_clip(given.input, size, frames=given.frames + 1)
    module, wanted = made(given.network), ImageInput.imagenet(size=SIZES.get(given.network))
    with tempfile.TemporaryDirectory() as folder:
        peers = calls(module, wanted, clip[0], Path(folder))
        step = Stepping(module, wanted, clip[0], regions=given.regions, overlap=given.overlap)
        rows: dict[str, list[tuple[float, float]]] = {}
        for frame in clip[: given.rounds]:
            for name, call in peers.items():
                rows.setdefault(f"every frame in {name}", []).append(timed(partial(call, frame), 1))
            rows.setdefault("DVSNet", []).append(timed(partial(step.through, clip[1:]), len(clip) - 1))
            print(*(f"{name}: {found[-1][0]:.3f} s," for name, found in rows.items()), flush=True)
    print(f"\n{given.network}, {size[0]}×{size[1]}, {step.said}\n")
    best = min(min(found)[0] for name, found in rows.items() if name != "DVSNet")
    print("| | s a frame | frames/s | of the best peer's rate | CPU s a frame |\n|---|--:|--:|--:|--:|")
    for name, found in rows.items():
        seconds, processor = (min(each[at] for each in found) for at in (0, 1))
        name = name if name != "DVSNet" else f"DVSNet, {step.share:.1%} of regions"
        print(f"| {name} | {seconds:.3f} | {1 / seconds:.2f} | {best / seconds:.2f} | {processor:.3f} |")
    return 0


class Stepping:
    """DVSNet around the network, frame after frame; compiled and begun."""

    def __init__(self, module: Any, wanted: ImageInput, frame: np.ndarray, *, regions: str, overlap: int) -> None:
        network, weights = networks.from_torch(module, wanted)
        rows, columns = (int(each) for each in regions.split("x"))
        config = load_bundled("carried")[1].replace(
            flow=CarriedMotionConfig(searched=True), policy=FixedInterval(INTERVAL), regions=(rows, columns),
            overlap=overlap,
        )  # fmt: skip
        params, self.config = in_place_of(network, weights, {}, config)
        self.params = networks.prepare(params, self.config)
        state = init_state(self.params, frame, config=self.config)
        self.state, result = segment_frame(self.params, state, frame, config=self.config)  # whole; then one of ten
        self.share = 0.0
        grid = region_grid(self.config, *frame.shape[1:3])
        same = (np.asarray(result.labels) == _by_torch(module, wanted, frame)).mean()
        self.said = (
            f"regions of {grid.region_height}×{grid.region_width}, jax {jax.__version__}; of the first frame "
            f"{same:.1%} of the pixels have PyTorch's label, as regions see less"
        )

    def through(self, clip: np.ndarray) -> None:
        segmented = []
        for frame in clip:
            self.state, result = segment_frame(self.params, self.state, frame, config=self.config)
            np.asarray(result.labels)
            segmented.append(np.asarray(result.segmented).mean())
        self.share = float(np.mean(segmented))


def _by_torch(module: Any, wanted: ImageInput, frame: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return Labels(module, wanted).eval()(torch.from_numpy(frame)).numpy()


def timed(run: Callable[[], object], frames: int) -> tuple[float, float]:
    """Seconds a frame, and seconds of all cores."""
    began, processor = time.perf_counter(), time.process_time()
    run()
    return (time.perf_counter() - began) / frames, (time.process_time() - processor) / frames


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=list(MADE), metavar="NETWORK", help=", ".join(MADE))
    parser.add_argument("--size", default="512x1024", metavar="HxW", help="of the frames")
    parser.add_argument("--regions", default="2x2", metavar="RxC", help="rows and columns")
    parser.add_argument("--overlap", type=int, default=32, metavar="PIXELS", help="of neighbouring regions")
    parser.add_argument("--frames", type=int, default=2 * INTERVAL, help="of a round through DVSNet")
    parser.add_argument("--rounds", type=int, default=3, help="in turn")
    parser.add_argument("--input", default=None, help="a video or folder; a drawn street if not given")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
