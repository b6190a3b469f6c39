"""Flow pairs from video that nobody labelled: the flow is found by a classical method and checked from both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.clips import Clip, unreadable
from dvsnet_jax.datasets.flow.dis import find_flow
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.flow_files import write_kitti_flow
from dvsnet_jax.media.images import write_png
from dvsnet_jax.media.written_files import make_folder


def wanted_pairs(clips: Sequence[Clip], *, gaps: Sequence[int], every: int = 1) -> list[tuple[int, int, int]]:
    """Clip, current frame and how many frames the other one is before it, for every `every`-th frame; none with a frame
    that cannot be read."""
    return [
        (which, current, gap)
        for which, clip in enumerate(clips)
        for current in range(0, len(clip), every)
        for gap in sorted({*gaps})
        if current >= gap and not {current, current - gap} & {*unreadable(clip)}
    ]


def make_flow_pairs(
    clips: Sequence[Clip],
    wanted: Sequence[tuple[int, int, int]],
    folder: str | Path,
    *,
    share: float = 0.5,
    on_pair: Callable[[int, int], None] = lambda done, kept: None,
) -> int:
    """Writes the `wanted` pairs (`wanted_pairs`) with FlyingChairs' names; how many were kept.

    The current frame comes first, as DVSNet's flow network reads it. The flow is KITTI's 16-bit PNG (1/64 pixel, and
    which pixels count); of a pair with less than `share` (0 to 1) of its flow sure only that share is written, as
    NUMBER_left_out.txt. What is there is not computed again, and a pair stays where more is asked for than before.
    Raises InputError where no pair is kept.
    """
    reach = max((gap for _, _, gap in wanted), default=0)

    # Twice the reach: a frame that is wanted again is then never the one used longest ago.
    @lru_cache(2 * reach + 2)
    def frame(which: int, position: int) -> UInt8[np.ndarray, "h w 3"]:
        return clips[which][position].image

    target, kept = make_folder(folder), 0
    for number, (which, current, gap) in enumerate(wanted, 1):
        stem = f"{number:06d}"
        # The first picture is written last: a pair that has it is whole.
        first, note = target / f"{stem}_img1.png", target / f"{stem}_left_out.txt"
        if not first.exists() and _noted(note) >= share:
            pair = find_flow(frame(which, current), frame(which, current - gap))
            if (sure := float(pair.valid.mean())) >= share:
                write_png(target / f"{stem}_img2.png", pair.second)
                write_kitti_flow(target / f"{stem}_flow.png", pair.flow, pair.valid)
                write_png(first, pair.first)
            else:
                with atomic_path(note) as temporary:
                    temporary.write_text(f"{sure!r}\n")
        kept += first.exists()
        on_pair(number, kept)
    if not kept:
        raise InputError(f"none of {len(wanted)} pairs has {share:.0%} of its flow sure; take smaller --gaps")
    return kept


def _noted(note: Path) -> float:
    """The share of a pair that was left out; 1, so that it is computed, where there is no such note."""
    try:
        return float(note.read_text())
    except (OSError, ValueError):
        return 1.0
