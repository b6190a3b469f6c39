"""Time side by side, in one run: the frame step by the number of regions segmented, the flow networks, correlation.

    python eval/speed.py                            # the frame step at 1024×2048; about two minutes on two cores
    python eval/speed.py flow correlation           # FlowNet2's family at 512×384, correlation's forms; five minutes
    python eval/speed.py --size 256x512 --overlap 32 --json speed.jsonl

Weights are seeded (no trained ones are needed: the time does not depend on them). Prints markdown tables; `--json` also
writes one JSON line a row. The tables in README.md and eval/README.md are this command's output.
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
from dvsnet_jax.evaluation import flow_speed, speed

CONFIG = DVSNetConfig.cityscapes()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["frame-step"], help="frame-step, flow, correlation")
    parser.add_argument("--size", default="1024x2048", help="height x width of the frame step's frames")
    parser.add_argument("--overlap", type=int, default=CONFIG.overlap)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the rows here, one JSON object a line")
    options = parser.parse_args(argv)
    if unknown := set(options.what) - {"frame-step", "flow", "correlation"}:
        parser.error(f"{', '.join(sorted(unknown))}: not one of frame-step, flow, correlation")
    height, width = (int(part) for part in options.size.split("x"))
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, median (fastest–slowest) of {options.repeats}")

    rows: list = []
    if "frame-step" in options.what:
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
        print(f"\nFrame step at {height}×{width}, {options.streams} stream(s)\n\n{speed.table(timings)}")
        rows += timings
    if "flow" in options.what:
        measured = flow_speed.network_rows(repeats=options.repeats)
        print(f"\nFlow networks, one pair\n\n{flow_speed.table(measured)}")
        rows += measured
    if "correlation" in options.what:
        measured = flow_speed.correlation_rows(repeats=options.repeats)
        print(f"\nCorrelation of 256 channels at ⅛, 21×21 displacements\n\n{flow_speed.table(measured)}")
        rows += measured
    if options.json:
        options.json.write_text("".join(json.dumps(row.as_json()) + "\n" for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
