"""A folder of clips, each a folder of frames or a video, any of whose frames may have labels.

    CLIPS/drive_1/000.png …   CLIPS/drive_2.mp4                      frames in the order of their names
    LABELS/drive_1/019.png    LABELS/drive_2/frame_000019.png        labels of some of them; a video's count from 0

A folder that holds frames itself is one clip, and its labels lie in LABELS itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvsnet_jax.datasets.samples import VOID, LabelledImage, folder_of, read_train_ids
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name
from dvsnet_jax.media.motion.attached import Kind, with_motion
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.reading.names import in_order, is_hidden
from dvsnet_jax.media.reading.opened import Reading
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.media.video_reader import VIDEO_SUFFIXES


@dataclass(frozen=True)
class FolderClip:
    """A clip, read from its beginning whenever it is iterated over."""

    name: str
    frames: Path
    """A folder of images, or a video."""
    labels: Path | None
    """A folder of label PNGs, where there is one."""
    num_classes: int
    matrix: str | None = None
    """Of a video's colours, where it names none (`Reading`)."""

    def __iter__(self) -> Iterator[LabelledImage]:
        """Every frame; where it has no labels they are void and of its size, else of the label file's own.

        Raises InputError for a frame or label file that cannot be read, for ids out of range, and at the end for label
        files of no frame.
        """
        for sample, _ in self._read(None):
            yield sample

    def coded(self) -> Iterator[tuple[LabelledImage, Motion | None]]:
        """The same, each with the motion to the frame before it by the video file's own vectors.

        Raises InputError besides where these are images, or the file's vectors will not do.
        """
        return self._read("codec")

    def paths(self) -> list[Path]:
        """Of its frames and labels."""
        frames = self.frames.iterdir() if self.frames.is_dir() else (self.frames,)
        return [*frames, *(self.labels.iterdir() if self.labels else ())]

    def _read(self, kind: Kind | None) -> Iterator[tuple[LabelledImage, Motion | None]]:
        maps = {path.stem: path for path in sorted(self.labels.iterdir()) if is_image_name(path)} if self.labels else {}
        ids = tuple(range(self.num_classes))
        # Labels are of pictures as they are stored, and of videos as they are shown.
        reading = Reading(rotate=not (self.labels and self.frames.is_dir()), matrix=self.matrix)
        with closing(with_motion(open_source(self.frames, reading=reading), kind)) as frames:  # type: ignore[type-var]
            for frame, motion in frames:
                if frame.image is None:
                    raise InputError(str(frame.error)) from frame.error
                path = maps.pop(frame.name, None)
                labels = read_train_ids(path, ids) if path else np.full(frame.image.shape[:2], VOID, np.uint8)
                yield LabelledImage(frame.image, labels), motion
        if maps:
            lost = next(iter(maps.values()))
            raise InputError(f"{lost}: is called as no frame of {self.frames} ({len(maps)} such); rename or remove")


def folder_clips(
    clips: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    num_classes: int = 19,
    matrix: str | None = None,
) -> list[FolderClip]:
    """The clips of a folder, in order of their names. `matrix` is of the colours of videos that name none (`Reading`).

    Raises InputError for a folder that is missing or holds no clip, for two clips of one name, and for a folder of
    labels of no clip.
    """
    root = folder_of(Path(clips), "a folder of clips")
    truth = folder_of(Path(labels), "a folder of label PNGs") if labels is not None else None
    entries = in_order(entry for entry in root.iterdir() if not is_hidden(entry))
    if any(is_image_name(entry) for entry in entries):
        return [FolderClip(root.resolve().name, root, truth, num_classes)]
    found: dict[str, Path] = {}
    for entry in entries:
        if entry.is_dir() or entry.suffix.lower() in VIDEO_SUFFIXES:
            name = entry.name if entry.is_dir() else entry.stem
            if name in found:
                raise InputError(f"{entry}: has the name of {found[name].name}; rename one of the two")
            found[name] = entry
    if not found:
        raise InputError(f"{root}: holds neither images nor folders of images nor videos; check the path")
    folders = (entry for entry in truth.iterdir() if entry.is_dir() and not is_hidden(entry)) if truth else ()
    theirs = {entry.name: entry for entry in folders}
    if lost := sorted(theirs.keys() - found.keys()):
        raise InputError(f"{theirs[lost[0]]}: is called as no clip of {root} ({len(lost)} such); rename or remove")
    if truth and not theirs:
        raise InputError(f"{truth}: holds no folder called as a clip, such as {next(iter(found))}; check the path")
    return [FolderClip(name, path, theirs.get(name), num_classes, matrix) for name, path in found.items()]
