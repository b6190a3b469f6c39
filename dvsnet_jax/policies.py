"""Policies: when does a region become a key region?

A policy is a frozen dataclass of numbers, so equal settings hash equal and the frame step is compiled once for them.
What changes from frame to frame is carried by the caller (in `VideoState`), one entry per region:

    state = policy.init(regions)
    segment, state = policy.decide(state, evidence)     # Bool[regions]: True takes the segmentation path

Both are pure and run inside the compiled frame step. A stream's first frame never asks: every region is segmented and
the policy's state stays as `init` made it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


class Evidence(NamedTuple):
    """What a policy may look at: one number per region, all of them about the current frame against the key frame.

    What a policy does not read is never computed for it: the compiler drops it.
    """

    score: Float[Array, "regions"]
    """Expected confidence score, percent; the decision network's output, not clipped to 0..100."""
    frame_difference: Float[Array, "regions"]
    """Mean absolute difference to the key frame in grey levels, 0..255, at half resolution."""
    flow_magnitude: Float[Array, "regions"]
    """Mean length of the flow vectors, in pixels of the frame."""


@runtime_checkable
class Policy(Protocol):
    """What the frame step asks of a policy; any frozen (hashable) dataclass with these three methods is one."""

    def init(self, regions: int) -> Any:
        """The state before the first frame: a pytree whose leaves have `regions` as their first axis."""

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        """`(segment, state)`: True where the region must be segmented anew, and the next state."""

    def targets(self, state: Any) -> Float[Array, "regions"]:
        """What each region's evidence is held against, for the record (`FrameResult.targets`)."""


def _check(policy: Any, **numbers: float) -> None:
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{type(policy).__name__}: {name} is {number}, but it must be a finite number")


class _FixedThreshold:
    """Shared by the policies whose one number never moves: their state is that number, once per region."""

    def init(self, regions: int) -> Float[Array, "regions"]:
        (number,) = vars(self).values()
        return jnp.full(regions, number, jnp.float32)

    def targets(self, state: Float[Array, "regions"]) -> Float[Array, "regions"]:
        return state


@dataclass(frozen=True)
class ExpectedConfidence(_FixedThreshold):
    """Segment where the expected confidence score is below a fixed target (paper, section 3.2; the default, at 90).

    `target` is in percent. A score equal to the target is warped, as in the original.
    """

    target: float = 90.0

    def __post_init__(self) -> None:
        _check(self, target=self.target)

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        return evidence.score < state, state


@dataclass(frozen=True)
class AccumulatedLoss:
    """Segment where the confidence expected to be lost, 100 - score summed over the frames since the region's key
    frame, comes to more than `limit` points.

    *Differs from the original*, whose fixed target segments a region that never agrees (foliage, far away) again and
    again, the truth being none the better for it, and one that agrees just well enough never. Here every region has
    its turn, the sooner the worse it is warped. At equal share of regions that keeps more mIoU: `eval/policies.py`.
    """

    limit: float = 30.0

    def __post_init__(self) -> None:
        _check(self, limit=self.limit)
        if self.limit < 0:
            raise ValueError(f"AccumulatedLoss: limit is {self.limit}, but it counts points of percent: 0 or more")

    def init(self, regions: int) -> Float[Array, "regions"]:
        return jnp.zeros(regions, jnp.float32)

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        loss = accumulated_loss(state, evidence.score)
        segment = loss > self.limit
        return segment, jnp.where(segment, 0.0, loss)

    def targets(self, state: Any) -> Float[Array, "regions"]:
        """The score below which this frame is segmented."""
        return 100.0 - self.limit + state


class BudgetState(NamedTuple):
    """State of `Budget`."""

    loss: Float[Array, "regions"]
    """As `AccumulatedLoss` has it."""
    limit: Float[Array, "regions"]
    """The same for all regions of a stream."""


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

    def __post_init__(self) -> None:
        _check(self, share=self.share, limit=self.limit)
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
    """As `AccumulatedLoss` has it."""
    credit: Float[Array, "regions"]
    """Regions that may be segmented, not yet used; the same for all regions of a stream."""
    share: Float[Array, "regions"]
    """Of all regions, that there is time for: what `inference.pacing.Pacer` writes from frame to frame.
    The same everywhere."""


@dataclass(frozen=True)
class FrameRate:
    """Segment as many regions as a rate of `fps` frames a second leaves time for, those first that have lost the most
    (`AccumulatedLoss`) since their key frame.

    How many that are is told from outside, as a share of all regions: `inference.pacing.Pacer` works it out from the
    time that frames take, and `dvsnet segment` and `inference.segment_source` do so by themselves. Where nobody does,
    it stays at `least`. n frames of a stream never segment more than n × share × regions + 1 (a token bucket), whatever
    the content: after a cut the regions are renewed as fast as the rate allows, one after the other, and there is
    nothing to settle afterwards. What has lost less than a point is left alone.
    """

    fps: float
    regions: int = 4
    """Of each stream's frames; `config.num_regions`."""
    least: float = 0.02
    """The share that is segmented even where the rate leaves no time for it, as labels that are warped for ever are
    worth nothing."""

    needs_host: ClassVar = True
    """Decides by what this machine's clock says, so no exported program or evaluation can hold it."""

    def __post_init__(self) -> None:
        _check(self, fps=self.fps, least=self.least)
        if self.fps <= 0:
            raise ValueError(f"FrameRate: fps is {self.fps}, but it counts frames per second: more than 0")
        if self.regions < 1 or not 0 <= self.least <= 1:
            raise ValueError(f"{self}: 1 region or more, and a least share between 0 and 1")

    def init(self, regions: int) -> FrameRateState:
        _check_regions(self, regions)
        loss, credit = jnp.zeros(regions, jnp.float32), jnp.zeros(regions, jnp.float32)  # two: a state is donated
        return FrameRateState(loss, credit, jnp.full(regions, self.least, jnp.float32))

    def decide(self, state: FrameRateState, evidence: Evidence) -> tuple[Bool[Array, "regions"], FrameRateState]:
        loss = accumulated_loss(state.loss, evidence.score)
        affordable = state.share * self.regions
        credit = jnp.minimum(state.credit + affordable, affordable + 1)
        of_stream = loss.reshape(-1, self.regions)
        worst_first = jnp.argsort(jnp.argsort(-of_stream, axis=1, stable=True), axis=1).reshape(-1)
        segment = (worst_first < jnp.floor(credit + 1e-4)) & (loss > 1)  # 1e-4: thirds add up to a whole
        spent = segment.reshape(-1, self.regions).sum(1, keepdims=True)
        credit = (credit.reshape(-1, self.regions) - spent).reshape(-1)
        return segment, FrameRateState(jnp.where(segment, 0.0, loss), credit, state.share)

    def targets(self, state: FrameRateState) -> Float[Array, "regions"]:
        """The share of regions that there is time for, percent."""
        return 100.0 * state.share


def _check_regions(policy: Budget | FrameRate, regions: int) -> None:
    if regions % policy.regions:
        raise ValueError(
            f"{type(policy).__name__} is for frames of {policy.regions} regions, but there are {regions} in all "
            "streams together; give it regions=config.num_regions"
        )


def accumulated_loss(before: Float[Array, "regions"], score: Float[Array, "regions"]) -> Float[Array, "regions"]:
    """What `AccumulatedLoss` holds against its limit; a score past 100 loses nothing."""
    return before + jnp.maximum(100.0 - score, 0.0)


@dataclass(frozen=True)
class FrameDifference(_FixedThreshold):
    """Segment where the frame differs from the key frame by more than `threshold` grey levels (0..255), on average."""

    threshold: float

    def __post_init__(self) -> None:
        _check(self, threshold=self.threshold)

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        return evidence.frame_difference > state, state


@dataclass(frozen=True)
class FlowMagnitude(_FixedThreshold):
    """Segment where the flow vectors are longer than `threshold` pixels of the frame, on average."""

    threshold: float

    def __post_init__(self) -> None:
        _check(self, threshold=self.threshold)

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        return evidence.flow_magnitude > state, state


class TargetMoves(NamedTuple):
    """State of `DynamicTarget`: how often each region went each way; counts, so a week of video adds no rounding."""

    segmented: Int[Array, "regions"]
    warped: Int[Array, "regions"]


@dataclass(frozen=True)
class DynamicTarget:
    """The original's `--dynamic`: each region's target falls by `fall` after a segmentation and rises by `rise` after a
    warp, without bounds.

    At equilibrium a region is segmented in a share of rise / (rise + fall) of its frames (the defaults: 1 in 11)
    whatever the content and whatever `target` it started from: so this is a *budget*. `target` sets the start only.
    """

    target: float = 90.0
    fall: float = 1.0
    rise: float = 0.1

    def __post_init__(self) -> None:
        _check(self, target=self.target, fall=self.fall, rise=self.rise)
        if self.fall < 0 or self.rise < 0:
            raise ValueError(f"DynamicTarget: fall is {self.fall} and rise {self.rise}, but neither may be negative")

    def init(self, regions: int) -> TargetMoves:
        return TargetMoves(jnp.zeros(regions, jnp.int32), jnp.zeros(regions, jnp.int32))

    def decide(self, state: TargetMoves, evidence: Evidence) -> tuple[Bool[Array, "regions"], TargetMoves]:
        segment = evidence.score < self.targets(state)
        return segment, TargetMoves(state.segmented + segment, state.warped + ~segment)

    def targets(self, state: TargetMoves) -> Float[Array, "regions"]:
        return moved_target(state, self.target, self.fall, self.rise)


def moved_target(moves: TargetMoves, target: float, fall: float, rise: Any) -> Float[Array, "regions"]:
    """Where the targets of `DynamicTarget` are by now; `rise` may be traced."""
    return target - fall * moves.segmented + rise * moves.warped


@dataclass(frozen=True)
class FixedInterval:
    """Segment every region on every `interval`-th frame; 1 segments every frame: the baseline without DVSNet."""

    interval: int

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(f"FixedInterval: interval is {self.interval}, but it counts frames: 1 or more")

    def init(self, regions: int) -> Int[Array, "regions"]:
        return jnp.ones(regions, jnp.int32)  # frames since the key frame, counting the one to come

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        segment = state >= self.interval
        return segment, jnp.where(segment, 1, state + 1)

    def targets(self, state: Any) -> Float[Array, "regions"]:
        return jnp.full(state.shape, self.interval, jnp.float32)
