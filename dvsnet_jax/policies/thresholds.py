"""Policies that hold one number against another and carry nothing from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Array, Bool

from dvsnet_jax.policies.base import Evidence, check_finite, have_values, no_number


@dataclass(frozen=True)
class ExpectedConfidence:
    """Segment where the expected confidence score is below a fixed target (paper, section 3.2; the default, at 90).

    `target` is in percent. A score equal to the target is warped, as in the original.
    """

    target: float = 90.0

    traced: ClassVar = ("target",)

    def __post_init__(self) -> None:
        if have_values(self):
            check_finite(self, target=self.target)

    def init(self, regions: int) -> tuple[()]:
        return ()

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        return (evidence.score < self.target) | no_number(evidence.score), state

    def targets(self, state: Any) -> float:
        return self.target


class _Threshold:
    """What the two policies below have in common."""

    threshold: float

    def __post_init__(self) -> None:
        if have_values(self):
            check_finite(self, threshold=self.threshold)
            if self.threshold < 0:
                raise ValueError(
                    f"{type(self).__name__}: threshold is {self.threshold}, but it is grey levels or pixels: 0 or more"
                )

    def init(self, regions: int) -> tuple[()]:
        return ()

    def targets(self, state: Any) -> float:
        return self.threshold


@dataclass(frozen=True)
class FrameDifference(_Threshold):
    """Segment where the frame differs from the key frame by more than `threshold` grey levels (0..255), on average."""

    threshold: float

    traced: ClassVar = ("threshold",)

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        changed = evidence.frame_difference > self.threshold
        return changed | no_number(evidence.score, evidence.frame_difference), state


@dataclass(frozen=True)
class FlowMagnitude(_Threshold):
    """Segment where the flow vectors are longer than `threshold` pixels of the frame, on average."""

    threshold: float

    traced: ClassVar = ("threshold",)

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        moved = evidence.flow_magnitude > self.threshold
        return moved | no_number(evidence.score, evidence.flow_magnitude), state
