"""Labelled pictures as the video they come from: which of them follow one another is read off their names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from dvsnet_jax.datasets.clips import in_a_row
from dvsnet_jax.datasets.labelled_sets import Scaled, labelled_set
from dvsnet_jax.datasets.samples import LabelledFiles, LabelledImage
from dvsnet_jax.errors import InputError


class LabelledClip(NamedTuple):
    """Frames that follow one another at even distances, each with its labels; read when asked for."""

    name: str
    """Of its first frame."""
    frames: Sequence[LabelledImage]


def labelled_clips(
    spec: str, *, num_classes: int = 19, only: Collection[str] = (), scale: float = 1.0
) -> list[LabelledClip]:
    """The clips of a labelled set, named as `datasets.labelled_sets` names them.

    `only` takes the frames whose names begin so (`aachen_000004`), `scale` resizes them. Raises InputError for a set
    that is no video (no file names, or no two frames in a row), for an `only` that no frame has, and as the readers do.
    """
    source = labelled_set(spec, num_classes=num_classes)
    if isinstance(source, Scaled):
        scale *= source.scale
        source = source.source
    if not isinstance(source, LabelledFiles):
        raise InputError(f"{spec}: its pictures have no file names to tell a video by; name files that are one")
    names = [file.name for file in source.files]
    if lost := [prefix for prefix in only if not any(name.startswith(prefix) for name in names)]:
        raise InputError(f"{spec}: no frame's name begins with {', '.join(lost)}; they are called like {names[0]}")
    clips = in_a_row([file for file in source.files if file.name.startswith(tuple(only) or "")])
    if not any(len(clip) > 1 for clip in clips):
        raise InputError(f"{spec}: no two of its {len(clips)} frames follow one another, expected labelled video")
    return [LabelledClip(clip[0].name, _resized(LabelledFiles(clip), scale)) for clip in clips]


def _resized(source: Sequence[LabelledImage], scale: float) -> Sequence[LabelledImage]:
    return source if scale == 1 else Scaled(source, scale)
