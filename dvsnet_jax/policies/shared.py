"""Policies that hold for several streams together: what is each stream's part is told from outside, frame by frame.

The host's part is `inference.sharing.Dealer`, which hands out from one credit, the worst regions of all streams first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dvsnet_jax.policies.accumulated import Budget, FrameRate, accumulated_loss, check_regions, worst_first
from dvsnet_jax.policies.base import Evidence, have_values


class SharedState(NamedTuple):
    """State of `SharedBudget` and `SharedFrameRate`. All but `loss` is the same for all regions of a stream and written
    from outside before each frame."""

    loss: Float[Array, "regions"]
    """As `AccumulatedLossState` has it."""
    limit: Float[Array, "regions"]
    """Of loss, the same in all streams: what is over it is to be segmented."""
    due: Float[Array, "regions"]
    """How many of the stream's regions are to be segmented though they are below the limit."""
    most: Float[Array, "regions"]
    """How many may be."""


LEAST_LOSS = 1.0
"""Points: what has lost less is left alone."""


@dataclass(frozen=True)
class SharedBudget:
    """`Budget` for all streams together: of all their regions this `share` is segmented, those first that have lost the
    most, whichever stream they are of.

    **n frames of each of N streams segment n × N × share × regions, give or take max(1, 5 × N × share × regions)**:
    over 50 frames or more that is to within a tenth, or a region, as of a `Budget` for frames of all their regions.
    What a quiet stream leaves over is a busy one's. The rest is as `Budget` says of one stream: what has lost less than
    a point is left alone; first frames and what is no number are paid for later, by all.
    """

    share: float = 0.2
    regions: int = 4
    """Of each stream's frames; `config.num_regions`."""
    limit: float = 30.0
    """To begin with."""

    needs_host: ClassVar = True
    """Decides by what other streams need, so no exported program or evaluation can hold it."""
    traced: ClassVar = ("share", "limit")

    def __post_init__(self) -> None:
        if have_values(self):
            Budget(self.share, self.regions, self.limit)  # which checks them

    def init(self, regions: int) -> SharedState:
        return _init(self, regions, self.limit)

    def decide(self, state: SharedState, evidence: Evidence) -> tuple[Bool[Array, "regions"], SharedState]:
        return _decide(self, state, evidence)

    def targets(self, state: SharedState) -> Float[Array, "regions"]:
        """The score below which this frame is segmented, as far as the stream's part goes."""
        return 100.0 - state.limit + state.loss


@dataclass(frozen=True)
class SharedFrameRate:
    """`FrameRate` for several streams on one machine: each is to keep `fps` frames a second, and what time that leaves
    goes to the worst regions of all."""

    fps: float
    regions: int = 4
    """Of each stream's frames; `config.num_regions`."""
    least: float = 0.02
    """The share that is segmented even where the rate leaves no time for it."""

    needs_host: ClassVar = True
    traced: ClassVar = ("fps", "least")

    def __post_init__(self) -> None:
        if have_values(self):
            FrameRate(self.fps, self.regions, self.least)

    def init(self, regions: int) -> SharedState:
        return _init(self, regions, LEAST_LOSS)

    def decide(self, state: SharedState, evidence: Evidence) -> tuple[Bool[Array, "regions"], SharedState]:
        return _decide(self, state, evidence)

    def targets(self, state: SharedState) -> Float[Array, "regions"]:
        """The share of the stream's regions that there is time for, percent."""
        return 100.0 * jnp.minimum(state.most / self.regions, 1)


Shared = SharedBudget | SharedFrameRate


def over_streams(policy: Budget | FrameRate) -> Shared:
    """The policy that holds for all streams together what this one holds for each."""
    if isinstance(policy, Budget):
        return SharedBudget(policy.share, policy.regions, policy.limit)
    return SharedFrameRate(policy.fps, policy.regions, policy.least)


def check_frames(policy: object, regions: int) -> None:
    """ValueError where a policy keeps a budget or rate of frames of another number of regions: it would take parts of a
    frame, or several streams, for one."""
    if isinstance(policy, Budget | FrameRate | Shared) and policy.regions != regions:
        raise ValueError(
            f"{type(policy).__name__} is for frames of {policy.regions} regions, but the configuration cuts them into "
            f"{regions}; give it regions=config.num_regions"
        )


def _init(policy: Shared, regions: int, limit: float) -> SharedState:
    check_regions(policy, regions)
    nothing = [jnp.zeros(regions, jnp.float32) for _ in range(3)]  # three: a state is donated
    return SharedState(nothing[0], jnp.full(regions, limit, jnp.float32), *nothing[1:])


def _decide(policy: Shared, state: SharedState, evidence: Evidence) -> tuple[Bool[Array, "regions"], SharedState]:
    loss = accumulated_loss(state.loss, evidence.score)
    place = worst_first(loss, policy.regions)
    segment = (loss > jnp.where(place < state.due, LEAST_LOSS, state.limit)) & (place < state.most)
    segment = segment | jnp.isinf(loss)  # what cannot be warped does not wait for its turn
    return segment, state._replace(loss=jnp.where(segment, 0.0, loss))
