"""From files to files: the whole run of `dvsnet segment`, and each of its stages alone.

Reading, the frame step and writing overlap (`inference.segment_source`), so a run should take about what its slowest
stage takes. Where all stages share a CPU's cores that cannot hold: what they take together is then the floor, and a
column.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import FrameMotion
from dvsnet_jax.inference.segment_source import Segmenter, segment_source
from dvsnet_jax.markdown import Table
from dvsnet_jax.media.motion.dis import DisMotion
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.media.motion.following import Follower
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import Source, open_source
from dvsnet_jax.policies import FixedInterval
from dvsnet_jax.visualize import label_palette


@dataclass(frozen=True)
class WholeWay:
    """Seconds for all frames of one input, medians; compiling is in none of them."""

    input: str
    frames: int
    height: int
    width: int
    share: float
    """Of regions segmented, 0..1."""
    read: float
    """Decoding alone."""
    motion: float
    """Finding motion alone, frames in memory; 0 where the step finds it by itself."""
    step: float
    """The frame step alone, frames and motion in memory."""
    write: float
    """Encoding label PNGs alone."""
    whole: float
    """The run: reading, step and label PNGs."""
    every_frame: float
    """The same run with every region of every frame segmented: without DVSNet's gain."""

    def as_json(self) -> dict[str, Any]:
        return {"what": "end_to_end", **asdict(self)}


def time_inputs(
    params: networks.Params,
    config: DVSNetConfig,
    inputs: Sequence[str],
    *,
    most_frames: int = 120,
    precision: networks.Precision = "float32",
    repeats: int = 3,
    progress: Callable[[str], None] = lambda line: None,
) -> list[WholeWay]:
    """Times each input, of which at most so many frames are taken, in so many rounds; `precision` as in
    `networks.prepare`. Raises InputError as reading does."""
    segmenter = Segmenter(params, config, precision=precision)
    whole = Segmenter(params, config.replace(routing="compact", policy=FixedInterval(1)), precision=precision)
    return [_time(segmenter, whole, place, most_frames, repeats, progress) for place in inputs]


def table(rows: Sequence[WholeWay]) -> Table:
    """Milliseconds a frame."""

    def ms(row: WholeWay, name: str) -> str:
        return f"{1e3 * getattr(row, name) / row.frames:,.1f}"

    cells = [
        (row.input, f"{row.height}×{row.width}", str(row.frames), f"{row.share:.1%}",
         *(ms(row, name) for name in ("read", "motion", "step", "write", "whole")),
         f"{row.whole / max(row.read, row.motion, row.step, row.write):.2f}",
         f"{row.whole / (row.read + row.motion + row.step + row.write):.2f}",
         f"{row.frames / row.whole:,.2f}", f"{row.frames / row.every_frame:,.2f}")
        for row in rows
    ]  # fmt: skip
    return Table(
        ("input", "size", "frames", "segmented", "read, ms", "motion, ms", "step, ms", "write, ms", "whole run, ms",
         "of the slowest stage", "of all stages", "frames/s", "frames/s, every frame segmented"), tuple(cells),
    )  # fmt: skip


def _time(
    segmenter: Segmenter, every: Segmenter, place: str, most: int, repeats: int, progress: Callable[[str], None]
) -> WholeWay:
    """Rounds of all stages and both runs, so that a machine whose speed drifts weighs on all alike; medians of them."""
    source = open_source(place)
    progress(f"{source.name}: reading")
    images = _read(source, place, most)
    height, width = images[0].shape[:2]
    palette = label_palette(segmenter.config.num_classes)
    motions = _motions(segmenter, images)
    labels, segmented = _step(segmenter, images, motions)  # compiled and warm before any clock starts
    every.start(height, width)

    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()

        def output() -> OutputFolder:
            place = Path(folder) / str(next(numbers))
            return OutputFolder(place, palette=palette, frame_rate=25, products=("labels",))

        def write() -> None:
            with closing(output()) as folder:
                for index, each in enumerate(labels):
                    folder.write_images(f"{index:06d}", each)

        stages: dict[str, Callable[[], object]] = {
            "read": lambda: _read(open_source(place), place, most),
            "motion": lambda: _motions(segmenter, images),
            "step": lambda: _step(segmenter, images, motions),
            "write": write,
            "whole": lambda: segment_source(open_source(place), segmenter, output(), num_frames=most),
            "every_frame": lambda: segment_source(open_source(place), every, output(), num_frames=most),
        }
        seconds: dict[str, list[float]] = {name: [] for name in stages}
        for repeat in range(repeats):
            for name, stage in stages.items():
                progress(f"{source.name}: {name}, round {repeat + 1} of {repeats}")
                started = time.perf_counter()
                stage()
                seconds[name].append(time.perf_counter() - started)
    share = segmented / (len(images) * segmenter.config.num_regions)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return WholeWay(source.name, len(images), height, width, share, **medians)


def _read(source: Source, place: str, most: int) -> list[np.ndarray]:
    images: list[np.ndarray] = []
    with closing(source.frames()) as frames:  # type: ignore[type-var]
        for frame in frames:
            if frame.image is None:
                raise InputError(str(frame.error)) from frame.error
            images.append(frame.image)
            if len(images) == most:
                break
    if not images:
        raise InputError(f"{place}: has no frame; name a video or a folder of frames")
    return images


def _motions(segmenter: Segmenter, images: Sequence[np.ndarray]) -> list[tuple[FrameMotion, ...]]:
    """What the step takes of each image besides: its motion, where it does."""
    if not segmenter.takes_motion:
        return [()] * len(images)
    follower = Follower(DisMotion())
    return [(for_step(follower.step(image), *image.shape[:2]),) for image in images]


def _step(
    segmenter: Segmenter, images: Sequence[np.ndarray], motions: Sequence[tuple[FrameMotion, ...]]
) -> tuple[list[np.ndarray], int]:
    """Labels of every frame, and how many regions were segmented; each result awaited before the next frame."""
    state, step = segmenter.start(*images[0].shape[:2])
    labels, segmented = [], 0
    for image, motion in zip(images, motions, strict=True):
        state, result = step(segmenter.params, state, image[None], *motion)
        labels.append(np.asarray(result.labels)[0])
        segmented += int(result.segmented.sum())
    jax.block_until_ready(state)
    return labels, segmented
