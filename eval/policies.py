r"""When to segment a region anew: policies compared on labelled video at equal share of regions segmented.

    python eval/policies.py --data camvid:CAMVID:val --json policies.jsonl --report policies.html
    python eval/policies.py --weights WEIGHTS --data cityscapes:CITYSCAPES:train:pseudo --scale 0.5 \
        --only aachen_000004 aachen_000005
    python eval/policies.py --data cityscapes:CITYSCAPES:val --protocol snippets

Consecutive labelled frames are a clip, whose first frame is segmented whole and counts (--protocol every). The paper's
protocol (snippets): frames 1 to 20, of which the first does not count and the last alone has labels. Every frame is
segmented once; then each policy's threshold is searched for with runs that only warp, and what is printed at a share is
interpolated between the nearest runs (dvsnet_jax.evaluation.policies.sweep). `oracle` knows how many warped labels are
right. CamVid is measured in its own 11 classes. Prints markdown tables: mIoU, outlines, temporal consistency (along
flow that dense inverse search finds), settings, multiply-adds and time a frame, and the Pareto front. --json gets a
line for every run and every cell, --report is a page with plots and a player.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from math import isfinite
from pathlib import Path

from dvsnet_jax import DVSNetConfig, checkpoints, networks
from dvsnet_jax.benchmarks.step_time import step_time
from dvsnet_jax.datasets.flow.dis import find_flow
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.labelled import LabelledClip, labelled_clips, snippets
from dvsnet_jax.evaluation.policies.measurement import Measured, segment_clips
from dvsnet_jax.evaluation.policies.report import policy_report
from dvsnet_jax.evaluation.policies.simulation import POLICIES
from dvsnet_jax.evaluation.policies.sweep import sweep
from dvsnet_jax.evaluation.policies.tables import front_table, table
from dvsnet_jax.evaluation.reports.page import write_report
from dvsnet_jax.evaluation.segmentation import Counting
from dvsnet_jax.markdown import markdown_table
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.training import command
from dvsnet_jax.training.own_network import make_network

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--weights", type=Path, help="a checkpoint's folder; default: the bundled weights")
    parser.add_argument("--segmentation", metavar="FILE.py:FUNCTION", help="with --weights of train/accelerate.py")
    parser.add_argument("--data", required=True, help="a labelled video, as above or folder:FRAMES:LABELS")
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of frames' names")
    parser.add_argument("--protocol", choices=("every", "snippets"), default="every", help="which frames count")
    parser.add_argument("--scale", type=command.positive(float), default=1.0, help="resizes the frames first")
    parser.add_argument("--shares", type=command.positive(float), nargs="+", default=SHARES, help="of regions, 0 to 1")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--tolerance", type=command.positive(float), default=0.005, help="between share and run")
    parser.add_argument("--runs", type=command.positive(int), default=8, help="at most, for each policy and share")
    parser.add_argument("--seed", type=int, default=0, help="of the policy random")
    parser.add_argument("--no-consistency", action="store_true", help="spares the flow that it takes (needs OpenCV)")
    parser.add_argument("--no-time", action="store_true", help="spares timing the frame step")
    parser.add_argument("--report", type=Path, help="write a page to look at here, HTML; frames are embedded in it")
    parser.add_argument("--report-share", type=command.positive(float), default=0.3, help="whose frames it shows")
    parser.add_argument("--json", type=Path, help="write all measurements here, one JSON object a line")
    options = command.parse(parser, argv)
    if options.segmentation and not options.weights:
        parser.error("--segmentation needs --weights, those that train/accelerate.py wrote around this network")
    try:
        print(_run(options))
    except InputError as error:
        print(f"policies.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("policies.py: interrupted; --json has what was measured until now", file=sys.stderr)
        return 130
    return 0


def _run(options: Namespace) -> str:
    if options.report and not options.report.parent.is_dir():  # said before an hour's work, not after
        raise InputError(f"{options.report}: there is no folder {options.report.parent}; make it, or name another")
    params, config = _restored(options)
    classes: Counting = "camvid" if options.data.startswith("camvid:") else "own"
    if options.protocol == "snippets":
        clips = snippets(options.data, only=options.only, scale=options.scale)
    else:
        clips = labelled_clips(options.data, num_classes=config.num_classes, only=options.only, scale=options.scale)
    count = sum(len(clip.frames) for clip in clips)
    with JsonLinesWriter(options.json) if options.json else nullcontext() as lines:

        def write(record: dict) -> None:
            if lines:
                lines.write(record)

        def on_run(run: Measured) -> None:
            write({"what": "run", **run.as_json()})
            at = f" {run.setting:.4g}" if isfinite(run.setting) else ""
            _progress(f"{run.policy}{at}: {run.share:.1%} of regions segmented, mIoU {run.mean_iou:.2%}")

        names = ("data", "only", "protocol", "scale", "seed", "tolerance")
        write({"what": "settings", "weights": str(options.weights), **{name: getattr(options, name) for name in names},
               "clips": len(clips), "frames": count})  # fmt: skip
        motion = None if options.no_consistency else find_flow
        video = segment_clips(params, clips, config=config, seed=options.seed, motion=motion, progress=_progress)
        size = clips[0].frames[0].image.shape[:2]
        time = None if options.no_time else step_time(params, config, height=size[0], width=size[1], progress=_progress)
        if time:
            write({"what": "step time", **time.as_json()})
        result = sweep(
            params, video, config=config, shares=options.shares, policies=options.policies,
            classes=classes, first_counts=options.protocol == "every",
            tolerance=options.tolerance, most_runs=options.runs, on_run=on_run, time=time,
        )  # fmt: skip
        for cells in result.policies.values():
            for at in cells:
                write({"what": "at share", **at.as_json()})
    if options.report:
        facts = [("Data", _described(options, clips)), ("Weights", str(options.weights or "bundled")),
                 ("Regions", f"{config.regions[0]} × {config.regions[1]}, overlap {config.overlap}")]  # fmt: skip
        page = policy_report(
            params, result, clips, video, config=config, share=options.report_share, classes=classes,
            title="When to segment a region anew", facts=facts,
        )  # fmt: skip
        write_report(options.report, page)
    return "\n\n".join([_described(options, clips), table(result), markdown_table(front_table(result))])


def _described(options: Namespace, clips: Sequence[LabelledClip]) -> str:
    count = sum(len(clip.frames) for clip in clips)
    named = " ".join([options.data, *options.only])
    return f"{named}: {count} frames, {len(clips)} clip{'' if len(clips) == 1 else 's'}"


def _restored(options: Namespace) -> tuple[networks.Params, DVSNetConfig]:
    if options.segmentation:
        params, config = checkpoints.load_accelerator(options.weights, *make_network(options.segmentation))
    else:
        params, config = checkpoints.load(options.weights) if options.weights else checkpoints.load_bundled()
    return networks.prepare(params, config), config


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
