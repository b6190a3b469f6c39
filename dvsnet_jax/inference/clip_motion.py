"""A clip's frames, each with the motion from it to the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.motion.attached import Kind, estimator
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.motion.following import Follower


def moving(clip: Iterable[LabelledImage], kind: Kind | None) -> Iterator[tuple[LabelledImage, Motion | None]]:
    """The frames of a clip in order, with their motion as `media.motion.attached.with_motion` has it; None without a
    kind.

    A file's own vectors come with clips that have a method `coded`, which gives the same (`datasets.clip_folders`).
    Raises InputError where `codec` is asked of any other, and as `with_motion` does.
    """
    if kind == "codec":
        coded = getattr(clip, "coded", None)
        if coded is None:
            raise InputError(
                "its frames are images, which have no motion vectors of their own; take 'dis' or 'encoder'"
            )
        with closing(coded()) as frames:
            yield from frames
        return
    follower = Follower(estimator(kind)) if kind else None
    frames = iter(clip)
    try:
        for sample in frames:
            yield sample, follower.step(sample.image) if follower else None
    finally:
        getattr(frames, "close", lambda: None)()
