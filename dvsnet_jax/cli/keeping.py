"""`--keep`: as few regions as keep so much of what the segmentation network itself would say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvsnet_jax.cli.screen import tell

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.evaluation.policies.promise import KeepTable


def tell_other_motion(table: KeepTable, found_by: str) -> None:
    """Says so where the table was measured with motion from elsewhere than this run's."""
    if table.motion is not None and table.motion != found_by:
        tell(
            f"dvsnet: --keep was measured with motion by {table.motion}, and here it is by {found_by}, with which less "
            f"may be kept; take --motion {table.motion}, or see what the audit says at the end"
        )


def keeping(config: DVSNetConfig, table: KeepTable, keep: float, *, weights: str) -> DVSNetConfig:
    """The configuration with the limit that keeps `keep`, and what is to be expected told.

    Raises InputError where no limit of the table does.
    """
    from dvsnet_jax.errors import InputError
    from dvsnet_jax.evaluation.policies.promise import BLOCK, LIMITS, limit_for
    from dvsnet_jax.policies import AccumulatedLoss

    sure = (
        f"with {table.confidence:.0%} confidence, from {table.blocks} blocks of up to {BLOCK} held-out frames"
        if table.confidence
        else f"in the worst of {table.blocks} blocks of up to {BLOCK} held-out frames, too few to state a confidence"
    )
    row = limit_for(table, keep)
    if row is None:
        first = table.rows[0]
        raise InputError(
            f"{weights}: no limit keeps {keep:.2%} of the pixels {sure}: the lowest, {first.limit:g}, keeps at least "
            f"{first.at_least:.2%} at {first.share:.1%} of regions; ask for less, or segment everything (--interval 1)"
        )
    past = ""
    if row is table.rows[-1] and row.limit < LIMITS[-1]:
        past = "; larger limits may do, too, but the clips held out were too short to see what those keep"
    tell(
        f"dvsnet: --keep {keep:g}: limit {row.limit:g}, expected to segment {row.share:.1%} of regions and to keep "
        f"{row.kept:.2%} of the pixels, at least {row.at_least:.2%} {sure}; {table.gain(row):.1f} times fewer "
        f"multiply-adds than every frame whole{past}"
    )
    return config.replace(policy=AccumulatedLoss(row.limit))
