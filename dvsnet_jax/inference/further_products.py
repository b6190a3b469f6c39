"""What `--save` names: labels and regions in further forms, beside the usual files of an output folder.

labels.mov      train ids as one video of indexed colour, without loss
segments.jsonl  a line a frame: COCO's run lengths of each class
regions.npz     age, expected agreement, target and route of each region of each frame
panoptic/, panoptic.json  COCO's panoptic segmentation, a PNG of segment ids a frame
scores/NAME.npz  the scores of all classes at every pixel
pixels/NAME.npz  age and expected agreement at every pixel
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int32, UInt8

from dvsnet_jax.errors import do_all
from dvsnet_jax.inference.segmented import Segmented
from dvsnet_jax.media.atomic import is_partial
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.media.products.label_video import LabelVideo
from dvsnet_jax.media.products.panoptic import Panoptic
from dvsnet_jax.media.products.pixel_arrays import write_maps, write_scores
from dvsnet_jax.media.products.region_arrays import RegionArrays, per_pixel, region_boxes
from dvsnet_jax.media.products.run_lengths import segments
from dvsnet_jax.media.written_files import WrittenFiles, make_folder
from dvsnet_jax.ops.regions import region_borders

Kind = Literal["video", "rle", "regions", "panoptic", "scores", "pixels"]
FILES: dict[str, str] = {
    "video": "labels.mov", "rle": "segments.jsonl", "regions": "regions.npz", "panoptic": "panoptic.json",
}  # fmt: skip
"""By kind, the one file of an input."""
FOLDERS: dict[str, tuple[str, str]] = {
    "panoptic": ("panoptic", ".png"), "scores": ("scores", ".npz"), "pixels": ("pixels", ".npz"),
}  # fmt: skip
"""By kind, the folder of a file a frame, and what these end in."""


class FurtherProducts:
    """The products of one source into `folder`; each file appears whole or not at all, when it is closed. They are on
    record with the source's other files, and begun again with it."""

    def __init__(
        self,
        folder: Path,
        kinds: Collection[Kind],
        *,
        regions: tuple[int, int],
        palette: UInt8[np.ndarray, "256 3"],
        frame_rate: float | Fraction,
        keep_times: bool = True,
        written: WrittenFiles,
        classes: Sequence[str] | int = (),
        overlap: int | None = None,
    ) -> None:
        """`regions` is (rows, columns), which have this `overlap`, if that is known; `keep_times` as of an
        `OutputFolder`, `classes` are names or their number.

        Raises ValueError for an unknown kind, InputError where a file is in the way that no run is known to have
        written."""
        if unknown := set(kinds) - set(get_args(Kind)):
            raise ValueError(f"kinds are {', '.join(get_args(Kind))}; {', '.join(sorted(unknown))} is none of them")
        self._folder, self._regions, self._overlap, self._written = folder, regions, overlap, written
        check_further(written, folder, kinds)
        path = {kind: folder / FILES[kind] for kind in kinds if kind in FILES}
        names = [f"class {label}" for label in range(classes)] if isinstance(classes, int) else list(classes)
        self._video = LabelVideo(path["video"], palette=palette, frame_rate=frame_rate) if "video" in kinds else None
        self._segments = JsonLinesWriter(path["rle"]) if "rle" in kinds else None
        self._arrays = RegionArrays(path["regions"]) if "regions" in kinds else None
        self._panoptic = Panoptic(folder, palette[: len(names)], names) if "panoptic" in kinds else None
        self._kinds = set(kinds)
        self._paths = list(path.values())
        self._keep_times, self._begun = keep_times, False

    def take(self, segmented: Segmented) -> None:
        """The next frame, in order."""
        if not self._begun:
            self._written.add(*self._paths, place=self._folder)
            make_folder(self._folder)
            self._begun = True
        labels, frame = segmented.labels, segmented.frame
        self._write_frame_files(segmented)
        if self._video:
            self._video.write(labels, frame.time if self._keep_times else None)
        if self._segments:
            self._segments.write({"frame": frame.index, "name": frame.name, "segments": segments(labels)})
        if self._arrays:
            self._arrays.hold(boxes=self._boxes(*labels.shape))
            self._arrays.write(
                frame=np.int64(frame.index),
                age=segmented.ages.astype(np.int32),
                expected_agreement=segmented.scores.astype(np.float32),
                target=segmented.targets.astype(np.float32),
                segmented=segmented.segmented,
                untrusted=segmented.untrusted,
            )

    def _write_frame_files(self, segmented: Segmented) -> None:
        """What is a file a frame."""
        labels, frame = segmented.labels, segmented.frame
        places = {kind: frame_file(self._folder, kind, frame.name) for kind in FOLDERS if kind in self._kinds}
        self._written.add(*places.values(), place=self._folder, once=True)
        for place in places.values():
            make_folder(place.parent)
        if self._panoptic:
            self._panoptic.write(frame.index, frame.name, labels)
        if "scores" in self._kinds:
            if segmented.class_scores is None:
                raise ValueError("scores are wanted of a step that does not give them; Segmenter(…, every_score=True)")
            write_scores(places["scores"], segmented.class_scores)
        if "pixels" in self._kinds:
            boxes = self._boxes(*labels.shape)
            agreement = per_pixel(segmented.scores.astype(np.float16), boxes)
            write_maps(places["pixels"], age=per_pixel(segmented.ages, boxes), expected_agreement=agreement)

    def _boxes(self, height: int, width: int) -> Int32[np.ndarray, "regions 4"]:
        borders = region_borders(height, width, self._regions, self._overlap)
        return region_boxes(height, width, self._regions, borders)

    def close(self) -> None:
        """Finishes the files, each whatever becomes of the others. Further calls do nothing."""
        parts = [part.close for part in (self._video, self._segments, self._arrays, self._panoptic) if part]
        do_all(f"{self._folder}: closing", *parts)


def check_further(written: WrittenFiles, folder: Path, kinds: Collection[str]) -> None:
    """InputError where a file is in the way that no run is known to have written."""
    written.check_free(folder / FILES[kind] for kind in kinds if kind in FILES)
    for below, suffix in (FOLDERS[kind] for kind in kinds if kind in FOLDERS):
        written.check_free(path for path in (folder / below).glob(f"*{suffix}") if not is_partial(path))


def frame_file(folder: Path, kind: str, name: str) -> Path:
    """Where a frame's file of a kind is."""
    below, suffix = FOLDERS[kind]
    return folder / below / f"{name}{suffix}"
