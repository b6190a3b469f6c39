"""Where frames come from: a video file, a folder of images, a list of images, a single image, a stream or a camera.

source = open_source("drive.mp4")
with contextlib.closing(source.frames()) as frames:
    for frame in frames: ...        # every frame, in order, decoded ahead by threads
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import IMAGE_SUFFIXES, MissingFrame, UnreadableFrame, is_image_name, read_image
from dvsnet_jax.media.prefetch import map_ahead, run_ahead
from dvsnet_jax.media.reading.addresses import name_of, without_password
from dvsnet_jax.media.reading.names import as_spelt_here, columns, forms, in_order, is_hidden, list_lines, order
from dvsnet_jax.media.reading.opened import AS_SHOWN, Reading, comes_once, tell
from dvsnet_jax.media.reading.pictures import Picture
from dvsnet_jax.media.video_reader import VIDEO_SUFFIXES, decode_frames, is_live, probe_video

LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})
_AHEAD = 4  # frames decoded but not yet asked for; 6 MB each at 1024×2048
_READERS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Frame:
    """One frame of a source, or why there is none at its place."""

    index: int
    """Its place in the source, from 0; a frame that cannot be read has its place too."""
    name: str
    """What files made from it are called (no suffix); unique in its source."""
    where: str
    """What to call it in a message: its file, or the video and the frame's number."""
    image: UInt8[np.ndarray, "height width 3"] | None
    """RGB, 0..255, or None where it cannot be read."""
    error: UnreadableFrame | None = None
    time: float | None = None
    """When it is shown, in seconds, as its file has it; None where that is not known, as of images."""


class Source(Protocol):
    """A sequence of frames that can be gone through once or more (a stream: once)."""

    name: str
    """The stem of its file or folder."""

    @property
    def files(self) -> Sequence[str | os.PathLike[str]]:
        """What it reads; none where that is no file."""

    @property
    def count(self) -> int | None:
        """How many frames there are, where that can be known beforehand."""

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, where the source says so."""

    def frames(self) -> Iterator[Frame]:
        """Its frames in order, decoded ahead in threads; close the iterator to stop them."""


class ImageSequence:
    """Image files as frames, in the given order."""

    frame_rate = None

    def __init__(
        self, name: str, paths: Sequence[Path], places: Sequence[str] | None = None, *, upright: bool = True
    ) -> None:
        """`places` tells for each path where it came from ("line 3 of val.txt"), for messages about missing files;
        `upright` whether an EXIF orientation is applied."""
        self.name = name
        self.upright = upright
        self.paths = list(paths)
        self._places = places or [""] * len(self.paths)
        stems = [path.stem for path in self.paths]
        # Lists may take the same file name from several folders; then all names begin with the index, to sort well.
        self._names = stems if len(set(stems)) == len(stems) else [f"{i:06d}_{stem}" for i, stem in enumerate(stems)]

    @property
    def files(self) -> Sequence[Path]:
        return self.paths

    @property
    def count(self) -> int:
        return len(self.paths)

    def frames(self) -> Iterator[Frame]:
        return map_ahead(self._read, range(len(self.paths)), workers=_READERS, window=_READERS + _AHEAD)

    def _read(self, index: int) -> Frame:
        path, name = self.paths[index], self._names[index]
        try:
            return Frame(index, name, str(path), read_image(path, upright=self.upright))
        except UnreadableFrame as error:
            place = self._places[index]
            return Frame(index, name, str(path), None, UnreadableFrame(f"{error}, {place}") if place else error)


class Video:
    """A video file, or a stream or camera, through PyAV."""

    def __init__(self, name: str, location: str, reading: Reading = AS_SHOWN) -> None:
        self.name = name
        self.location = location
        self.reading = reading
        self._probed: tuple[int | None, Fraction | None] | None = None

    @property
    def files(self) -> Sequence[str]:
        return () if is_live(self.location) else (self.location,)

    @property
    def count(self) -> int | None:
        return self._probe()[0]

    @property
    def frame_rate(self) -> Fraction | None:
        return self._probe()[1]

    def frames(self) -> Iterator[Frame]:
        return run_ahead(self._frames(), window=_AHEAD)

    def _probe(self) -> tuple[int | None, Fraction | None]:
        if self._probed is None:
            # A camera is not opened twice, either: many take seconds for it, and some refuse.
            self._probed = (None, None) if comes_once(self.location) else probe_video(self.location, self.reading)
        return self._probed

    def frame(
        self, index: int, image: UInt8[np.ndarray, "height width 3"] | UnreadableFrame, time: float | None = None
    ) -> Frame:
        """What `decode_video` gives in this place, as a frame of this source; `time` in seconds."""
        name, where = f"frame_{index:06d}", f"{without_password(self.location)} (frame {index})"
        if isinstance(image, UnreadableFrame):
            return Frame(index, name, where, None, image, image.seconds)
        return Frame(index, name, where, image, time=time)

    def _frames(self) -> Iterator[Frame]:
        with closing(decode_frames(self.location, reading=self.reading)) as pictures:
            for index, picture in enumerate(pictures):
                if isinstance(picture, Picture):
                    yield self.frame(index, picture.to_ndarray(), picture.seconds)
                elif not isinstance(picture, MissingFrame):  # that has its number, and no more
                    yield self.frame(index, picture)


class Unopened:
    """A source that cannot be opened, among others that can: it says why when its frames are asked for."""

    files: Sequence[Path] = ()
    count = 0
    frame_rate = None

    def __init__(self, name: str, error: InputError) -> None:
        self.name = name
        self.error = error

    def frames(self) -> Iterator[Frame]:
        raise self.error


def open_source(
    location: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    reading: Reading = AS_SHOWN,
) -> Source:
    """The source at a path, URL or device. Nothing is decoded yet. `reading` says how
    videos are read, and whether images are turned.

    - a folder: its images (by suffix), sorted by name, numbers in it as numbers. Folders in it are not entered, and
      names with a dot in front are passed over.
    - `.txt`, `.lst`, `.list`: a list in the original's format; see `read_image_list`.
    - an image: a sequence of one.
    - `scheme://…`: a stream, such as `rtsp://…`; `/dev/video0` or `FORMAT:DEVICE` (`avfoundation:0`): a camera, where
      PyAV was built with support for it.
    - any other file: a video.

    Raises `InputError` for what is not there, an empty folder or list.
    """
    text = os.fspath(location)
    path = Path(text)
    if is_live(text):
        return Video(name_of(text), text, reading)
    if path.is_dir():
        paths = in_order(child for child in path.iterdir() if is_image_name(child) and child.is_file())
        if not paths:
            raise InputError(_no_images(text, path))
        return ImageSequence(path.resolve().name or "images", paths, upright=reading.rotate)
    if not path.exists():
        raise InputError(f"{text}: no such file or folder; check the path")
    if path.suffix.lower() in LIST_SUFFIXES:
        return read_image_list(path, data_dir=data_dir, upright=reading.rotate)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSequence(path.stem, [path], upright=reading.rotate)
    return Video(path.stem, text, reading)


def open_sources(
    locations: Sequence[str | os.PathLike[str]],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    reading: Reading = AS_SHOWN,
) -> list[Source]:
    """`open_source` for each, with names made unique; several single images are one sequence, in the order given; where
    that is the shell's, of a `*.png`, numbers in names count as numbers, and that is told where it makes a difference.

    One that cannot be opened has its place all the same, as an `Unopened`. Where none can, what is wrong with them is
    raised: `InputError`, or an ExceptionGroup of several.
    """
    paths = [Path(location) for location in locations]
    if len(paths) > 1 and all(is_image_name(path) and path.is_file() for path in paths):
        return [ImageSequence("images", _as_numbered(paths), upright=reading.rotate)]
    sources = [_opened(location, data_dir, reading) for location in locations]
    if errors := [source.error for source in sources if isinstance(source, Unopened)]:
        if len(errors) == len(sources) == 1:
            raise errors[0]
        if len(errors) == len(sources):
            raise ExceptionGroup("no input can be opened", errors)
    taken: set[str] = set()
    for source in sources:
        name, number = source.name, 1
        while source.name in taken:
            source.name, number = f"{name}-{number + 1}", number + 1
        taken.add(source.name)
    return sources


def _as_numbered(paths: list[Path]) -> list[Path]:
    """The same in the order of the numbers in their names, where they come as a shell sorts them."""
    numbered = sorted(paths, key=lambda path: (order(str(path.with_suffix(""))), path.name))
    if paths != sorted(paths, key=str) or numbered == paths:
        return paths
    first, then = next((one, other) for one, other in zip(numbered, paths, strict=True) if one != other)
    tell("images", f"are taken by the numbers in their names, {first.name} before {then.name}; a list keeps any order")
    return numbered


def _opened(location: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None, reading: Reading) -> Source:
    try:
        return open_source(location, data_dir=data_dir, reading=reading)
    except InputError as error:
        return Unopened(Path(location).stem or "input", error)


def read_image_list(
    path: str | os.PathLike[str], *, data_dir: str | os.PathLike[str] | None = None, upright: bool = True
) -> ImageSequence:
    """An image list in the original's format: one path a line, below `data_dir` (default: the list's own folder).

    A path may begin with a slash, as lists for plain concatenation do, or be absolute. Where a line has several
    columns (image, label) and is no file as a whole, its first column counts; spaces, tabs, commas or semicolons part
    them. Blank lines are passed over. Line ends, backslashes, capitals and encodings may be Windows', accents a Mac's,
    and the last line end may be missing.

    Raises `InputError` for a list that is missing, empty, or no text. Missing images are found on reading.
    """
    path = Path(path)
    root = Path(data_dir) if data_dir is not None else path.parent
    if not root.is_dir():
        raise InputError(f"{root}: no such folder for the images of {path}; correct --data-dir")
    try:
        lines = list_lines(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected a list with one image path a line") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected a list with one image path a line"
        ) from error
    found = [
        (_listed_image(root, line.strip()), f"line {number} of {path}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not found:
        raise InputError(f"{path}: the list is empty; expected one image path a line")
    images, places = zip(*found, strict=True)
    return ImageSequence(path.stem, images, places, upright=upright)


def _listed_image(root: Path, line: str) -> Path:
    for text in (form for column in columns(line) for form in forms(column)):
        below = root / text.lstrip("/\\")
        if _is_file(below):
            return below
        if Path(text).is_absolute() and _is_file(Path(text)):
            return Path(text)
    ways = (form for column in columns(line) for form in forms(column) if "\0" not in form)
    others = (as_spelt_here(root / text.lstrip("/\\")) for text in ways)
    return next(filter(None, others), root / line.lstrip("/\\"))


def _no_images(text: str, folder: Path) -> str:
    """What is said of a folder without images, and of what is in it in their place."""
    inside = in_order(child for child in folder.iterdir() if not is_hidden(child))
    if videos := [child for child in inside if child.suffix.lower() in VIDEO_SUFFIXES and child.is_file()]:
        names = f"{text.rstrip('/')}/*{videos[0].suffix}"
        return f"{text}: no images in this folder, but videos, {len(videos)} of them; name these: {names}"
    if folders := [child for child in inside if child.is_dir()]:
        return f"{text}: no images in this folder, and folders in it are not entered; name these, such as {folders[0]}"
    return f"{text}: no images in this folder; names must end in {', '.join(sorted(IMAGE_SUFFIXES))}"


def _is_file(path: Path) -> bool:
    """False too for what no file can be called, as in a list that is damaged."""
    try:
        return path.is_file()
    except OSError:
        return False
