"""A profiler trace of the frame step, its stages by name: preprocess, flow, decision, segmentation, warp, upsample,
merge.

    python eval/step_trace.py --save-dir trace [--size 1024x2048] [--segmented 1] [--weights bundled]
    tensorboard --logdir trace                          # or ui.perfetto.dev, with trace/**/perfetto_trace.json.gz

Of so many regions segmented, a few steps after the first ones. Prints where the trace lies.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dvsnet_jax import DVSNetConfig, checkpoints
from dvsnet_jax.benchmarks.trace import trace_steps
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.training import command


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--save-dir", required=True, help="folder for the trace")
    parser.add_argument("--size", type=size, default=(1024, 2048), help="height x width of the frames")
    parser.add_argument("--segmented", type=int, default=1, help="regions of each frame that are segmented")
    parser.add_argument("--steps", type=command.positive(int), default=3)
    parser.add_argument("--weights", help="a checkpoint's folder, or `bundled`; default: seeded ones of the paper's")
    options = command.parse(parser, argv)
    if options.weights is None:
        config = DVSNetConfig.cityscapes()
        params = seeded_params(config)
    else:
        bundled = options.weights == "bundled"
        params, config = checkpoints.load_bundled() if bundled else checkpoints.load(options.weights)
    if not 0 <= options.segmented <= config.num_regions:
        parser.error(f"--segmented is {options.segmented}, but a frame has {config.num_regions} regions")
    height, width = options.size
    trace = trace_steps(
        params, config, options.save_dir, height=height, width=width, segmented=options.segmented, steps=options.steps
    )
    print(trace)
    return 0


def size(text: str) -> tuple[int, int]:
    height, width = map(int, text.split("x"))
    if min(height, width) < 64:
        raise argparse.ArgumentTypeError(f"{text} is too small: 64x64 or more")
    return height, width


if __name__ == "__main__":
    sys.exit(main())
