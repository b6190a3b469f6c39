"""The folder that a segmented source is written to.

labels/NAME.png     train ids, one channel, 8 bits
color/NAME.png      the same ids as a palette image: looks like its colours, still holds the ids
overlay.mp4         input on the left, input under its colours on the right
routes.jsonl        a line per frame
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import write_png
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.media.video_writer import VideoWriter

PRODUCTS = ("labels", "color", "overlay", "routes")


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, made with its parents where it is missing; `InputError` where it cannot be."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(None, "no permission to write in it")
    except OSError as error:
        reason = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror
        raise InputError(f"{path}: cannot be the output folder ({reason}); choose another with --out") from error
    return path


class OutputFolder:
    """Writes the `products` into `folder`, replacing files of the same names; each file appears whole or not at all.

    `write_images` may be called from several threads at once; `film` and `log` from one each, in the order of frames.
    `close` gives the video and the log their names, and is called after errors too.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        palette: UInt8[np.ndarray, "256 3"],
        frame_rate: float | Fraction,
        products: Collection[str] = PRODUCTS,
    ) -> None:
        self.folder = make_folder(folder)
        self.palette = palette
        self._images = [product for product in ("labels", "color") if product in products]
        for product in self._images:
            make_folder(self.folder / product)
        with ExitStack() as stack:
            self._video = self._log = None
            if "routes" in products:
                self._log = stack.enter_context(JsonLinesWriter(self.folder / "routes.jsonl"))
            if "overlay" in products:
                self._video = stack.enter_context(VideoWriter(self.folder / "overlay.mp4", frame_rate=frame_rate))
            self._stack = stack.pop_all()

    @property
    def films(self) -> bool:
        """Whether `film` wants pictures."""
        return self._video is not None

    def write_images(self, name: str, labels: UInt8[np.ndarray, "height width"]) -> None:
        """The label image and the colour mask of one frame."""
        for product in self._images:
            write_png(self.folder / product / f"{name}.png", labels, self.palette if product == "color" else None)

    def film(self, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """The next frame of the overlay video."""
        if self._video:
            self._video.write(picture)

    def log(self, record: dict[str, Any]) -> None:
        """The next line of routes.jsonl."""
        if self._log:
            self._log.write(record)

    def close(self) -> None:
        """Finishes video and log. Further calls do nothing."""
        self._stack.close()
