"""Whether a video file's own vectors will do, found out from its first frames."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import NamedTuple

from dvsnet_jax.media.images import MissingFrame, UnreadableFrame
from dvsnet_jax.media.motion.codec import coded_frames
from dvsnet_jax.media.motion.encoder import EncoderMotion
from dvsnet_jax.media.motion.likeness import Grey, grey, likeness
from dvsnet_jax.media.motion.painting import vectors_of
from dvsnet_jax.media.reading.opened import AS_SHOWN, Reading
from dvsnet_jax.media.video_reader import decode_frames, probe_coding

_LOOKED_AT = 24  # frames
_AS_GOOD = 0.75  # share of the likeness that an encoder's search reaches: 0.85 to 1 was seen, 0.6 of wrong vectors


class Inspection(NamedTuple):
    """What the first frames of a file tell of its vectors."""

    usable: bool
    """Motion comes from them."""
    reason: str
    """A sentence for the person at the terminal."""


def inspect(path: str, reading: Reading = AS_SHOWN) -> Inspection:
    """Looks at a file's first 24 frames. Raises InputError where the video cannot be opened."""
    codec, held_back = probe_coding(path, reading)
    predicted = 0
    with closing(decode_frames(path, vectors=True, reading=reading)) as frames:
        for index, frame in enumerate(islice(frames, _LOOKED_AT)):
            if isinstance(frame, MissingFrame):
                continue
            if isinstance(frame, UnreadableFrame):
                return Inspection(False, "the file is damaged near its beginning")
            if frame.fields:
                return Inspection(False, "the file is coded in fields")
            predicted += index > 0 and vectors_of(frame) is not None
    if not predicted:
        return Inspection(False, f"no vectors come with its first frames ({codec})")
    known, own, sought = _likeness(path, reading)
    if known < predicted / 2 or own < _AS_GOOD * sought:
        return Inspection(False, f"the pictures contradict its vectors ({codec})")
    if held_back:
        return Inspection(True, f"the file has B frames ({codec}), whose vectors reach over several frames")
    return Inspection(True, f"the file has vectors from frame to frame ({codec}), and they fit the pictures")


def _likeness(path: str, reading: Reading) -> tuple[int, float, float]:
    """Of how many of the first frames motion comes out; how like they are, all in all, to those before them moved along
    it, and moved along what an encoder finds."""
    last: Grey | None = None
    encoder, known, own, sought = EncoderMotion(), 0, 0.0, 0.0
    with closing(coded_frames(path, reading=reading)) as frames:
        for image, motion, _ in islice(frames, _LOOKED_AT):
            if isinstance(image, MissingFrame):
                continue
            if isinstance(image, UnreadableFrame):
                break
            here = grey(image)
            found = encoder.flow(here, last)
            if motion is not None and found is not None and last is not None:
                known += 1
                own += likeness(here, last, motion.flow)[0]
                sought += likeness(here, last, found[0])[0]
            last = here
    return known, own, sought
