"""Does the frame step run elsewhere, and does it say the same there? One row for each platform and precision.

    python eval/portability.py                                       # the bundled weights at 360×480; a minute
    python eval/portability.py --seeded --size 1024x2048 --frames 3  # the original's networks, seeded weights
    python eval/portability.py --input drive.mp4 --size 1024x2048 --json portability.jsonl

Lowering needs none of the platforms; where one is here its program is also run, on a drawn street or on the frames of
`--input`, and held against float32 on this CPU: share of equal labels, largest difference of scores, share of equal
routes. Prints a markdown table; `--json` also writes one JSON line a row. The table in eval/README.md is its output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import jax

from dvsnet_jax import DVSNetConfig, checkpoints
from dvsnet_jax.benchmarks import portability
from dvsnet_jax.benchmarks.exported_program import read_clip
from dvsnet_jax.export import PLATFORMS
from dvsnet_jax.media.json_lines import JsonLinesWriter

CONFIG = DVSNetConfig.cityscapes()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a checkpoint; the bundled weights if not given")
    parser.add_argument("--seeded", action="store_true", help="DeepLab-Fast and FlowNet2-s, weights made by a rule")
    parser.add_argument("--size", default="360x480", help="height x width")
    parser.add_argument("--streams", type=int, default=1, help="of the clip, each one frame ahead")
    parser.add_argument("--frames", type=int, default=10, help="2 or more")
    parser.add_argument("--input", help="a video, folder or list; a drawn street if not given")
    parser.add_argument("--platforms", default=",".join(PLATFORMS))
    parser.add_argument("--precisions", default="float32,bfloat16")
    parser.add_argument("--json", help="write the rows here, one JSON object a line")
    options = parser.parse_args(argv)
    if options.frames < 2 or options.streams < 1 or (options.seeded and options.weights):
        parser.error("--frames is 2 or more, --streams 1 or more, and --seeded does not go with --weights")
    if options.seeded:
        params, config = checkpoints.seeded_params(CONFIG), CONFIG
    else:
        params, config = checkpoints.load(options.weights) if options.weights else checkpoints.load_bundled()
    height, width = (int(part) for part in options.size.split("x"))
    rows = portability.examine(
        params,
        config,
        read_clip(options.input, (height, width), frames=options.frames, streams=options.streams),
        platforms=options.platforms.split(","),
        precisions=options.precisions.split(","),
        progress=lambda line: print(line, file=sys.stderr),
    )
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}; {height}×{width}, {options.streams} stream(s), "
          f"{options.frames} frames, {config.policy}\n\n{portability.table(rows)}")  # fmt: skip
    if options.json:
        with JsonLinesWriter(options.json) as file:
            for row in rows:
                file.write(row.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
