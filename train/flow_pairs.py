r"""Before stage 2a: flow pairs from unlabelled video, the flow found by a classical method (DIS) and checked.

    python train/flow_pairs.py --data cityscapes:CITYSCAPES:train@0.35 --data video:DRIVE.mp4@0.6 --save-dir PAIRS
    python train/flow.py supervised --data pairs:PAIRS --data street:2000:1 ...

Each frame is paired with those --gaps before it, current frame first as DVSNet's flow network reads them; gap 0 gives
pairs of one picture, which the augmentation moves. Flow counts where the way there and the way back agree; pairs with
less than --share of such pixels are left out. Writes FlyingChairs' names, the flow as KITTI's 16-bit PNG (1/64 pixel,
and which pixels count); of a pair that is left out its share, as NUMBER_left_out.txt. Nothing of this is computed
twice, so the same command goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from dvsnet_jax.datasets.clips import clip_sets
from dvsnet_jax.datasets.flow.dis import find_flow
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.flow_files import write_kitti_flow
from dvsnet_jax.media.images import write_png
from dvsnet_jax.media.written_files import make_folder
from dvsnet_jax.training import command


@command.one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--data", action="append", required=True, help="clips, as in flow.py joint; may be given again")
    parser.add_argument("--hold-out", nargs="*", default=[], help="beginnings of clips' names that are left out")
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of clips' names that are taken")
    parser.add_argument("--gaps", type=int, nargs="+", default=[1, 2, 4, 7], help="frames between the two")
    parser.add_argument("--every", type=command.positive(int), default=1, help="take every so-manieth frame as current")
    parser.add_argument("--share", type=float, default=0.5, help="of pixels whose flow is to be sure, 0 to 1")
    parser.add_argument("--save-dir", type=Path, required=True)
    options = command.parse(parser, argv)
    if min(options.gaps) < 0 or not 0 <= options.share <= 1:
        parser.error(f"--gaps {options.gaps} --share {options.share}: expected gaps of 0 or more, a share of 0 to 1")

    clips = clip_sets(options.data, hold_out=options.hold_out, only=options.only)
    wanted = [
        (which, current, gap)
        for which, clip in enumerate(clips) for current in range(0, len(clip), options.every)
        for gap in sorted({*options.gaps}) if current >= gap
    ]  # fmt: skip

    # Twice the reach: a frame that is wanted again is then never the one used longest ago.
    @lru_cache(2 * max(options.gaps) + 2)
    def frame(which: int, position: int) -> np.ndarray:
        return clips[which][position].image

    folder, kept = make_folder(options.save_dir), 0
    with command.progress("pairs", len(wanted)) as show:
        for number, (which, current, gap) in enumerate(wanted, 1):
            stem = f"{number:06d}"
            # The first picture is written last: a pair that has it is whole.
            first, note = folder / f"{stem}_img1.png", folder / f"{stem}_left_out.txt"
            if not first.exists() and _noted(note) >= options.share:
                pair = find_flow(frame(which, current), frame(which, current - gap))
                if (sure := float(pair.valid.mean())) >= options.share:
                    write_png(folder / f"{stem}_img2.png", pair.second)
                    write_kitti_flow(folder / f"{stem}_flow.png", pair.flow, pair.valid)
                    write_png(first, pair.first)
                else:
                    with atomic_path(note) as temporary:
                        temporary.write_text(f"{sure!r}\n")
            kept += first.exists()
            show(number, f"{kept} kept")
    if not kept:
        raise InputError(f"none of {len(wanted)} pairs has {options.share:.0%} of its flow sure; take smaller --gaps")
    print(f"{folder}: {kept} of {len(wanted)} pairs")
    return 0


def _noted(note: Path) -> float:
    """The share of a pair that was left out; 1, so that it is computed, where there is no such note."""
    try:
        return float(note.read_text())
    except (OSError, ValueError):
        return 1.0


if __name__ == "__main__":
    sys.exit(main())
