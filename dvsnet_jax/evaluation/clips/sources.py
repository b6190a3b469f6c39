"""Clips to evaluate, by name and protocol: frames in order, any of which may have labels.

- `all`: every frame of every clip counts, and so do all labels there are. A clip's first frame is segmented whole, and
  that is in its share.
- `vspw`: the same frames, all with labels, for a row of VSPW's tables.
- `snippets`: the paper's (section 4.1), frames 1 to 20 of each Cityscapes snippet. The first is the key frame, whose
  cost does not count; of the others the last has labels, and mIoU is over these alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.clip_folders import FolderClip, folder_clips
from dvsnet_jax.datasets.clips import named_clips
from dvsnet_jax.datasets.label_sets import out_of_place
from dvsnet_jax.datasets.readers import named
from dvsnet_jax.datasets.readers.bdd100k_videos import VideoMoment, list_moments
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.datasets.specs import nothing_left, parse
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.labelled import snippets
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.motion.field import Motion, for_step
from dvsnet_jax.ops.carried_motion import fit_motion

Protocol = Literal["all", "vspw", "snippets"]
FORMS = (
    f"clips:CLIPS[:LABELS], cityscapes:ROOT:SPLIT[:LABELS], camvid:ROOT:SPLIT, {named.FORMS}, "
    "bdd100k-videos:ROOT:SPLIT or street:COUNT:SEED[:HxW], then @SCALE"
)

_KINDS = ("clips", "frames", "video", "cityscapes", "camvid", "street", "bdd100k-videos", *named.KINDS)


_AS_YOURS = ("clips", "frames", "video", "folder")
"""Data whose labels are of whatever classes the network has; any other is read in its own or as Cityscapes' 19."""


def check_classes(specs: Iterable[str], config: DVSNetConfig) -> None:
    """InputError for data that would be read as Cityscapes' 19 classes beside a network whose classes, where it has
    names for them, are others: labels would be held against classes that happen to have their numbers."""
    classes: Sequence[str] | None = getattr(config.segmentation, "classes", None)
    if classes is None or (number := out_of_place(classes)) is None:
        return
    for spec in specs:
        kind = spec.partition(":")[0]
        if kind in _AS_YOURS or named.own_classes([kind], len(classes)):
            continue
        raise InputError(
            f"{spec}: is read as Cityscapes' 19 classes, but this network has {len(classes)} others: its class "
            f"{number} is {classes[number]!r}, and there it is {CLASSES[number]!r}; merge them with --classes "
            "cityscapes, here or when 'dvsnet accelerate' trains around it"
        )


class NamedClip(NamedTuple):
    """A clip, read anew whenever its frames are iterated over."""

    name: str
    """Unique among the clips of an evaluation."""
    frames: Iterable[LabelledImage]
    """All of one size. Labels are void where there are none, and may be larger or smaller than the frames."""


def evaluated_clips(
    specs: Iterable[str], *, protocol: Protocol = "all", only: Collection[str] = (), num_classes: int = 19
) -> list[NamedClip]:
    """The clips that the specs name, of which `only` keeps those whose names begin so.

    `clips:` is `datasets.clip_folders`, `bdd100k-videos:` `datasets.readers.bdd100k_videos`; of both the frames alone
    are resized by @SCALE, since the labels count at their own size. The other forms are `datasets.clips`. A name that
    is there twice gets a number. Raises InputError for a spec of another form, where no clip is left, and as the
    readers do.
    """
    found: list[NamedClip] = []
    for spec in specs:
        kind = spec.partition(":")[0]
        if kind not in _KINDS:
            hint = f"; for a folder of clips write clips:{spec}" if Path(spec).is_dir() else ""
            raise InputError(f"{spec!r} names no clips; expected {FORMS}{hint}")
        if protocol == "snippets":
            found += [NamedClip(clip.name, clip.frames) for clip in snippets(spec, only=only)]
        elif kind in ("clips", "frames"):
            found += _folders(spec, only, num_classes)
        elif kind == "bdd100k-videos":
            found += _moments(spec, only)
        else:
            found += [NamedClip(name, clip) for name, clip in named_clips([spec], only=only, num_classes=num_classes)]
    taken: set[str] = set()
    unique = []
    for name, frames in found:
        number, own = 1, name
        while own in taken:
            number += 1
            own = f"{name}-{number}"
        taken.add(own)
        unique.append(NamedClip(own, frames))
    return unique


@dataclass(frozen=True)
class _Resized:
    """Frames made larger or smaller, labels left as they are."""

    frames: FolderClip | VideoMoment
    scale: float

    def __iter__(self) -> Iterator[LabelledImage]:
        for sample in self.frames:
            yield self._resized(sample)

    def paths(self) -> list[Path]:
        return self.frames.paths()

    def coded(self) -> Iterator[tuple[LabelledImage, Motion | None]]:
        """As `FolderClip.coded`; vectors become as much shorter or longer as the frames smaller or larger."""
        for sample, motion in self.frames.coded():
            resized = self._resized(sample)
            if motion is not None:
                sizes = [(image.shape[0], image.shape[1]) for image in (sample.image, resized.image)]
                moved = fit_motion(for_step(motion, *sizes[0]), *sizes)
                motion = Motion(np.asarray(moved.flow[0]), np.asarray(moved.trust[0]))
            yield resized, motion

    def _resized(self, sample: LabelledImage) -> LabelledImage:
        height, width = (max(1, round(side * self.scale)) for side in sample.image.shape[:2])
        return LabelledImage(resize_image(sample.image, (height, width)), sample.labels)


def _folders(spec: str, only: Collection[str], num_classes: int) -> list[NamedClip]:
    _, rest, scale, matrix = parse(spec, FORMS, videos=("clips",))
    place, _, labels = rest.partition(":")
    return _chosen(spec, folder_clips(place, labels or None, num_classes=num_classes, matrix=matrix), only, scale)


def _moments(spec: str, only: Collection[str]) -> list[NamedClip]:
    _, rest, scale, _ = parse(spec, FORMS)
    root, colon, split = rest.rpartition(":")
    if not colon:
        raise InputError(f"{spec}: names no data set; expected bdd100k-videos:ROOT:SPLIT")
    return _chosen(spec, list_moments(root, split), only, scale)


def _chosen(
    spec: str, clips: Sequence[FolderClip] | Sequence[VideoMoment], only: Collection[str], scale: float
) -> list[NamedClip]:
    kept = [clip for clip in clips if clip.name.startswith(tuple(only) or "")]
    if not kept:
        raise nothing_left(spec, [clip.name for clip in clips], only=only)
    return [NamedClip(clip.name, clip if scale == 1 else _Resized(clip, scale)) for clip in kept]
