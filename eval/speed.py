"""Time side by side, in one run: the frame step, one region beside PyTorch, end to end, the flow networks, correlation.

    python eval/speed.py                            # the frame step at 1024×2048 by regions segmented, and without
    python eval/speed.py --forms compact,prepared compact,trained dense,prepared compact,prepared,8 --json speed.jsonl
    python eval/speed.py --weights bundled --size 360x480                       # the bundled weights' networks
    python eval/speed.py stages                     # where the time of a frame with nothing segmented goes
    python eval/speed.py region                     # one region of 576×1088 through DeepLab-Fast, beside PyTorch
    python eval/speed.py end-to-end --input frames/ drive.mp4 --weights bundled # reading, step, writing; each alone
    python eval/speed.py flow correlation           # FlowNet2's family at 512×384, correlation's forms

A form is a routing (compact, dense), prepared or trained, float32 or bfloat16, and the number of streams, in any order.
Without --weights they are seeded (time does not depend on them). Prints markdown tables; `--json` gets a line a row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from dvsnet_jax import DVSNetConfig, checkpoints
from dvsnet_jax.benchmarks import end_to_end, tables
from dvsnet_jax.benchmarks import flow as flow_speed
from dvsnet_jax.benchmarks import frame_step as speed
from dvsnet_jax.benchmarks import region as region_speed
from dvsnet_jax.benchmarks import stages as stages_speed
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.cli.freed_memory import keep_freed_memory
from dvsnet_jax.markdown import markdown_table
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.policies import FixedInterval
from dvsnet_jax.training import command

WHAT = ("frame-step", "stages", "region", "end-to-end", "flow", "correlation")


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    if argv is None:
        keep_freed_memory()  # as the commands do
    parser = command.parser(__doc__)
    parser.add_argument("what", nargs="*", default=["frame-step"], help=", ".join(WHAT))
    parser.add_argument("--size", type=size, default=(1024, 2048), help="height x width of the frame step's frames")
    parser.add_argument("--overlap", type=int, help="of the regions; default: the weights'")
    parser.add_argument("--weights", help="a checkpoint's folder, or `bundled`; default: seeded ones of the paper's")
    parser.add_argument("--forms", type=form, nargs="+", default=[speed.Form()], help="as above")
    parser.add_argument("--input", nargs="+", default=[], help="videos or folders of frames for end-to-end")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of end-to-end")
    parser.add_argument("--interval", type=command.positive(int), nargs="+", default=[], help="policies of end-to-end: "
                        "segment every so many frames; default: the weights' own")  # fmt: skip
    parser.add_argument("--repeats", type=command.positive(int), default=5)
    parser.add_argument("--json", type=Path, help="write the rows here, one JSON object a line")
    options = command.parse(parser, argv)
    if unknown := set(options.what) - set(WHAT):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(WHAT)}")
    if "end-to-end" in options.what and not options.input:
        parser.error("end-to-end needs --input, a video or a folder of frames")
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, median (fastest–slowest) of {options.repeats}")
    rows: list[Any] = []
    for what in options.what:
        print(f"\n## {what}\n")
        rows += RUN[what](options)
    if options.json:
        with JsonLinesWriter(options.json) as lines:
            for row in rows:
                lines.write(row.as_json())
    return 0


def size(text: str) -> tuple[int, int]:
    height, width = map(int, text.split("x"))
    return height, width


def form(text: str) -> speed.Form:
    found: dict[str, Any] = {}
    for word in text.split(","):
        kinds = {"compact": "routing", "dense": "routing", "float32": "precision", "bfloat16": "precision"}
        if word in ("prepared", "trained"):
            found["prepared"] = word == "prepared"
        elif word.isdigit():
            found["streams"] = int(word)
        elif word in kinds:
            found[kinds[word]] = word
        else:
            raise argparse.ArgumentTypeError(
                f"{word!r} of {text!r} is none of {', '.join(kinds)}, prepared, trained, 8"
            )
    return speed.Form(**found)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def weights(options: argparse.Namespace) -> tuple[Any, DVSNetConfig]:
    if options.weights is None:
        config = DVSNetConfig.cityscapes()
        params = seeded_params(config)
    else:
        bundled = options.weights == "bundled"
        params, config = checkpoints.load_bundled() if bundled else checkpoints.load(options.weights)
    return params, config if options.overlap is None else config.replace(overlap=options.overlap)


def frame_step(options: argparse.Namespace) -> list[Any]:
    params, config = weights(options)
    timings = speed.time_frame_step(
        params, config, height=options.size[0], width=options.size[1], repeats=options.repeats, forms=options.forms,
        every_frame=True, progress=say,
    )  # fmt: skip
    rates = {precision: speed.matmul_rate(precision) for precision in {row.form.precision for row in timings}}
    said = ", ".join(f"{precision} {2 * rate / 1e9:,.0f} GFLOP/s" for precision, rate in sorted(rates.items()))
    print(
        f"Frames of {options.size[0]}×{options.size[1]}; a large product of matrices reaches {said}; "
        f"a copy {speed.copy_rate() / 1e9:,.0f} GB/s, read and written.\n"
    )
    print(markdown_table(tables.step_table(timings, rates)), end="\n\n")
    print("\n".join(tables.fit_lines(timings)), end="\n\n")
    print(markdown_table(tables.gain_table(timings)))
    return timings


def stages(options: argparse.Namespace) -> list[Any]:
    height, width = options.size
    rows = stages_speed.time_stages(*weights(options), height=height, width=width, repeats=options.repeats)
    print(markdown_table(stages_speed.table(rows)))
    return rows


def region(options: argparse.Namespace) -> list[Any]:
    rows = region_speed.time_region(repeats=options.repeats, peers=Path(__file__).parent / "peers", progress=say)
    print(markdown_table(region_speed.table(rows)))
    return rows


def whole_way(options: argparse.Namespace) -> list[Any]:
    params, config = weights(options)
    rows: list[Any] = []
    for policy in [FixedInterval(interval) for interval in options.interval] or [config.policy]:
        rows += end_to_end.time_inputs(
            params, config.replace(policy=policy), options.input, precision=options.precision,
            repeats=options.repeats, progress=say,
        )  # fmt: skip
    print(markdown_table(end_to_end.table(rows)))
    return rows


def flow(options: argparse.Namespace) -> list[Any]:
    rows = flow_speed.network_rows(repeats=options.repeats)
    print(flow_speed.table(rows))
    return rows


def correlation(options: argparse.Namespace) -> list[Any]:
    rows = flow_speed.correlation_rows(repeats=options.repeats)
    print(flow_speed.table(rows))
    return rows


RUN = dict(zip(WHAT, (frame_step, stages, region, whole_way, flow, correlation), strict=True))

if __name__ == "__main__":
    sys.exit(main())
