"""A frame of a source with what became of it, as those get it who build on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jaxtyping import Bool, Float, Float16, Int, UInt8
from numpy import ndarray

from dvsnet_jax.media.sources import Frame


class Segmented(NamedTuple):
    """A frame, its labels, and how its regions (row by row) came by them. Arrays are numpy's, and nobody else's."""

    frame: Frame
    labels: UInt8[ndarray, "height width"]
    """Train ids; 255 is void. Of the frame's size, or of the configuration's `input_size`."""
    scores: Float[ndarray, "regions"]
    """Expected agreement of warping with segmenting, percent; NaN where nothing is there to warp."""
    targets: Float[ndarray, "regions"]
    segmented: Bool[ndarray, "regions"]
    untrusted: Bool[ndarray, "regions"]
    ages: Int[ndarray, "regions"]
    """Frames since the region was segmented; 0 where it was anew."""
    record: Mapping[str, Any]
    """Its line of routes.jsonl."""
    class_scores: Float16[ndarray, "height width classes"] | None = None
    """Raw scores at every pixel, of which the label is the best (`ScoredResult`); with `every_score` alone."""


class Products(Protocol):
    """Files made of a source besides those of its `OutputFolder`."""

    def take(self, segmented: Segmented) -> None:
        """The next frame; called from one thread, in order."""

    def close(self) -> None:
        """Finishes the files; called after errors too."""
