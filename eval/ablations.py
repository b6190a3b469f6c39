r"""The paper's ablations: the frame step with one thing changed, on labelled video.

    python eval/ablations.py overlap regions warping --data camvid:CAMVID:val --json ablations.jsonl
    python eval/ablations.py overlap regions warping --data cityscapes:CITYSCAPES:val --protocol snippets --scale 0.5

`overlap`: regions reach 0, 32, 64 or 128 pixels over their border. `regions`: a frame cut into 1×1, 1×2, 2×2, 4×4.
`warping`: the key frame's scores with and without the scale field, or its labels. Weights stay as they are (the bundled
ones, or --weights); each variant is swept over --policy's range to the --shares
(`evaluation.policies.ablations`).

Prints a markdown table for each; --json gets a line for every run and every row. Which layer of the flow network the
paper's decision network should read takes training: eval/feature_ablation.py.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from dvsnet_jax import DVSNetConfig, checkpoints, networks
from dvsnet_jax.evaluation.clips.labelled import LabelledClip, labelled_clips, snippets
from dvsnet_jax.evaluation.policies.ablations import (
    ablation_table,
    check_sizes,
    grids,
    overlaps,
    sweep_variant,
    sweep_warpings,
)
from dvsnet_jax.evaluation.policies.measurement import Measured, segment_clips
from dvsnet_jax.evaluation.policies.simulation import POLICIES
from dvsnet_jax.evaluation.policies.sweep import TITLES, Sweep
from dvsnet_jax.markdown import markdown_table
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.training import command

OVERLAPS = (0, 32, 64, 128)
GRIDS = ((1, 1), (1, 2), (2, 2), (4, 4))
SHARES = (0.1, 0.2, 0.3)


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("what", nargs="+", choices=("overlap", "regions", "warping"))
    parser.add_argument("--data", required=True, help="a labelled video, as above or folder:FRAMES:LABELS")
    parser.add_argument("--weights", type=Path, help="a checkpoint's folder; default: the bundled weights")
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of frames' names")
    parser.add_argument("--protocol", choices=("every", "snippets"), default="every", help="which frames count")
    parser.add_argument("--scale", type=command.positive(float), default=1.0, help="resizes the frames first")
    parser.add_argument("--policy", choices=POLICIES, default="loss", help="by which regions are chosen")
    parser.add_argument("--shares", type=command.positive(float), nargs="+", default=SHARES, help="of regions, 0 to 1")
    parser.add_argument("--overlaps", type=int, nargs="+", default=OVERLAPS, help="pixels")
    parser.add_argument("--tolerance", type=command.positive(float), default=0.01, help="between share and run")
    parser.add_argument("--runs", type=command.positive(int), default=6, help="at most, for each share")
    parser.add_argument("--no-time", action="store_true", help="spares timing the frame step")
    parser.add_argument("--json", type=Path, help="write all measurements here, one JSON object a line")
    options = command.parse(parser, argv)
    params, config = checkpoints.load(options.weights) if options.weights else checkpoints.load_bundled()
    params = networks.prepare(params, config)
    if options.protocol == "snippets":
        clips = snippets(options.data, only=options.only, scale=options.scale)
    else:
        clips = labelled_clips(options.data, num_classes=config.num_classes, only=options.only, scale=options.scale)
    variants = {"overlap": overlaps(config, options.overlaps), "regions": grids(config, GRIDS)}
    for what in options.what:
        check_sizes(variants.get(what, {}), clips)
    with JsonLinesWriter(options.json) if options.json else nullcontext() as lines:
        for what in options.what:
            write = lines.write if lines else lambda record: None
            found = _found(what, params, config, variants.get(what, {}), clips, options, write)
            print(f"{options.data}, {TITLES[options.policy]}\n\n{markdown_table(ablation_table(what, found))}\n")
    return 0


def _found(
    what: str, params: networks.Params, config: DVSNetConfig, variants: dict[str, DVSNetConfig],
    clips: Sequence[LabelledClip], options: Namespace, write: Any,
) -> dict[str, Sweep]:  # fmt: skip
    def on_run(name: str, run: Measured) -> None:
        write({"what": what, "variant": name, "is": "run", **run.as_json()})
        _progress(f"{what} {name}, {run.policy}: {run.share:.1%} of regions, mIoU {run.mean_iou:.2%}")

    settings: dict[str, Any] = {
        "policy": options.policy, "shares": options.shares, "tolerance": options.tolerance, "most_runs": options.runs,
        "classes": "camvid" if options.data.startswith("camvid:") else "own",
        "first_counts": options.protocol == "every",
    }  # fmt: skip
    if what == "warping":
        video = segment_clips(params, clips, config=config, progress=_progress)
        found = sweep_warpings(params, video, config=config, on_run=on_run, **settings)
    else:
        found = {
            name: sweep_variant(params, clips, config=variant, timed=not options.no_time,
                                on_run=partial(on_run, name), progress=_progress, **settings)
            for name, variant in variants.items()
        }  # fmt: skip
    for name, result in found.items():
        time = result.time.as_json() if result.time else None
        for at in result.policies[options.policy]:
            write({"what": what, "variant": name, "is": "at share", **at.as_json(), "time": time,
                   "multiply_adds": result.multiply_adds})  # fmt: skip
    return found


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
