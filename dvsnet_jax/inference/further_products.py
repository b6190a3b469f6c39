"""What `--save` names: labels and regions in further forms, beside the usual files of an output folder.

labels.mov      train ids as one video of indexed colour, without loss
segments.jsonl  a line a frame: COCO's run lengths of each class
regions.npz     age, expected agreement, target and route of each region of each frame
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.errors import do_all
from dvsnet_jax.inference.segmented import Segmented
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.media.products.label_video import LabelVideo
from dvsnet_jax.media.products.region_arrays import RegionArrays, region_boxes
from dvsnet_jax.media.products.run_lengths import segments
from dvsnet_jax.media.written_files import WrittenFiles, make_folder

Kind = Literal["video", "rle", "regions"]
FILES: dict[str, str] = {"video": "labels.mov", "rle": "segments.jsonl", "regions": "regions.npz"}


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
    ) -> None:
        """`regions` is (rows, columns), `keep_times` as of an `OutputFolder`. Raises ValueError for an unknown kind,
        InputError where a file is in the way that no run is known to have written."""
        if unknown := set(kinds) - set(get_args(Kind)):
            raise ValueError(f"kinds are {', '.join(get_args(Kind))}; {', '.join(sorted(unknown))} is none of them")
        self._folder, self._regions, self._written = folder, regions, written
        check_further(written, folder, kinds)
        path = {kind: folder / FILES[kind] for kind in kinds}
        self._video = LabelVideo(path["video"], palette=palette, frame_rate=frame_rate) if "video" in kinds else None
        self._segments = JsonLinesWriter(path["rle"]) if "rle" in kinds else None
        self._arrays = RegionArrays(path["regions"]) if "regions" in kinds else None
        self._paths = list(path.values())
        self._keep_times, self._begun = keep_times, False

    def take(self, segmented: Segmented) -> None:
        """The next frame, in order."""
        if not self._begun:
            self._written.add(*self._paths, place=self._folder)
            make_folder(self._folder)
            self._begun = True
        labels, frame = segmented.labels, segmented.frame
        if self._video:
            self._video.write(labels, frame.time if self._keep_times else None)
        if self._segments:
            self._segments.write({"frame": frame.index, "name": frame.name, "segments": segments(labels)})
        if self._arrays:
            self._arrays.hold(boxes=region_boxes(labels.shape[0], labels.shape[1], self._regions))
            self._arrays.write(
                frame=np.int64(frame.index),
                age=segmented.ages.astype(np.int32),
                expected_agreement=segmented.scores.astype(np.float32),
                target=segmented.targets.astype(np.float32),
                segmented=segmented.segmented,
                untrusted=segmented.untrusted,
            )

    def close(self) -> None:
        """Finishes the files, each whatever becomes of the others. Further calls do nothing."""
        parts = [part.close for part in (self._video, self._segments, self._arrays) if part]
        do_all(f"{self._folder}: closing", *parts)


def check_further(written: WrittenFiles, folder: Path, kinds: Collection[str]) -> None:
    """InputError where a file is in the way that no run is known to have written."""
    written.check_free(folder / FILES[kind] for kind in kinds)
