"""Policies that count frames: the original's moving target, and a fixed interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dvsnet_jax.policies.base import Evidence, check_finite, have_values, no_number


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

    traced: ClassVar = ("target", "fall", "rise")

    def __post_init__(self) -> None:
        if not have_values(self):
            return
        check_finite(self, target=self.target, fall=self.fall, rise=self.rise)
        if self.fall < 0 or self.rise < 0:
            raise ValueError(f"DynamicTarget: fall is {self.fall} and rise {self.rise}, but neither may be negative")

    def init(self, regions: int) -> TargetMoves:
        return TargetMoves(jnp.zeros(regions, jnp.int32), jnp.zeros(regions, jnp.int32))

    def decide(self, state: TargetMoves, evidence: Evidence) -> tuple[Bool[Array, "regions"], TargetMoves]:
        segment = (evidence.score < self.targets(state)) | no_number(evidence.score)
        return segment, TargetMoves(state.segmented + segment, state.warped + ~segment)

    def targets(self, state: TargetMoves) -> Float[Array, "regions"]:
        return moved_target(state, self.target, self.fall, self.rise)


def moved_target(moves: TargetMoves, target: Any, fall: Any, rise: Any) -> Float[Array, "regions"]:
    """Where the targets of `DynamicTarget` are by now; the numbers may be traced."""
    return target - fall * moves.segmented + rise * moves.warped


class FixedIntervalState(NamedTuple):
    """State of `FixedInterval`."""

    frames: Int[Array, "regions"]
    """Since the key frame, counting the one to come."""


@dataclass(frozen=True)
class FixedInterval:
    """Segment every region on every `interval`-th frame; 1 segments every frame: the baseline without DVSNet."""

    interval: int

    traced: ClassVar = ("interval",)

    def __post_init__(self) -> None:
        if have_values(self) and self.interval < 1:
            raise ValueError(f"FixedInterval: interval is {self.interval}, but it counts frames: 1 or more")

    def init(self, regions: int) -> FixedIntervalState:
        return FixedIntervalState(jnp.ones(regions, jnp.int32))

    def decide(
        self, state: FixedIntervalState, evidence: Evidence
    ) -> tuple[Bool[Array, "regions"], FixedIntervalState]:
        segment = (state.frames >= self.interval) | no_number(evidence.score)
        return segment, FixedIntervalState(jnp.where(segment, 1, state.frames + 1))

    def targets(self, state: FixedIntervalState) -> int:
        return self.interval
