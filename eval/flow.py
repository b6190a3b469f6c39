r"""How good the flow network of a DVSNet is: endpoint error where flow is known, and what warping gains over copying.

    python eval/flow.py --pairs pairs:FLOW --pairs street:40:9 --clips camvid:CAMVID:val [--weights WEIGHTS]

Without --weights, the bundled ones. Pairs: pairs:FOLDER or street:COUNT:SEED[:HxW], which the network reads at their
own size. Clips: camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT, video:FILE, frames:FOLDER, street:COUNT:SEED, with @SCALE; a
key frame's labels, warped or copied, are held against those of segmenting the current frame. Prints markdown tables.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax import checkpoints
from dvsnet_jax.datasets.clips import clip_set
from dvsnet_jax.datasets.flow.sets import flow_set
from dvsnet_jax.training import command
from dvsnet_jax.training.flow.validation import agreement_at_gaps, endpoint_errors
from dvsnet_jax.training.restoring import restore


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--weights", help="a checkpoint of DVSNet; default: the bundled weights")
    parser.add_argument("--pairs", action="append", default=[], help="may be given again")
    parser.add_argument("--clips", action="append", default=[], help="may be given again")
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of the clips' names")
    parser.add_argument("--gaps", type=command.positive(int), nargs="+", default=[1, 3, 6, 9], help="frames")
    parser.add_argument("--most", type=command.positive(int), default=60, help="pairs of frames a gap")
    options = command.parse(parser, argv)
    if not options.pairs and not options.clips:
        parser.error("name --pairs, --clips or both")
    params, config = restore(options.weights) if options.weights else checkpoints.load_bundled()
    if options.pairs:
        print("| pairs | endpoint error, px | no flow at all, px |\n|---|--:|--:|")
        for spec in options.pairs:
            errors = endpoint_errors(params["flow"], flow_set(spec), config.flow)
            print(f"| {spec} | {errors['epe']:.2f} | {errors['zero']:.2f} |", flush=True)
    if options.clips:
        print("\n| clips | frames apart | warped, % | copied, % | pairs |\n|---|--:|--:|--:|--:|")
        for spec in options.clips:
            table = agreement_at_gaps(
                params, clip_set(spec, only=options.only), config, gaps=options.gaps, most=options.most
            )
            for gap, row in table.items():
                print(f"| {spec} | {gap} | {row['warped']:.2f} | {row['copied']:.2f} | {row['pairs']} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
