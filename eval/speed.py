"""Time of one frame step by the number of regions segmented, compact and dense routing, in one run.

    python eval/speed.py                       # 1024×2048, the original's configuration; about two minutes on two cores
    python eval/speed.py --size 256x512 --json speed.jsonl

Weights are seeded (no trained ones are needed: the time does not depend on them). Prints a markdown table; `--json`
also writes one JSON line a row. The README's table is this command's output.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from dvsnet_jax import DVSNetConfig
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.evaluation import speed

CONFIG = DVSNetConfig.cityscapes()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1024x2048", help="height x width of the frames")
    parser.add_argument("--overlap", type=int, default=CONFIG.overlap)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the rows here, one JSON object a line")
    options = parser.parse_args(argv)
    height, width = (int(part) for part in options.size.split("x"))
    config = CONFIG.replace(overlap=options.overlap)
    timings = speed.time_frame_step(
        jax.device_put(seeded_params(config)),
        config,
        height=height,
        width=width,
        streams=options.streams,
        repeats=options.repeats,
        progress=lambda line: print(line, file=sys.stderr),
    )
    device = jax.devices()[0]
    print(f"{height}×{width}, {options.streams} stream(s), {device.device_kind}, jax {jax.__version__}\n")
    print(speed.table(timings))
    if options.json:
        options.json.write_text("".join(json.dumps(row.as_json()) + "\n" for row in timings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
