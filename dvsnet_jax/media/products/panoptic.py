"""Labels as COCO has panoptic segmentations: a PNG a frame whose colours are segment ids, and one JSON over them all.

Every class that occurs in a frame is one segment of "stuff": the networks tell classes from each other, not things.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.images import write_png

VOID = 255


def segment_ids(colors: UInt8[np.ndarray, "classes 3"]) -> list[int]:
    """A segment id for each class, R + 256 · G + 256² · B of its colour, so that the PNG shows the colours. Where one
    is black, which is void, or two are the same, they are the train ids and one."""
    ids = (colors.astype(np.int64) @ np.array([1, 256, 256**2])).tolist()
    return ids if 0 not in ids and len(set(ids)) == len(ids) else list(range(1, len(ids) + 1))


def id_image(labels: UInt8[np.ndarray, "height width"], ids: Sequence[int]) -> UInt8[np.ndarray, "height width 3"]:
    """Segment ids as colours; void is black, id 0."""
    table = np.zeros((256, 3), np.uint8)
    for label, number in enumerate(ids):
        table[label] = number % 256, number // 256 % 256, number // 256**2
    return table[labels]


def segments_info(labels: UInt8[np.ndarray, "height width"], ids: Sequence[int]) -> list[dict[str, Any]]:
    """For each class that occurs, void left out, its segment: `id`, `category_id` (the train id), `area` in pixels,
    `bbox` as `[x, y, width, height]`, `iscrowd`."""
    found = []
    for label in np.unique(labels).tolist():
        if label == VOID:
            continue
        mask = labels == label
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, left = int(rows[0]), int(columns[0])
        box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
        area = int(mask.sum())
        found.append({"id": ids[label], "category_id": label, "area": area, "bbox": box, "iscrowd": 0})
    return found


class Panoptic:
    """Writes FOLDER/panoptic/NAME.png as frames come, and FOLDER/panoptic.json over them when it is closed; without a
    frame nothing appears."""

    def __init__(
        self, folder: str | os.PathLike[str], colors: UInt8[np.ndarray, "classes 3"], names: Sequence[str]
    ) -> None:
        """`colors` and `names` of the classes, in the order of their train ids."""
        self._folder = Path(folder)
        self._ids = segment_ids(colors)
        self._categories = [
            {"id": label, "name": name, "isthing": 0, "color": color.tolist()}
            for label, (name, color) in enumerate(zip(names, colors, strict=True))
        ]
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def path(self, name: str) -> Path:
        """Of a frame's PNG."""
        return self._folder / "panoptic" / f"{name}.png"

    def write(self, index: int, name: str, labels: UInt8[np.ndarray, "height width"]) -> None:
        """The next frame; its place in the source is its image's id. Raises InputError where it cannot be written."""
        path, (height, width) = self.path(name), labels.shape
        write_png(path, id_image(labels, self._ids))
        self._images.append({"id": index, "file_name": path.name, "height": height, "width": width})
        segments = segments_info(labels, self._ids)
        self._annotations.append({"image_id": index, "file_name": path.name, "segments_info": segments})

    def close(self) -> None:
        """Writes the JSON. Further calls do nothing. Raises InputError where it cannot be written."""
        images, self._images = self._images, []
        if not images:
            return
        content = {"images": images, "annotations": self._annotations, "categories": self._categories}
        with atomic_path(self._folder / "panoptic.json") as temporary:
            temporary.write_text(json.dumps(content) + "\n", encoding="ascii")  # names need not be UTF-8
