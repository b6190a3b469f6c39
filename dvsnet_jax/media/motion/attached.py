"""A source's frames, each with the motion from it to the one before, found in a thread while they are read ahead.

source = open_source("drive.mp4")
with contextlib.closing(with_motion(source, AUTO.kind)) as frames:
    for frame, motion in frames: ...  # motion None: not known
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Literal, NamedTuple

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import MissingFrame
from dvsnet_jax.media.live.source import LiveVideo
from dvsnet_jax.media.motion.codec import coded_frames
from dvsnet_jax.media.motion.dis import DisMotion
from dvsnet_jax.media.motion.encoder import EncoderMotion
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.motion.following import Estimator, Follower
from dvsnet_jax.media.motion.inspection import inspect
from dvsnet_jax.media.prefetch import run_ahead
from dvsnet_jax.media.reading.opened import comes_once
from dvsnet_jax.media.sources import Frame, Source, Video
from dvsnet_jax.media.video_reader import is_live

Kind = Literal["codec", "encoder", "dis"]
"""The file's own vectors; an encoder's; dense inverse search."""
_AHEAD = 4  # frames, as sources read


class Plan(NamedTuple):
    """Which source of motion is taken for a source of frames."""

    kind: Kind
    reason: str
    """A sentence for the person at the terminal."""


AUTO = Plan("dis", "the most exact, for every kind of source")
"""What `--motion auto` takes: DIS was the most exact on every kind of file that was measured, and the cheapest."""


def with_motion(source: Source, kind: Kind | None) -> Iterator[tuple[Frame, Motion | None]]:
    """`source.frames()`, each with the motion to the frame before it; close the iterator to stop its threads. Without a
    kind nothing is looked for.

    Motion is None where it is not known: for the first frame, after one that cannot be read, for one of another size,
    at a cut, and where the pictures contradict what was found. Whoever leaves out a frame joins its motion with the
    next one's (`compose`).

    Raises InputError for `codec` where the source is no video or its vectors will not do (see `inspect`), and where
    OpenCV cannot be loaded or, for `encoder`, libx264 is missing.
    """
    if kind == "codec":
        if isinstance(source, LiveVideo):
            raise InputError(
                f"{source.name}: a live source leaves frames out, and motion vectors lead from each frame to the one "
                "before it; take 'dis' or 'encoder'"
            )
        if not isinstance(source, Video):
            raise InputError(f"{source.name}: images have no motion vectors of their own; take 'dis' or 'encoder'")
        if not is_live(source.location) and comes_once(source.location):
            raise InputError(
                f"{source.location}: is no file but a pipe, and whether its vectors will do is looked at beforehand; "
                "take 'dis' or 'encoder'"
            )
        if not is_live(source.location) and not (inspection := inspect(source.location, source.reading)).usable:
            raise InputError(
                f"{source.location}: its motion vectors will not do, {inspection.reason}; take 'dis' or 'encoder'"
            )
        return run_ahead(_coded(source), window=_AHEAD)
    if kind is None:
        return _followed(source, None)
    followed = _followed(source, Follower(estimator(kind)))
    # A live source reads ahead by itself, and what waits here would not be its newest frame.
    return followed if isinstance(source, LiveVideo) else run_ahead(followed, window=_AHEAD)


def estimator(kind: Literal["encoder", "dis"]) -> Estimator:
    """A new one of a kind. Raises InputError where OpenCV or libx264 cannot be loaded."""
    return DisMotion() if kind == "dis" else EncoderMotion()


def _followed(source: Source, follower: Follower | None) -> Iterator[tuple[Frame, Motion | None]]:
    with closing(source.frames()) as frames:  # type: ignore[type-var]
        for frame in frames:
            yield frame, follower.step(frame.image) if follower else None


def _coded(source: Video) -> Iterator[tuple[Frame, Motion | None]]:
    otherwise = estimator("dis")
    with closing(coded_frames(source.location, otherwise, source.reading)) as found:
        for index, (image, motion, seconds) in enumerate(found):
            if not isinstance(image, MissingFrame):
                yield source.frame(index, image, seconds), motion
