"""What streams give, frame by frame and clip by clip, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dvsnet_jax.inference.streaming.steps import Stepped
from dvsnet_jax.media.motion.field import Motion


class SegmentedFrame(NamedTuple):
    """A frame of a clip, and what became of it."""

    clip: int
    """The clip's place in the list."""
    number: int
    """The frame's place in the clip."""
    sample: Any
    """What the clip gave: a `LabelledImage`, or something else with an `image`."""
    motion_known: bool
    """Whether the motion to it from the frame before came with it."""
    labels: UInt8[np.ndarray, "height width"]
    """This and the next four are as in `FrameResult`, of this frame alone."""
    scores: Float[np.ndarray, "regions"]
    targets: Float[np.ndarray, "regions"]
    segmented: Bool[np.ndarray, "regions"]
    untrusted: Bool[np.ndarray, "regions"]
    whole: UInt8[np.ndarray, "height width"] | None
    """Labels where every region is segmented, if that was asked for."""
    seconds: float | None
    """Its part of what the devices' work on this step took, without reading, compiling and `whole`. None where the step
    does not count."""
    agreement: Float[np.ndarray, "regions"] | None = None
    """This and the next are as in `AuditedResult`, where the step audits."""
    expected: Float[np.ndarray, "regions"] | None = None
    class_scores: Float[np.ndarray, "height width classes"] | None = None
    """As in `ScoredResult`, where the step gives it."""
    kept: list[np.ndarray] | None = None
    """The leaves of the stream's state after it, where they were asked for."""


class ClipEnd(NamedTuple):
    """A clip has no further frame, or cannot be read on."""

    clip: int
    frames: int
    """That were segmented."""
    error: str | None
    """What was wrong with it, one line."""


class Start(NamedTuple):
    """Where a clip goes on that was begun earlier."""

    frames: int
    """That were segmented; the clip's opening gives those after them."""
    restored: Callable[[Any], Any]
    """The stream's state after them, made of one of its kind."""


@dataclass
class Slot:
    """A stream and the clip that it is at."""

    clip: int = -1
    number: int = 0
    frames: Iterator[tuple[Any, Motion | None]] | None = None
    sample: Any = None
    """The next to be segmented; None where the stream is idle."""
    motion: Motion | None = None
    """From this one to the one before it, where it is wanted and known."""

    def advance(self) -> None:
        """Reads the next sample; None after the last. Raises what is wrong with it."""
        assert self.frames is not None
        self.sample, self.motion = next(self.frames, (None, None))


class UnderWay(NamedTuple):
    """A step on its way."""

    who: list[tuple[int, int, int, Any, bool]]
    """Of each frame in it: stream, clip, number, sample, whether its motion is known."""
    stepped: Future[Stepped]
    whole: Stepped | None
    counts: bool
    """Whether its time does."""
    ends: list[ClipEnd]
    """Of clips whose last frame this was."""
    kept: dict[int, list[np.ndarray]]
    """By stream, leaves of states that were asked for."""
