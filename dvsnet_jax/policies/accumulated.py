"""Policies that sum up what a region is expected to have lost since its key frame: to a limit, a budget, a rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dvsnet_jax.policies.base import Evidence, check_finite, have_values


class AccumulatedLossState(NamedTuple):
    """State of `AccumulatedLoss`."""

    loss: Float[Array, "regions"]
    """Points of percent lost since the key frame."""


@dataclass(frozen=True)
class AccumulatedLoss:
    """Segment where the confidence expected to be lost, 100 - score summed over the frames since the region's key
    frame, comes to more than `limit` points.

    *Differs from the original*, whose fixed target segments a region that never agrees (foliage, far away) again and
    again, the truth being none the better for it, and one that agrees just well enough never. Here every region has
    its turn, the sooner the worse it is warped. At equal share of regions that keeps more mIoU: `eval/policies.py`.
    """

    limit: float = 30.0

    traced: ClassVar = ("limit",)

    def __post_init__(self) -> None:
        if not have_values(self):
            return
        check_finite(self, limit=self.limit)
        if self.limit < 0:
            raise ValueError(f"AccumulatedLoss: limit is {self.limit}, but it counts points of percent: 0 or more")

    def init(self, regions: int) -> AccumulatedLossState:
        return AccumulatedLossState(jnp.zeros(regions, jnp.float32))

    def decide(
        self, state: AccumulatedLossState, evidence: Evidence
    ) -> tuple[Bool[Array, "regions"], AccumulatedLossState]:
        loss = accumulated_loss(state.loss, evidence.score)
        segment = loss > self.limit
        return segment, AccumulatedLossState(jnp.where(segment, 0.0, loss))

    def targets(self, state: AccumulatedLossState) -> Float[Array, "regions"]:
        """The score below which this frame is segmented."""
        return 100.0 - self.limit + state.loss


class BudgetState(NamedTuple):
    """State of `Budget`."""

    loss: Float[Array, "regions"]
    """As `AccumulatedLossState` has it."""
    limit: Float[Array, "regions"]
    """Where the limit has been steered to; the same for all regions of a stream."""
    credit: Float[Array, "regions"]
    """Regions that may be segmented, not yet used; the same for all regions of a stream. Below 0 it is owed."""


@dataclass(frozen=True)
class Budget:
    """`AccumulatedLoss` with a limit that is steered so that this `share` of all regions is segmented, and a credit
    that sees to it.

    **n frames of a stream in a row segment n × share × regions, give or take max(1, 5 × share × regions)**, whatever
    the content: in 50 frames or more the share is within a tenth of what was asked, or it is within one region where a
    tenth of it is less than one (less than a share of 0.05 of 4 regions). A frame that wants more than is left segments
    the regions first that have lost the most, and the others when there is credit again: so after a cut. Where too much
    would be left over, the worst regions are segmented though they are below the limit. What that does not hold for:

    - What has lost less than a point is left alone. While there is nothing else, less is segmented, and no more of it
      is saved for later than the above.
    - A region whose score is no number is segmented without credit. It is paid for later, a frame's regions at most.
    - A stream's first frame segments everything, and is paid for too, in the first 1 / share frames. Counted from that
      frame on, all is as said above after them, and never less than asked. Frames in a row that begin while it is being
      paid for segment up to regions × (1 - share) less than asked.

    After every frame the limit moves by what the frame cost, and on towards keeping four fifths of the credit, which a
    cut then finds: so `limit`, where it begins, is soon forgotten. It stays within `LIMITS`.
    """

    share: float = 0.2
    regions: int = 4
    """Of each stream's frames; `config.num_regions`."""
    limit: float = 30.0
    """To begin with."""

    LIMITS: ClassVar = (1.0, 10_000.0)
    traced: ClassVar = ("share", "limit")

    def __post_init__(self) -> None:
        if not have_values(self):
            return
        check_finite(self, share=self.share, limit=self.limit)
        if not 0 < self.share < 1:
            raise ValueError(
                f"Budget: share is {self.share}, but it is the part of regions to segment: between 0 and 1, neither of "
                "them (FixedInterval(1), --interval 1, segments all)"
            )
        if self.regions < 1 or not self.LIMITS[0] <= self.limit <= self.LIMITS[1]:
            raise ValueError(f"{self}: 1 region or more and a limit from {self.LIMITS[0]:g} to {self.LIMITS[1]:g}")

    def init(self, regions: int) -> BudgetState:
        """The state after a frame that was segmented whole, as a stream's first is: out of a full credit."""
        check_regions(self, regions)
        left = self._most() + self.share * self.regions - self.regions
        loss, limit, credit = (jnp.full(regions, each, jnp.float32) for each in (0.0, self.limit, left))
        return BudgetState(loss, limit, credit)

    def decide(self, state: BudgetState, evidence: Evidence) -> tuple[Bool[Array, "regions"], BudgetState]:
        loss = accumulated_loss(state.loss, evidence.score)
        most = self._most()
        credit = state.credit + self.share * self.regions
        due = jnp.ceil(credit - most - _ROUNDING)  # that many at least, or credit would be lost
        wanted = loss > jnp.where(worst_first(loss, self.regions) < due, self.LIMITS[0], state.limit)
        segment, credit = _spend(credit, loss, wanted, self.regions)
        credit = jnp.minimum(credit, most)

        # A proportional and an integral part, both of the credit: from -1, none left, over 0, four fifths, to 1, full.
        used = jnp.maximum(state.credit, 0) - jnp.maximum(credit, 0)
        over = jnp.maximum(credit, 0) / most - 0.8
        over = over / jnp.where(over > 0, 0.2, 0.8)
        limit = jnp.clip(state.limit * jnp.exp(2 * used / most - over / 20), *self.LIMITS)
        return segment, BudgetState(jnp.where(segment, 0.0, loss), limit, credit)

    def targets(self, state: BudgetState) -> Float[Array, "regions"]:
        """The score below which this frame is segmented, where the credit neither forbids it nor asks for more."""
        return 100.0 - state.limit + state.loss

    def _most(self) -> Float[Array, ""]:
        """The most credit there may be: a tenth of what 50 frames may segment, and a region at least."""
        return jnp.maximum(1.0, 0.1 * 50 * self.share * self.regions)


class FrameRateState(NamedTuple):
    """State of `FrameRate`."""

    loss: Float[Array, "regions"]
    """As `AccumulatedLossState` has it."""
    credit: Float[Array, "regions"]
    """Regions that may be segmented, not yet used; the same for all regions of a stream."""
    share: Float[Array, "regions"]
    """Of all regions, that there is time for: what `inference.pacing.Pacer` writes from frame to frame.
    The same everywhere; `least` counts where it is more."""


@dataclass(frozen=True)
class FrameRate:
    """Segment as many regions as a rate of `fps` frames a second leaves time for, those first that have lost the most
    (`AccumulatedLoss`) since their key frame.

    How many those are is told from outside, as a share of all regions: `inference.pacing.Pacer` works it out from the
    time that frames take, and `dvsnet segment` and `inference.segment_source` do so by themselves. Where nobody does,
    it stays at `least`. n frames of a stream never segment more than n × share × regions + 1 (a token bucket), whatever
    the content: after a cut the regions are renewed as fast as the rate allows, one after the other, and there is
    nothing to settle afterwards. What has lost less than a point is left alone. A region whose score is no number is
    segmented without credit; it is paid for later, a frame's regions at most.
    """

    fps: float
    regions: int = 4
    """Of each stream's frames; `config.num_regions`."""
    least: float = 0.02
    """The share that is segmented even where the rate leaves no time for it, as labels that are warped for ever are
    worth nothing."""

    needs_host: ClassVar = True
    """Decides by what this machine's clock says, so no exported program or evaluation can hold it."""
    traced: ClassVar = ("fps", "least")

    def __post_init__(self) -> None:
        if not have_values(self):
            return
        check_finite(self, fps=self.fps, least=self.least)
        if self.fps <= 0:
            raise ValueError(f"FrameRate: fps is {self.fps}, but it counts frames per second: more than 0")
        if self.regions < 1 or not 0 <= self.least <= 1:
            raise ValueError(f"{self}: 1 region or more, and a least share between 0 and 1")

    def init(self, regions: int) -> FrameRateState:
        check_regions(self, regions)
        loss, credit, share = (jnp.zeros(regions, jnp.float32) for _ in range(3))  # three: a state is donated
        return FrameRateState(loss, credit, share)

    def decide(self, state: FrameRateState, evidence: Evidence) -> tuple[Bool[Array, "regions"], FrameRateState]:
        loss = accumulated_loss(state.loss, evidence.score)
        affordable = self._share(state) * self.regions
        credit = jnp.minimum(state.credit + affordable, affordable + 1)
        segment, credit = _spend(credit, loss, loss > 1, self.regions)
        return segment, FrameRateState(jnp.where(segment, 0.0, loss), credit, state.share)

    def targets(self, state: FrameRateState) -> Float[Array, "regions"]:
        """The share of regions that there is time for, percent."""
        return 100.0 * self._share(state)

    def _share(self, state: FrameRateState) -> Float[Array, "regions"]:
        return jnp.maximum(state.share, self.least)


def check_regions(policy: Any, regions: int) -> None:
    """ValueError where so many regions are not those of whole frames of the policy's `regions`."""
    if regions % policy.regions:
        raise ValueError(
            f"{type(policy).__name__} is for frames of {policy.regions} regions, but there are {regions} in all "
            "streams together; give it regions=config.num_regions"
        )


_ROUNDING = 1e-4
"""Of a credit: thirds add up to a whole."""


def worst_first(loss: Float[Array, "regions"], regions: int) -> Int[Array, "regions"]:
    """Each region's place in its stream by what it has lost: 0 for the most."""
    of_stream = loss.reshape(-1, regions)
    return jnp.argsort(jnp.argsort(-of_stream, axis=1, stable=True), axis=1).reshape(-1)


def _spend(
    credit: Float[Array, "regions"], loss: Float[Array, "regions"], wanted: Bool[Array, "regions"], regions: int
) -> tuple[Bool[Array, "regions"], Float[Array, "regions"]]:
    """The worst of each stream's regions that are wanted, as many as there is credit for, and what is left of it."""
    segment = wanted & (worst_first(loss, regions) < jnp.floor(credit + _ROUNDING))
    segment = segment | jnp.isinf(loss)  # what cannot be warped does not wait for credit
    spent = segment.reshape(-1, regions).sum(1).repeat(regions)
    return segment, jnp.maximum(credit - spent, -regions)


def accumulated_loss(before: Float[Array, "regions"], score: Float[Array, "regions"]) -> Float[Array, "regions"]:
    """What `AccumulatedLoss` holds against its limit; a score past 100 loses nothing, one that is no number all."""
    return before + jnp.where(jnp.isfinite(score), jnp.maximum(100.0 - score, 0.0), jnp.inf)
