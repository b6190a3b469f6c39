"""`dvsnet measure motion`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, Counts, Names, Positive, option
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.weights import OwnSegmentation

if TYPE_CHECKING:
    from dvsnet_jax.evaluation.motion import Carried, Segmented
    from dvsnet_jax.media.sources import Source

_CODED = {"no-b-frames": {"bf": "0", "refs": "1"}, "x264": {}}


@dataclass(frozen=True, kw_only=True)
class MeasureMotion:
    """Compare sources of motion: how well labels are carried along.

    Every key frame's segmentation is carried 1, 3, 6 and 9 frames along the motion that each source finds, and held
    against segmenting the frame. Prints a markdown table for each input, as it is and encoded anew.
    """

    inputs: Annotated[tyro.conf.Positional[tuple[str, ...]], option("INPUT …")] = ()
    """Videos or folders of images."""
    only: Names = ()
    """Beginnings of the frames' names that are taken."""
    encoded: tuple[Literal["as-is", "no-b-frames", "x264"], ...] = ("as-is",)
    """as-is: the input. no-b-frames: its frames as H.264 whose vectors lead to the frame before. x264: as H.264 by
    x264's defaults, with B frames."""
    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint; the bundled weights if not given."""
    segmentation: OwnSegmentation = None
    scale: Positive = 1.0
    """Resizes the frames first; of a video encoded anew only."""
    gaps: Counts = (1, 3, 6, 9)
    """Frames since the key frame."""
    every: Count = 1
    """Takes each so-many-th frame as a key frame."""
    most: Count = 120
    """Frames of each input."""

    def run(self) -> int:
        if not self.inputs:
            raise UsageError("nothing to measure on; name a video or a folder of images")
        if self.scale != 1 and "as-is" in self.encoded:
            raise UsageError("--scale resizes frames that are encoded anew; leave as-is out of --encoded")

        from dvsnet_jax.cli.weights import load_weights
        from dvsnet_jax.errors import InputError
        from dvsnet_jax.evaluation.motion import Segmented, read_images, table
        from dvsnet_jax.markdown import markdown_table
        from dvsnet_jax.media.motion.attached import AUTO
        from dvsnet_jax.media.sources import open_source
        from dvsnet_jax.media.video_writer import VideoWriter

        params, config = load_weights(self.weights, None, segmentation=self.segmentation)
        for place in self.inputs:
            images = read_images(open_source(place), self.most, self.only, scale=self.scale)
            if len(images) <= max(self.gaps):
                raise InputError(f"{place}: {len(images)} frames, but {max(self.gaps) + 1} or more are needed")
            for coding in self.encoded:
                with tempfile.TemporaryDirectory() as folder:
                    source = open_source(place)
                    if coding != "as-is":
                        path = Path(folder) / f"{source.name}.mp4"
                        with VideoWriter(path, frame_rate=15, options=_CODED[coding]) as video:
                            for image in images:
                                video.write(image)
                        source = open_source(path)
                    names = self.only if coding == "as-is" else ()
                    frames = images if coding == "as-is" else read_images(source, self.most)
                    tell(f"{source.name}, {coding}: segmenting {len(frames)} frames")
                    print(f"\n{source.name}, {coding}, {frames[0].shape[0]}×{frames[0].shape[1]}:\n")
                    segmented = Segmented(params, config, frames)
                    rows = self._rows(source, segmented, names)
                    if not config.carries_motion:
                        rows.append(segmented.by_flow_network(params, config, gaps=self.gaps, every=self.every))
                    print(markdown_table(table(rows, AUTO.kind)), flush=True)
        return 0

    def _rows(self, source: Source, segmented: Segmented, names: tuple[str, ...]) -> list[Carried]:
        import dataclasses

        from dvsnet_jax.evaluation.motion import found_motion
        from dvsnet_jax.media.motion.attached import Kind
        from dvsnet_jax.media.motion.inspection import inspect
        from dvsnet_jax.media.sources import Video

        kinds: list[Kind] = ["dis", "encoder"]
        if isinstance(source, Video):
            if (found := inspect(source.location)).usable:
                kinds.append("codec")
            else:
                tell(f"{source.name}: without codec, {found.reason}")
        rows = [segmented.copied(gaps=self.gaps, every=self.every)]
        for kind in kinds:
            motions, host = found_motion(source, kind, len(segmented), names)
            carried = segmented.along(kind, motions, gaps=self.gaps, every=self.every)
            rows.append(dataclasses.replace(carried, host=host))
        rows.append(segmented.searched(gaps=self.gaps, every=self.every))
        return rows
