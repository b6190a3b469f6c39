"""The expected confidence score, set right while running by what the audit sees (`segment_frame`'s `audit`): how well
warping would have done in the regions that were segmented anew.

    state = init_recalibration(streams)
    score = recalibrated(state, expected)                      # what the policy is shown
    state = observed(state, expected, agreement, cut)          # after the frame

Expected loss, 100 - score, is multiplied by one number a stream, true loss over expected loss of what was audited. So a
score of 100, where nothing moves, stays 100. Regions are audited because of their score and of nothing that is seen
later, so at one score the audited ones are like the others, and the ratio is not biased by the choice.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

KEPT = 0.98
"""Of what an audited region says, after one more: the last fifty count."""
PRIOR = 100.0
"""Points of loss, expected and true, that the ratio begins with at 1: as of twenty regions with a loss of 5."""
MOST = 4.0
"""How far from 1 the ratio may go, up or down."""
_OUTLIER = 10.0
"""Points past `MOST` times the expected loss that one region may count for: a flash is no other kind of video."""


class Recalibration(NamedTuple):
    """Points of loss in regions that were audited, the older the less."""

    expected: Float[Array, "streams"]
    true: Float[Array, "streams"]

    @property
    def ratio(self) -> Float[Array, "streams"]:
        """What expected losses are multiplied by."""
        return jnp.clip((self.true + PRIOR) / (self.expected + PRIOR), 1 / MOST, MOST)


def init_recalibration(streams: int) -> Recalibration:
    """Nothing seen: scores stay as they are."""
    return Recalibration(jnp.zeros(streams, jnp.float32), jnp.zeros(streams, jnp.float32))


def recalibrated(state: Recalibration, score: Float[Array, "streams regions"]) -> Float[Array, "streams regions"]:
    """Scores, percent, by what was seen until now. What is past 100 or no number stays what it is."""
    loss = 100.0 - score
    return jnp.where(jnp.isfinite(score) & (loss > 0), 100.0 - state.ratio[:, None] * loss, score)


def observed(
    state: Recalibration,
    score: Float[Array, "streams regions"],
    agreement: Float[Array, "streams regions"],
    cut: Bool[Array, "streams"],
) -> Recalibration:
    """After a frame whose regions were expected to agree as `score`, not recalibrated, and agreed as `agreement` says,
    both in percent; what is NaN in either was not audited. After a cut all is forgotten.
    """
    seen = jnp.isfinite(score) & jnp.isfinite(agreement)
    expected = jnp.where(seen, jnp.clip(100.0 - score, 0.0, 100.0), 0.0)
    true = jnp.where(seen, jnp.clip(100.0 - agreement, 0.0, 100.0), 0.0)
    true = jnp.minimum(true, MOST * expected + jnp.where(seen, _OUTLIER, 0.0))
    kept = jnp.where(cut, 0.0, KEPT ** seen.sum(1))
    return Recalibration(state.expected * kept + expected.sum(1), state.true * kept + true.sum(1))
