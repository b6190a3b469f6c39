"""The folder that a segmented source is written to.

labels/NAME.png     train ids, one channel, 8 bits
color/NAME.png      the same ids as a palette image: looks like its colours, still holds the ids
classes.json        number, name and colour of every class, where they have names
overlay.mp4         input on the left, input under its colours on the right; can be played while it grows
routes.jsonl        a line per frame, written when the frame's other files are
dvsnet-files.jsonl  which files these are, so that the next run removes no others (`media.written_files`)
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.errors import do_all
from dvsnet_jax.media.atomic import atomic_path, is_partial
from dvsnet_jax.media.durable.overlay_video import Mark, OverlayVideo, playable_frames
from dvsnet_jax.media.durable.syncing import sync_files
from dvsnet_jax.media.images import write_png
from dvsnet_jax.media.json_lines import JsonLinesWriter, end_of_line
from dvsnet_jax.media.written_files import WrittenFiles, make_folder

CLASSES = "classes.json"
PRODUCTS = ("labels", "color", "overlay", "routes")
PART = 500
"""Frames after each of which a run can go on within an input."""


class OutputFolder:
    """Writes the `products` of one source into `folder`. Images appear whole or not at all; video and log grow, and are
    of use at any moment, whatever becomes of the process.

    `write_images` may be called from several threads at once; `film` and `log` from one each, in the order of frames.
    `close` finishes the video, and is called after errors too; `finish` notes that the source is through.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        palette: UInt8[np.ndarray, "256 3"],
        frame_rate: float | Fraction,
        products: Collection[str] = PRODUCTS,
        classes: Sequence[str] | None = None,
        overwrite: bool = False,
        keep_times: bool = True,
        written: WrittenFiles | None = None,
    ) -> None:
        """`classes` are their names. With `keep_times` frames that have a time are shown at it in the overlay, from the
        first one's on; the others follow at `frame_rate`. `overwrite` puts the files in the place of those that an
        earlier run wrote into this folder. `written` is the record of a whole run, in this folder or one above it, and
        has been asked that already.

        Raises InputError for a folder that holds files of an earlier run and not `overwrite`, or files called like the
        products that no run is known to have written, and for a folder that cannot be made or written to.
        """
        self.folder = Path(folder)
        self.palette = palette
        self._keep_times = keep_times
        self._classes = tuple(classes or ()) if {"labels", "color"} & set(products) else ()
        self._images = [product for product in ("labels", "color") if product in products]
        self._written, self._own = written or WrittenFiles(folder, overwrite=overwrite), written is None
        check_products(self._written, self.folder, products)
        self._log = JsonLinesWriter(self.folder / "routes.jsonl", growing=True) if "routes" in products else None
        place = self.folder / "overlay.mp4"
        self._video = OverlayVideo(place, frame_rate=frame_rate, part=PART) if "overlay" in products else None

    @property
    def films(self) -> bool:
        """Whether `film` needs pictures."""
        return self._video is not None

    def write_images(self, name: str, labels: UInt8[np.ndarray, "height width"]) -> None:
        """The label image and the colour mask of one frame."""
        paths = {product: self.folder / product / f"{name}.png" for product in self._images}
        self._claim(*paths.values(), once=True)
        for product, path in paths.items():
            write_png(path, labels, self.palette if product == "color" else None)

    def film(self, picture: UInt8[np.ndarray, "height width 3"], time: float | None = None) -> None:
        """The next frame of the overlay video, and its time in seconds."""
        if self._video:
            self._claim(Path(self._video.path))
            self._video.write(picture, time if self._keep_times else None)

    def log(self, record: dict[str, Any]) -> None:
        """The next line of routes.jsonl; with the first, what the classes are called."""
        if self._classes:
            self._write_classes(self._classes)
            self._classes = ()
        if self._log:
            self._claim(Path(self._log.path))
            self._log.write(record)

    def mark(self, frames: int) -> Any:
        """A JSON value for `go_on` after so many frames, a multiple of `PART`, that were just written."""
        return self._video.mark(frames) if self._video else None

    def sync(self, names: Sequence[str]) -> None:
        """Waits until the images of these frames are on the disk, and all lines until now."""
        sync_files([*self._images_of(names), *self._others()])

    def holds(self, names: Sequence[str], mark: Any) -> bool:
        """Whether all that was written of these frames, the first ones, is there."""
        if self._log and end_of_line(self._log.path, len(names)) is None:
            return False
        if self._video and (mark is None or playable_frames(self._video.path) < len(names)):
            return False
        classes = [self.folder / CLASSES] if self._classes else []
        return all(path.is_file() for path in (*self._images_of(names), *classes))

    def go_on(self, names: Sequence[str], mark: Any) -> None:
        """Has frames be written after these, where `holds` says that they are there. What comes after them is gone."""
        if self._log:
            self._log.go_on(len(names))
        self._written.keep(self.folder, [*self._images_of(names), *self._others()])
        self._classes = ()
        if self._video:
            self._video.go_on(Mark(*mark))

    def _images_of(self, names: Sequence[str]) -> list[Path]:
        return [self.folder / product / f"{name}.png" for name in names for product in self._images]

    def _others(self) -> list[Path]:
        """Files of the whole input."""
        written = [Path(part.path) for part in (self._log, self._video) if part]
        return [path for path in (self.folder / CLASSES, *written) if path.is_file()]

    def close(self) -> None:
        """Finishes video and log, each whatever becomes of the other. Further calls do nothing."""
        parts = (self._video, self._log, self._written if self._own else None)
        do_all(f"{self.folder}: closing", *(part.close for part in parts if part))

    def finish(self, came: Any) -> None:
        """Notes that all of the source is written and on the disk; after `close`. `came`: see `WrittenFiles.finish`."""
        self._written.finish(self.folder, came)

    def _write_classes(self, names: Sequence[str]) -> None:
        place = self.folder / CLASSES
        self._claim(place)
        lines = [{"id": label, "name": name, "color": self.palette[label].tolist()} for label, name in enumerate(names)]
        with atomic_path(place) as temporary:
            temporary.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _claim(self, *paths: Path, once: bool = False) -> None:
        """Notes files before they are written, and makes their folders, which may have gone with the earlier files."""
        self._written.add(*paths, place=self.folder, once=once)
        for folder in {path.parent for path in paths}:
            make_folder(folder)


def check_products(written: WrittenFiles, folder: Path, products: Collection[str] = PRODUCTS) -> None:
    """InputError where the products would come between or over files that no run is known to have written, or cannot
    be written at all."""
    for place in (folder, *(folder / product for product in ("labels", "color") if product in products)):
        if place.exists():
            make_folder(place)
    written.check_free(_places(folder, products))


def _places(folder: Path, products: Collection[str]) -> Iterator[Path]:
    """Every file that is there under a name that products have."""
    if "routes" in products:
        yield folder / "routes.jsonl"
    if "overlay" in products:
        yield folder / "overlay.mp4"
    if {"labels", "color"} & set(products):
        yield folder / CLASSES
    for product in ("labels", "color"):
        if product in products:
            yield from (path for path in (folder / product).glob("*.png") if not is_partial(path))
