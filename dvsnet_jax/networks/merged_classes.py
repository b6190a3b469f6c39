"""A segmentation network of the user's own with another set of classes: those of its own that are one become one.

network = networks.merge_classes(network, to=(0, 0, 13, 255), classes=("road", …))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.protocols import ScoresOfImages, SegmentationFunction

VOID = 255


class MergedScores:
    """The scores of a network after its classes were merged; compared by identity, as a function is.

    A class has the largest score of those that became it, so that the label is the network's own, under its new name,
    whatever kind of scores it gives: a sum of probabilities would be right for logits alone, and for others, such as
    the 0..1 of Mask2Former, favour the class that more were merged into. What became nothing is void, one more score
    behind the others, and what nothing became has -inf.
    """

    def __init__(self, function: ScoresOfImages, to: tuple[int, ...], classes: int) -> None:
        self.function, self.merged = function, to
        members = [[own for own, new in enumerate(to) if new == label] for label in (*range(classes), VOID)]
        self._members = members if members[-1] else members[:-1]

    @property
    def inputs(self) -> Any:
        """How the network wants its images, where that is known."""
        return getattr(self.function, "inputs", None)

    def __call__(self, params: Any, images: Float[Array, "n h w 3"]) -> Float[Array, "n h2 w2 classes"]:
        scores = self.function(params, images)
        if scores.shape[-1] != len(self.merged):
            raise ValueError(
                f"{self.function} returned {scores.shape}, but {len(self.merged)} classes are merged (its last side)"
            )
        never = jnp.full_like(scores[..., 0], -jnp.inf)
        merged = [
            reduce(jnp.maximum, [scores[..., own] for own in members]) if members else never
            for members in self._members
        ]
        return jnp.stack(merged, axis=-1)

    def __repr__(self) -> str:
        return repr(self.function)


def merge_classes(network: SegmentationFunction, to: Sequence[int], classes: Sequence[str]) -> SegmentationFunction:
    """`network` with the classes `classes`. `to` says of each class of its own which of these it becomes, 255: void.

    Raises ValueError for another number of classes than the network has, for one that is not there, and where all would
    be void.
    """
    to, names = tuple(int(label) for label in to), tuple(classes)
    if len(to) != network.num_classes or network.has_void:
        raise ValueError(f"{len(to)} classes are to be merged, but the network has {network.num_scores}")
    if wrong := [label for label in to if not 0 <= label < len(names) and label != VOID]:
        raise ValueError(f"a class becomes {wrong[0]}, but there are {len(names)}, and 255 for void")
    if set(to) == {VOID}:
        raise ValueError("every class becomes void, so nothing is left to be told apart")
    function = MergedScores(network.function, to, len(names))
    return replace(network, function=function, num_classes=len(names), classes=names, has_void=VOID in to)


def merged_classes(network: Any) -> tuple[int, ...] | None:
    """What each of the network's own classes became, where they were merged."""
    return getattr(getattr(network, "function", None), "merged", None)
