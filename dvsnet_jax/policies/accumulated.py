"""Policies that sum up what a region is expected to have lost since its key frame: to a limit, a budget, a rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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


@dataclass(frozen=True)
class Budget:
    """`AccumulatedLoss` with a limit that is steered so that this `share` of all regions is segmented, in the long run.

    After every frame a stream's limit is multiplied by exp(0.25 (segmented - share)), where `segmented` is the part of
    its regions that this frame cost. So the mean share of n frames is off by 4 |log(last limit / first limit)| / n,
    whatever the content: a cut, which segments everything, moves the limit by a quarter at most. Limits stay within
    `LIMITS`: while nothing happens the budget is not used up, and it is not saved for later either.
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
                f"Budget: share is {self.share}, but it is the part of regions to segment: between 0 and 1"
            )
        if self.regions < 1 or not self.LIMITS[0] <= self.limit <= self.LIMITS[1]:
            raise ValueError(f"{self}: 1 region or more and a limit from {self.LIMITS[0]:g} to {self.LIMITS[1]:g}")

    def init(self, regions: int) -> BudgetState:
        _check_regions(self, regions)
        return BudgetState(jnp.zeros(regions, jnp.float32), jnp.full(regions, self.limit, jnp.float32))

    def decide(self, state: BudgetState, evidence: Evidence) -> tuple[Bool[Array, "regions"], BudgetState]:
        loss = accumulated_loss(state.loss, evidence.score)
        segment = loss > state.limit
        cost = segment.reshape(-1, self.regions).mean(1, keepdims=True)
        steered = state.limit.reshape(-1, self.regions) * jnp.exp(0.25 * (cost - self.share))
        limit = jnp.clip(steered, *self.LIMITS).reshape(-1)
        return segment, BudgetState(jnp.where(segment, 0.0, loss), limit)

    def targets(self, state: BudgetState) -> Float[Array, "regions"]:
        """The score below which this frame is segmented."""
        return 100.0 - state.limit + state.loss


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
        _check_regions(self, regions)
        loss, credit, share = (jnp.zeros(regions, jnp.float32) for _ in range(3))  # three: a state is donated
        return FrameRateState(loss, credit, share)

    def decide(self, state: FrameRateState, evidence: Evidence) -> tuple[Bool[Array, "regions"], FrameRateState]:
        loss = accumulated_loss(state.loss, evidence.score)
        affordable = self._share(state) * self.regions
        credit = jnp.minimum(state.credit + affordable, affordable + 1)
        of_stream = loss.reshape(-1, self.regions)
        worst_first = jnp.argsort(jnp.argsort(-of_stream, axis=1, stable=True), axis=1).reshape(-1)
        segment = (worst_first < jnp.floor(credit + 1e-4)) & (loss > 1)  # 1e-4: thirds add up to a whole
        segment = segment | jnp.isinf(loss)  # what cannot be warped does not wait for credit
        spent = segment.reshape(-1, self.regions).sum(1, keepdims=True)
        credit = jnp.maximum((credit.reshape(-1, self.regions) - spent).reshape(-1), -self.regions)
        return segment, FrameRateState(jnp.where(segment, 0.0, loss), credit, state.share)

    def targets(self, state: FrameRateState) -> Float[Array, "regions"]:
        """The share of regions that there is time for, percent."""
        return 100.0 * self._share(state)

    def _share(self, state: FrameRateState) -> Float[Array, "regions"]:
        return jnp.maximum(state.share, self.least)


def _check_regions(policy: Budget | FrameRate, regions: int) -> None:
    if regions % policy.regions:
        raise ValueError(
            f"{type(policy).__name__} is for frames of {policy.regions} regions, but there are {regions} in all "
            "streams together; give it regions=config.num_regions"
        )


def accumulated_loss(before: Float[Array, "regions"], score: Float[Array, "regions"]) -> Float[Array, "regions"]:
    """What `AccumulatedLoss` holds against its limit; a score past 100 loses nothing, one that is no number all."""
    return before + jnp.where(jnp.isfinite(score), jnp.maximum(100.0 - score, 0.0), jnp.inf)
