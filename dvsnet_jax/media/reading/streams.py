"""Which of the video streams in a file is the video: no cover, no thumbnail, no preview; of several the largest."""

from __future__ import annotations

import re
from typing import Any

from av.stream import Disposition

from dvsnet_jax.errors import InputError

_NO_VIDEO = ("attached_pic", "still_image", "timed_thumbnails", "dependent")
_TILE = Disposition.dependent
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
_PART = 0.5  # of the longest; what lasts less is a preview, or of a camera that fell out


def choose(container: Any, location: str, asked: int | None) -> tuple[Any, str | None]:
    """`(stream, what to tell)`: the stream that was asked for, by its place among the file's video streams, else the
    largest; a line where there are several. Raises InputError where there is none."""
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    if not container.streams.video:
        raise InputError(f"{location}: has no video in it; expected a file or stream with pictures")
    if not streams:
        raise InputError(f"{location}: no decoder for its video here; convert it, for example to H.264")
    every = list(container.streams.video)
    if (tiles := sum(bool(stream.disposition & _TILE) for stream in every)) > 1:
        # PyAV does not tell how they lie; and what is no tile is the thumbnail.
        raise InputError(
            f"{location}: is a picture in {tiles} tiles, as phones' HEIC has it, which would come one by one; convert "
            "it to JPEG or PNG"
        )
    if asked is not None:
        if not 0 <= asked < len(every):
            raise InputError(f"{location}: has no video stream {asked}; it has {_listed(every)}")
        if every[asked].codec_context is None:
            raise InputError(
                f"{location}: no decoder for its video stream {asked} here; take one of {_listed(streams)}"
            )
        return every[asked], None
    # Where all of them are pictures (the cover of a song), the largest of those is what there is.
    videos = [stream for stream in streams if not _is_picture(stream)] or streams
    longest = max((_seconds(stream) or 0.0 for stream in videos), default=0.0)
    lasting = [stream for stream in videos if _lasts(stream, longest)] or videos
    taken = max(lasting, key=_area)
    if len(videos) == 1:
        return taken, None
    which = "the largest" if len(lasting) == len(videos) else "the largest of those that last"
    return (
        taken,
        f"has {_listed(videos, every)}; {which} is taken, stream {every.index(taken)}; --stream N takes another",
    )


def _is_picture(stream: Any) -> bool:
    return any(bool(stream.disposition & getattr(type(stream.disposition), kind, 0)) for kind in _NO_VIDEO)


def _lasts(stream: Any, longest: float) -> bool:
    """Whether it is more than a single picture, and not much shorter than the longest one (in seconds), as far as the
    header says."""
    seconds = _seconds(stream)
    if stream.frames == 1 or seconds is None:
        return bool(stream.frames != 1)
    single = stream.average_rate and seconds * stream.average_rate < 1.5
    return bool(seconds >= _PART * longest and not single)


def _seconds(stream: Any) -> float | None:
    """How long it is shown, None where that is not said. Matroska has it in a tag alone: its header's is the file's."""
    tags = (value for name, value in stream.metadata.items() if name.upper().startswith("DURATION"))
    if (clock := _CLOCK.match(next(tags, ""))) is not None:
        hours, minutes, seconds = map(float, clock.groups())
        return 3600 * hours + 60 * minutes + seconds
    return None if stream.duration is None else float(stream.duration * stream.time_base)


def _area(stream: Any) -> int:
    return int(stream.codec_context.width * stream.codec_context.height)


def _listed(streams: list[Any], every: list[Any] | None = None) -> str:
    places = every or streams
    sizes = ", ".join(f"{places.index(stream)}: {_size(stream)}" for stream in streams)
    return f"{len(streams)} video stream{'s' if len(streams) > 1 else ''} ({sizes})"


def _size(stream: Any) -> str:
    coded = stream.codec_context
    return "no decoder" if coded is None else f"{coded.width}×{coded.height}"
