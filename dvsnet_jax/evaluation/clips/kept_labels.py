"""Labels and routes of some clips of an evaluation, kept on disk for its report.

FOLDER/labels/CLIP/000000.png …     train ids, of the frames in order
FOLDER/labels/CLIP/routes.jsonl     a line per frame: scores, targets and routes of its regions, untrusted ones
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.samples import VOID
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.sources import NamedClip
from dvsnet_jax.evaluation.reports.player import Frame
from dvsnet_jax.evaluation.segmentation import Counting, as_counted
from dvsnet_jax.flow_colors import flow_to_rgb
from dvsnet_jax.frame_motion import CELL
from dvsnet_jax.inference.clip_motion import moving
from dvsnet_jax.inference.streaming.streams import SegmentedFrame
from dvsnet_jax.media.atomic import remove_partial
from dvsnet_jax.media.images import read_labels, resize_image, resize_labels, write_png
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.media.motion.attached import Kind
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.written_files import make_folder
from dvsnet_jax.metrics.segmentation import confusion_matrix, mean_iou

SHOWN = 300
"""Frames of a clip, from its beginning, that the player is given: the page holds them all, and so does the browser."""
_ROUTES = "routes.jsonl"


class LabelKeeper:
    """Writes those of one clip; the routes appear when it is closed."""

    def __init__(self, folder: Path, clip: str) -> None:
        self.folder = make_folder(folder / "labels" / clip)
        _remove_earlier(self.folder)
        self._routes = JsonLinesWriter(self.folder / _ROUTES)

    def add(self, frame: SegmentedFrame) -> None:
        write_png(self.folder / f"{frame.number:06d}.png", frame.labels)
        self._routes.write(
            {
                "scores": [_finite(score) for score in frame.scores.tolist()],
                "targets": [_finite(target) for target in frame.targets.tolist()],
                "segmented": frame.segmented.tolist(),
                "untrusted": frame.untrusted.tolist(),
            }
        )

    def close(self) -> None:
        self._routes.close()

    def discard(self) -> None:
        """Removes what was written of a clip that does not count."""
        self._routes.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _remove_earlier(folder: Path) -> None:
    """What a killed run left of the clip: it may have come further, and the clip may have changed since."""
    try:
        (folder / _ROUTES).unlink(missing_ok=True)  # first: without it the others count for nothing
        for path in folder.glob("*.png"):
            if re.fullmatch(r"\d{6,}", path.stem):
                path.unlink(missing_ok=True)
        remove_partial(folder)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be removed ({error.strerror}); remove it by hand") from error


def kept(folder: Path, clip: str) -> bool:
    """Whether the labels of a clip are there."""
    return (folder / "labels" / clip / _ROUTES).is_file()


@dataclass(frozen=True)
class KeptFrames:
    """The first `SHOWN` frames of a kept clip for the report's player; the clip is read once more for them."""

    folder: Path
    clip: NamedClip
    num_classes: int
    classes: Counting = "own"
    scores_are_targets: bool = True
    """Whether the policy holds the scores against its targets, so that both can be drawn over each other."""
    motion: Kind | None = None
    """What found the motion that was carried, which is found once more to be drawn."""

    def __iter__(self) -> Iterator[Frame]:
        folder = self.folder / "labels" / self.clip.name
        with (folder / _ROUTES).open(encoding="utf-8") as file:
            lines = [line for line, _ in zip(file, range(SHOWN), strict=False)]
        frames = islice(moving(self.clip.frames, self.motion), SHOWN)
        for index, (text, ((image, truth), motion)) in enumerate(zip(lines, frames, strict=True)):
            line = json.loads(text)
            labels = read_labels(folder / f"{index:06d}.png")
            labels = as_counted(labels, self.num_classes, self.classes)
            truth = resize_labels(truth, labels.shape) if truth.shape != labels.shape else truth
            right = mean_iou(np.asarray(confusion_matrix(labels, truth, self.num_classes)))
            yield Frame(
                name=f"{self.clip.name} + {index}",
                image=resize_image(image, labels.shape),
                labels=labels,
                segmented=line["segmented"],
                scores=line["scores"],
                targets=line["targets"] if index and self.scores_are_targets else [None] * len(line["targets"]),
                truth=truth if (truth != VOID).any() else None,
                mean_iou=right if math.isfinite(right) else None,
                motion=None if motion is None else _drawn(motion),
            )


def _drawn(motion: Motion) -> UInt8[np.ndarray, "rows columns 3"]:
    """Of what moves from the frame before to this one, each cell twice as high and wide; full colour at 20 pixels."""
    return flow_to_rgb(-CELL * motion.flow, 20.0).repeat(2, 0).repeat(2, 1)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
