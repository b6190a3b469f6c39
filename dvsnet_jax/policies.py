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
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

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
        return self.target - self.fall * state.segmented + self.rise * state.warped


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
