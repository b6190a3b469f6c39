r"""Stage 3, first half: the training set of the decision network from pairs of frames (the original's gentestcase.py).

    python train/decision_data.py --data-dir CITYSCAPES --data-list imagestrain_13 --restore-from WEIGHTS \
        --save-dir decision/train

WEIGHTS is a checkpoint of ours or the original's in TensorFlow's files. The list has three columns, key frame, current
frame and labels, of which the labels are neither read nor looked for (write - where there are none). Writes X.npy,
Y.npy, flow_magnitude.npy and samples.jsonl to --save-dir; prints the number of samples and their mean agreement.
Killed at any moment, the same command goes on where it was. Each pair costs two segmentations of a frame.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvsnet_jax.datasets.pair_lists import read_pairs
from dvsnet_jax.training import command
from dvsnet_jax.training.decision.example_files import make_set
from dvsnet_jax.training.restoring import restore


@dataclass(frozen=True)
class Config:
    clip: float = 0.0
    """Percent: samples with this agreement or less are dropped."""


CONFIG = Config()


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder that the list's paths are below")
    parser.add_argument("--data-list", type=Path, required=True, help="lines of: key frame, current frame, labels")
    parser.add_argument("--restore-from", type=Path, required=True, help="weights, ours or TensorFlow's")
    parser.add_argument("--decision-from", type=Path, help="TensorFlow's decision network; not needed here")
    parser.add_argument("--save-dir", type=Path, required=True)
    parser.add_argument("--num-steps", type=int, help="pairs to take from the list's beginning; default: all")
    parser.add_argument("--clip", type=float, default=CONFIG.clip, help="drop samples of this percent or less")
    parser.add_argument("--overlap", type=int, help="default: the weights' own, as inference; 0: as the original")
    options = command.parse(parser, argv)
    if options.num_steps is not None and options.num_steps < 1:
        parser.error(f"--num-steps {options.num_steps}: expected 1 or more pairs")
    if options.overlap is not None and options.overlap < 0:
        parser.error(f"--overlap {options.overlap}: expected pixels, 0 or more")

    pairs = read_pairs(options.data_list, options.data_dir, check=True)[: options.num_steps]
    params, config = restore(options.restore_from, decision_from=options.decision_from)
    if options.overlap is not None:
        config = config.replace(overlap=options.overlap)
    with command.progress("pairs", len(pairs)) as show:
        made = make_set(
            params, pairs, options.save_dir, config=config, clip=options.clip, on_progress=lambda done: show(done, "")
        )
    print(f"{options.save_dir}: {made.samples} samples of {made.pairs} pairs, mean agreement {made.mean:.2f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
