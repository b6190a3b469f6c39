"""How alike two grids of scores are, by the labels that they give."""

from __future__ import annotations

from jaxtyping import Array, Float


def label_agreement(
    first: Float[Array, "regions h w classes"], second: Float[Array, "regions h w classes"]
) -> Float[Array, "regions"]:
    """Percent of the grid where both have the same label."""
    return 100 * (first.argmax(-1) == second.argmax(-1)).mean((1, 2))
