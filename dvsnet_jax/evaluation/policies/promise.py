"""How much of the network's own labels a limit keeps, on video without labels, and how sure that is.

    table = keep_table(params, config, clips)          # clips that nothing was trained on
    row = limit_for(table, 0.98)                       # AccumulatedLoss(row.limit) keeps 98 % of the pixels

What is kept is agreement with segmenting every frame, so no labels are wanted. The held-out video is cut into blocks of
consecutive frames; how much they differ says what another video of that length may lose.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.multiply_adds import costs
from dvsnet_jax.checkpoints.store import KEPT, place_of
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.clips import Clip, longest_run
from dvsnet_jax.errors import DamagedInput, InputError, in_brief
from dvsnet_jax.evaluation.policies.simulation import SegmentedFrame, segmented, side_by_side
from dvsnet_jax.media.motion.attached import estimator
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.media.motion.following import Follower
from dvsnet_jax.video import init_state

LIMITS = tuple(round(limit, 1) for limit in np.geomspace(2, 512, 13).tolist())
"""Of `policies.AccumulatedLoss`, in points of percent."""
BLOCK = 25
"""Frames in a row that are drawn together."""
ENOUGH = 10
"""Blocks below which no confidence is stated."""
CONFIDENCE = 0.95
_BOUND = 0.99
_ONCE = 0.95  # the last block is a shorter one, and counts as much


@dataclass(frozen=True)
class KeepRow:
    """What one limit did. Shares, 0..1."""

    limit: float
    share: float
    """Of regions that were segmented, first frames left out."""
    kept: float
    """Pixels whose label is the network's own, the same frames."""
    at_least: float
    """What another video as long keeps in `CONFIDENCE` of the cases, as the blocks differ."""


@dataclass(frozen=True)
class KeepTable:
    """By limit, growing: the lowest of `LIMITS`, and those by which a region was segmented once, on average, in as many
    frames as the longest clip has. What a limit costs shows only then; short clips end before, and would promise it
    free."""

    rows: tuple[KeepRow, ...]
    frames: int
    blocks: int
    confidence: float | None
    """None where there were too few blocks of at least half of `BLOCK` (`ENOUGH`): `at_least` is then the worst
    block's."""
    light: int
    """Multiply-adds of a region whatever becomes of it."""
    heavy: int
    """Those of segmenting it."""
    motion: str | None = None
    """What found the motion, `network` for a search inside the program; None for weights with a flow network, and in
    older files."""

    def gain(self, row: KeepRow) -> float:
        """How many times fewer multiply-adds than the segmentation network alone on every frame."""
        return self.heavy / (self.light + row.share * self.heavy)


def keep_table(
    params: networks.Params,
    config: DVSNetConfig,
    clips: Sequence[Clip],
    *,
    frames: int = 500,
    motion: Literal["dis", "encoder"] = "dis",
    progress: Callable[[int], None] = lambda done: None,
) -> KeepTable:
    """Runs every one of `LIMITS` over the clips, which are read and segmented whole once, about `frames` frames of them
    in all: of many clips those at even distances, so that each gives a whole block. `params` are as `networks.prepare`
    makes them.

    Raises InputError for clips of which none has two frames in a row, or that the configuration cannot take.
    """
    kept: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    done, size, long, longest = 0, (0, 0), 0, 0
    most = max(BLOCK + 1, frames // len(clips))
    usable = [clip for clip in clips if len(longest_run(clip)) > 1] or clips
    for clip in _spread(usable, frames, most):
        seen = []
        for count, (frame, results) in enumerate(_run(params, config, clip, most, motion)):
            done += 1
            progress(done)
            own = np.asarray(frame.merged)
            size = own.shape
            if count:  # the first frame is segmented whole
                seen.append([((labels == own).mean(), segment.mean()) for labels, segment in results])
        longest = max(longest, len(seen))
        whole = np.asarray(seen, np.float64).reshape(len(seen), len(LIMITS), 2)
        for first in range(0, len(seen), BLOCK):
            block = whole[first : first + BLOCK]
            if len(block) >= BLOCK / 2 or first == 0:
                long += len(block) >= BLOCK / 2
                kept.append(block[..., 0].mean(0))
                shares.append(block[..., 1].mean(0))
    if not kept:
        raise InputError(f"none of {len(clips)} clips has two frames in a row to see what is kept; give longer video")
    agreement, share = np.stack(kept), np.stack(shares).mean(0)
    bound = at_least(agreement) if long >= ENOUGH else agreement.min(0)
    every = zip(LIMITS, share.tolist(), agreement.mean(0).tolist(), bound.tolist(), strict=True)
    rows = [row for row in every if row[0] == LIMITS[0] or row[1] * longest >= _ONCE]
    sure = CONFIDENCE if long >= ENOUGH else None
    heavy, *others = (cost.multiply_adds for cost in costs(config, *size, params=params))
    by = "network" if config.searches_motion else motion if config.takes_motion else None
    return KeepTable(tuple(KeepRow(*row) for row in rows), done, len(kept), sure, sum(others), heavy, by)


def _spread(clips: Sequence[Clip], frames: int, most: int) -> list[Clip]:
    """Clips at even distances, as many as have so many frames in all, where each gives at most `most`."""
    count = frames * len(clips) // max(1, sum(min(len(longest_run(clip)), most) for clip in clips))
    places = np.linspace(0, len(clips) - 1, min(max(count, 1), len(clips))).astype(int)
    return [clips[place] for place in np.unique(places).tolist()]


def at_least(blocks: Float[np.ndarray, "blocks limits"]) -> Float[np.ndarray, "limits"]:
    """What the mean of as many other blocks stays above in `CONFIDENCE` of the cases; of fewer than `ENOUGH` the worst.

    Student's bound for the difference of two such means, as the other video's strays too. It is taken at 99 %, because
    blocks are skewed (most keep nearly all, a few much less): on such numbers the bound at 95 %, and a bootstrap's,
    hold in 90 of 100 cases, and this one in 96.
    """
    count, mean = len(blocks), blocks.mean(0)
    if count < ENOUGH:
        return blocks.min(0)
    return mean - stats.t.ppf(_BOUND, count - 1) * blocks.std(0, ddof=1) * math.sqrt(2 / count)


def limit_for(table: KeepTable, keep: float) -> KeepRow | None:
    """The largest limit that keeps `keep` with the table's confidence, as all below it do; None where none does."""
    chosen = None
    for row in table.rows:
        if not row.at_least >= keep:
            break
        chosen = row
    return chosen


def write_table(folder: Path, table: KeepTable) -> None:
    """The table as `folder`/keep.json. Raises OSError."""
    (folder / KEPT).write_text(json.dumps({"version": 1, **asdict(table)}, indent=1, allow_nan=False) + "\n")


def read_table(weights: str | Path) -> KeepTable:
    """The table of the weights in a folder. Raises InputError where there is none, or it is damaged."""
    file = place_of(weights) / KEPT
    try:
        said = json.loads(file.read_bytes())
        rows = tuple(KeepRow(**{name: float(value) for name, value in row.items()}) for row in said["rows"])
        sure = said["confidence"]
        frames, blocks, light, heavy = (int(said[name]) for name in ("frames", "blocks", "light", "heavy"))
        motion = None if said.get("motion") is None else str(said["motion"])
        return KeepTable(rows, frames, blocks, None if sure is None else float(sure), light, heavy, motion)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{weights}: has no {KEPT}, which says what each limit keeps; 'dvsnet accelerate --keep' writes it"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{file}: is damaged ({in_brief(error)}); run 'dvsnet accelerate --keep' again") from error


def _run(
    params: networks.Params, config: DVSNetConfig, clip: Clip, most: int, motion: Literal["dis", "encoder"]
) -> Iterator[tuple[SegmentedFrame, list[tuple[np.ndarray, np.ndarray]]]]:
    """The most frames in a row that can be read, with what each limit made of them, until one has another size."""
    run = longest_run(clip)[:most]
    follower = Follower(estimator(motion)) if config.takes_motion else None
    blank = None
    size: tuple[int, ...] = ()

    def read() -> Iterator[SegmentedFrame]:
        nonlocal blank, size
        for position in run:
            image = clip[position].image
            if size and image.shape != size:
                warnings.warn(
                    f"a clip held out changes from {size[0]}×{size[1]} to {image.shape[0]}×{image.shape[1]} at frame "
                    f"{position}; what is kept is measured on the frames before",
                    DamagedInput,
                    stacklevel=2,
                )
                return
            if blank is None:
                size = image.shape
                try:
                    blank = init_state(params, image[None], config=config)
                except ValueError as error:
                    raise InputError(f"a frame of {image.shape[0]}×{image.shape[1]}: {error}") from error
            moved = for_step(follower.step(image), *image.shape[:2]) if follower else None
            yield segmented(params, image, config=config, blank=blank, motion=moved)

    return side_by_side(params, read(), "loss", LIMITS, config=config)
