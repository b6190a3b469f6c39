"""Clips named on a command line, to draw pairs of frames from; labels where there are any, else all void.

    video:FILE                         a video file of any length; what is not in memory is decoded when wanted
    frames:FOLDER[:LABELS]             a folder of frames in the order of their names, label PNGs for some of them
    cityscapes:ROOT:SPLIT[:LABELS]     the 30-frame snippets of leftImg8bit_sequence; LABELS as in labelled_sets
    camvid:ROOT:SPLIT                  runs of consecutive frames
    street:COUNT:SEED[:HEIGHTxWIDTH]   procedural drives of 10 frames, 256x512
    vspw, kitti-step, cityscapes-vps, apolloscape, bdd100k, vistas, idd, a2d2, each :ROOT:SPLIT   (readers/named.py)

After any of them @0.5 makes frames half as high and wide, and after a video @bt601 (or @bt709) says by which matrix its
colours are read where it names none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dvsnet_jax.datasets import camvid, cityscapes, folders
from dvsnet_jax.datasets.labelled_sets import Scaled
from dvsnet_jax.datasets.readers import named
from dvsnet_jax.datasets.samples import VOID, LabelledFile, LabelledFiles, LabelledImage, folder_of, paths_of
from dvsnet_jax.datasets.specs import nothing_left, parse
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.datasets.unlabelled import UnlabelledClip
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.reading.opened import Reading

FORMS = (
    "video:FILE, frames:FOLDER[:LABELS], cityscapes:ROOT:SPLIT[:LABELS], camvid:ROOT:SPLIT, "
    f"{named.FORMS} or street:COUNT:SEED[:HxW]"
)

Clip = Sequence[LabelledImage]


class Place(NamedTuple):
    """A frame of a clip, not read yet: the reader decides which earlier frame of the clip is read with it."""

    clip: Clip
    position: int


class Places(Sequence[Place]):
    """The frames of all clips that have a key frame at one of `distances` before them: a source for `datasets.batches`,
    whose augmentation reads. A frame that cannot be read is no place, and no key frame.

    Raises InputError where there are none.
    """

    def __init__(self, clips: Iterable[Clip], distances: tuple[int, int] = (0, 9)) -> None:
        self.clips = tuple(clips)
        self._positions = [current_frames(clip, distances) for clip in self.clips]
        self._ends = np.cumsum([len(positions) for positions in self._positions])
        if not len(self):
            raise InputError(f"none of {len(self.clips)} clips has two frames to make a pair of; name others")

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Place:  # type: ignore[override]  # no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        positions = self._positions[number]
        return Place(self.clips[number], positions[index - int(self._ends[number]) + len(positions)])


def unreadable(clip: Clip) -> Collection[int]:
    """Which frames of a clip are known not to be readable, by position."""
    if isinstance(clip, UnlabelledClip):
        return clip.unreadable.keys()
    if isinstance(clip, Part):
        return {position - clip.first for position in unreadable(clip.clip) if clip.first <= position < clip.last}
    return frozenset()


def longest_run(clip: Clip) -> range:
    """Where the most frames in a row are that are not known to be unreadable, by position; the first of equals."""
    ends = [-1, *sorted(unreadable(clip)), len(clip)]
    return max((range(last + 1, end) for last, end in itertools.pairwise(ends)), key=len)


def may_have_labels(clip: Clip) -> bool:
    """Whether looking into its frames for labels is worth the while: a video's are void, all of them."""
    return may_have_labels(clip.clip) if isinstance(clip, Part) else not isinstance(clip, UnlabelledClip)


def key_frames(clip: Clip, position: int, distances: tuple[int, int]) -> list[int]:
    """The frames that can be the key frame of the one at `position`, as far before it as `distances` say and the clip
    reaches, farthest first: those that can be read."""
    farthest, nearest = (max(0, position - distance) for distance in reversed(distances))
    lost = unreadable(clip)
    return [key for key in range(farthest, nearest + 1) if key not in lost]


def current_frames(clip: Clip, distances: tuple[int, int]) -> Sequence[int]:
    """The frames that can be read and have such a key frame."""
    lost = unreadable(clip)
    if not lost:
        return range(len(clip))
    return [each for each in range(len(clip)) if each not in lost and key_frames(clip, each, distances)]


def clip_set(
    spec: str, *, hold_out: Collection[str] = (), only: Collection[str] = (), num_classes: int = 19
) -> list[Clip]:
    """The clips that a spec names. `hold_out` and `only` choose among them by the beginning of their names.

    A data set of `num_classes` classes of its own is read in these, and so many may be in a folder's labels.

    Raises InputError for a spec of another form, a name to hold out that no clip has, where no clip is left, and as the
    readers do.
    """
    return clip_sets([spec], hold_out=hold_out, only=only, num_classes=num_classes)


def clip_sets(
    specs: Iterable[str],
    *,
    hold_out: Collection[str] = (),
    only: Collection[str] = (),
    num_classes: int = 19,
    one_size: bool = True,
) -> list[Clip]:
    """The clips of several specs, as `clip_set`; a name to hold out is in one of them at least. `one_size` is an
    `UnlabelledClip`'s."""
    found = named_clips(specs, hold_out=hold_out, only=only, num_classes=num_classes, one_size=one_size)
    return [clip for _, clip in found]


def named_clips(
    specs: Iterable[str],
    *,
    hold_out: Collection[str] = (),
    only: Collection[str] = (),
    num_classes: int = 19,
    one_size: bool = True,
) -> list[tuple[str, Clip]]:
    """The same with the clips' names."""
    found = {spec: _named(spec, num_classes, one_size=one_size) for spec in specs}
    for wanted in hold_out:
        if not any(name.startswith(wanted) for clips in found.values() for name, _ in clips):
            raise InputError(f"{wanted}: to be held out, but no clip of {', '.join(found)} is called so; correct it")
    kept: Named = []
    for spec, clips in found.items():
        some = [
            (name, clip) for name, clip in clips
            if not name.startswith(tuple(hold_out) or "\0") and name.startswith(tuple(only) or "")
        ]  # fmt: skip
        if not some:
            raise nothing_left(spec, [name for name, _ in clips], hold_out=hold_out, only=only)
        kept += some
    return kept


def _named(spec: str, num_classes: int, *, one_size: bool = True) -> Named:
    kind, rest, scale, matrix = parse(spec, FORMS, videos=("video",))
    try:
        if kind == "video":
            return _video(rest, scale, matrix, one_size=one_size)
        if kind == "frames" and not rest.partition(":")[2]:
            return _video(rest.partition(":")[0], scale, one_size=one_size)
        if kind in named.KINDS:
            clips = named.clips_of(kind, rest, num_classes=num_classes)
            return _scaled([(name, PartlyLabelled(files)) for name, files in clips], scale)
        return _READERS[kind](rest, scale, num_classes)
    except InputError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{spec!r} names no clips; expected {FORMS}, then @SCALE") from error


def in_a_row(files: Sequence[LabelledFile]) -> list[list[LabelledFile]]:
    """Files, in order, cut into clips: where the name around its last number changes, and where the step between
    consecutive numbers does.

    A frame between two steps goes with the shorter one. Raises InputError for a name without a number.
    """
    clips: list[list[LabelledFile]] = []
    last: tuple[str, int] | None = None
    step = 0  # of the last clip; 0 while it has one frame
    for file in files:
        match = re.fullmatch(r"(.*?)(\d+)(\D*)", file.name)
        if match is None:
            raise InputError(f"{file.image}: has no number in its name to tell which frames follow one another by")
        sequence, number = f"{match[1]}#{match[3]}", int(match[2])
        gap = number - last[1] if last and last[0] == sequence else 0
        if gap <= 0:
            clips.append([file])
            step = 0
        elif step in (0, gap):
            clips[-1].append(file)
            step = gap
        elif gap < step and len(clips[-1]) == 2:
            clips.append([clips[-1].pop(), file])
            step = gap
        else:
            clips.append([file])
            step = 0
        last = sequence, number
    return clips


@dataclass(frozen=True)
class _Drive(Sequence[LabelledImage]):
    """A procedural clip, drawn frame by frame when asked for."""

    scene: StreetScene

    def __len__(self) -> int:
        return self.scene.frames

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        return LabelledImage(*self.scene.draw(index))


@dataclass(frozen=True)
class Part(Sequence[LabelledImage]):
    """The frames first … last - 1 of a clip."""

    clip: Clip
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.clip[self.first + index]

    def paths(self) -> list[Path]:
        return paths_of(self.clip)


Named = list[tuple[str, Clip]]


def _scaled(named: Named, scale: float) -> Named:
    return named if scale == 1 else [(name, Scaled(clip, scale)) for name, clip in named]


def _video(path: str, scale: float, matrix: str | None = None, *, one_size: bool = True) -> Named:
    clip = UnlabelledClip(path, scale, reading=Reading(matrix=matrix), one_size=one_size)
    return [(f"{clip.name}_00000", clip)]


def _labelled_folder(rest: str, scale: float, num_classes: int) -> Named:
    frames, _, labels = rest.partition(":")
    files = folders.list_labelled(frames, labels, num_classes=num_classes)
    return _scaled([(Path(frames).name, LabelledFiles(files))], scale)


def _cityscapes(rest: str, scale: float, num_classes: int) -> Named:
    root, split, *labels = rest.split(":")
    kind = labels[0] if labels else "gtFine"
    named: Named = []
    snippets = cityscapes.list_snippets(root, split)
    if labels:  # a frame's may be missing, but not all that were asked for by name
        folder_of(Path(root) / kind / split, f"labels {kind!r} of the split {split!r}")
    for snippet in snippets:
        files = [cityscapes.file_of(root, frame, kind) for frame in snippet.frames]  # type: ignore[arg-type]
        named.append((snippet.name, PartlyLabelled(files)))
    return _scaled(named, scale)


class PartlyLabelled(LabelledFiles):
    """Files whose labels may be missing: all void then."""

    def __getitem__(self, index: int) -> LabelledImage:  # type: ignore[override]  # no slices
        file = self.files[index]
        if file.labels.is_file():
            return file.read()
        image = folders.read_image(file.image)
        return LabelledImage(image, np.full(image.shape[:2], VOID, np.uint8))


def _camvid(rest: str, scale: float, num_classes: int) -> Named:
    root, split = rest.rsplit(":", 1)
    files = camvid.list_labelled(root, split, train_ids=camvid.ids_for(num_classes))
    return _scaled([(run[0].name, LabelledFiles(run)) for run in in_a_row(files)], scale)


def _street(rest: str, scale: float, num_classes: int) -> Named:
    count, seed, *size = rest.split(":")
    height, width = map(int, (size[0] if size else "256x512").split("x"))
    seeds = np.random.default_rng(int(seed)).integers(2**62, size=int(count))
    drives = [StreetScene(int(each), height, width, frames=10) for each in seeds]
    return _scaled([(f"street_{scene.seed}", _Drive(scene)) for scene in drives], scale)


_READERS: dict[str, Callable[[str, float, int], Named]] = {
    "frames": _labelled_folder, "cityscapes": _cityscapes, "camvid": _camvid, "street": _street,
}  # fmt: skip
