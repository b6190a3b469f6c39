"""Labelled pictures as the video they come from, by one of two protocols.

`labelled_clips`: every frame has labels and counts; which of them follow one another is read off their names.
`snippets`: the paper's (section 4.1), frames 1 to 20 of each Cityscapes snippet. The first is the key frame, whose cost
does not count; of the others the last has labels, and mIoU is over these alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dvsnet_jax.datasets.cityscapes import LABELLED_FRAME
from dvsnet_jax.datasets.clips import Part, in_a_row, named_clips
from dvsnet_jax.datasets.labelled_sets import FORMS, Scaled, labelled_set
from dvsnet_jax.datasets.readers import named
from dvsnet_jax.datasets.samples import VOID, LabelledFiles, LabelledImage, paths_of
from dvsnet_jax.datasets.specs import nothing_left, parse
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
    kind, rest, own_scale, _ = parse(spec, FORMS)
    if kind in named.KINDS:
        return _videos(spec, kind, rest, num_classes, only, scale * own_scale)
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


def _videos(
    spec: str, kind: str, rest: str, num_classes: int, only: Collection[str], scale: float
) -> list[LabelledClip]:
    """Of a data set whose reader knows its videos: those of two labelled frames or more."""
    if kind not in named.VIDEOS:
        raise InputError(f"{spec}: its pictures do not follow one another, expected labelled video")
    clips = []
    for name, files in named.clips_of(kind, rest, num_classes=num_classes):
        labelled = [file for file in files if file.labels.is_file()]
        if len(labelled) > 1:
            clips.append(LabelledClip(name, _resized(LabelledFiles(labelled), scale)))
    if not clips:
        raise InputError(f"{spec}: no video of it has two labelled frames, expected labelled video")
    if not (chosen := [clip for clip in clips if clip.name.startswith(tuple(only) or "")]):
        raise nothing_left(spec, [clip.name for clip in clips], only=only)
    return chosen


def snippets(spec: str, *, only: Collection[str] = (), scale: float = 1.0) -> list[LabelledClip]:
    """Frames 1 to 20 of the snippets of `cityscapes:ROOT:SPLIT[:LABELS]`; but for the 20th's, labels are all void.

    Raises InputError for data of another kind, for a snippet that has fewer frames or whose 20th has no labels, and as
    the readers do.
    """
    if not spec.startswith("cityscapes:"):
        raise InputError(f"{spec}: the protocol of snippets is Cityscapes'; expected cityscapes:ROOT:SPLIT[:LABELS]")
    clips = []
    for name, clip in named_clips([spec], only=only):
        if len(clip) <= LABELLED_FRAME:
            raise InputError(f"{name}: a snippet of {len(clip)} frames, expected {LABELLED_FRAME + 1} or more")
        if (clip[LABELLED_FRAME].labels == VOID).all():
            raise InputError(f"{name}: its frame {LABELLED_FRAME + 1} has no labels; name snippets that have (--only)")
        clips.append(LabelledClip(name, _LastLabelled(_resized(Part(clip, 0, LABELLED_FRAME + 1), scale))))
    return clips


@dataclass(frozen=True)
class _LastLabelled(Sequence[LabelledImage]):
    """Labels of the last frame alone; those of the others, if there are any, are made void."""

    source: Sequence[LabelledImage]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        image, labels = self.source[index]
        return LabelledImage(image, labels if index == len(self) - 1 else np.full_like(labels, VOID))

    def paths(self) -> list[Path]:
        return paths_of(self.source)


def _resized(source: Sequence[LabelledImage], scale: float) -> Sequence[LabelledImage]:
    return source if scale == 1 else Scaled(source, scale)
