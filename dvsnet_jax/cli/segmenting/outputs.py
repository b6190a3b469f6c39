"""Options of what is written, and what each input is written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalNumber, option
from dvsnet_jax.cli.screen import tell

if TYPE_CHECKING:
    from dvsnet_jax.inference.bookmarking import Bookmarking
    from dvsnet_jax.inference.further_products import FurtherProducts
    from dvsnet_jax.inference.segmenter import FrameStep
    from dvsnet_jax.media.output_folder import OutputFolder
    from dvsnet_jax.media.sources import Source
    from dvsnet_jax.media.written_files import WrittenFiles
    from dvsnet_jax.serving.board import Board, View


_LEAST_RATE, _MOST_RATE = 0.001, 10_000.0  # of a video that players take


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What is written, and how."""

    out: Annotated[str, tyro.conf.arg(metavar="DIR", aliases=["--save-dir"])] = "segmented"
    """Folder to write to; with several inputs, each gets a folder of its own in it."""
    overwrite: bool = False
    """Write in the place of what an earlier run wrote there: its files are removed, all others stay. Without this or
    --resume such a folder is refused."""
    resume: bool = False
    """Go on where an earlier run of this command was: inputs that are done and have not changed are passed over, one
    that was begun goes on from the last 500 frames that are kept, with the same files in the end. A folder of other
    weights or options is refused; a new one is begun."""
    palette: Literal["cityscapes", "original"] = "cityscapes"
    """Colours: Cityscapes' own, or the original's, of which eleven are one off."""
    no_labels: bool = False
    """Leave out labels/, the train ids."""
    no_color: bool = False
    """Leave out color/, the colour masks."""
    no_overlay: bool = False
    """Leave out overlay.mp4."""
    no_routes: bool = False
    """Leave out routes.jsonl."""
    frame_rate: OptionalNumber = None
    """Of the videos; if not given their frames have the input's times, and images 25 a second."""

    save: Annotated[
        tuple[Literal["video", "rle", "regions", "panoptic", "scores", "pixels"], ...], option("KIND …")
    ] = ()
    """Further files: video, labels.mov, all train ids in one video without loss; rle, segments.jsonl, COCO's run
    lengths; panoptic, COCO's PNGs and JSON; regions, regions.npz, age, expected agreement and route of each region;
    pixels, pixels/, the first two at every pixel; scores, scores/, of all classes at every pixel."""

    @property
    def products(self) -> set[str]:
        """Of the usual files those that are wanted."""
        return {name for name in ("labels", "color", "overlay", "routes") if not getattr(self, f"no_{name}")}


def output_folders(sources: Sequence[Source], out: str) -> list[Path]:
    """One folder per source: `out` itself for a single one, else below it, by name."""
    return [Path(out)] if len(sources) == 1 else [Path(out) / source.name for source in sources]


class Opening:
    """Opens what an input is written to and shown on, the same way whoever segments it."""

    def __init__(self, outputs: Outputs, segmenter: FrameStep, written: WrittenFiles) -> None:
        from dvsnet_jax.datasets.label_sets import named_palette

        if outputs.frame_rate is not None and not _LEAST_RATE <= outputs.frame_rate <= _MOST_RATE:
            raise UsageError(
                f"--frame-rate is {outputs.frame_rate:g}, but it counts frames per second: {_LEAST_RATE:g} to "
                f"{_MOST_RATE:g}"
            )
        self._outputs, self._segmenter, self._written = outputs, segmenter, written
        self._palette = named_palette(segmenter.num_classes, segmenter.class_names, outputs.palette)

    def folder(self, source: Source, place: Path) -> OutputFolder:
        """The usual files."""
        from dvsnet_jax.media.output_folder import OutputFolder

        return OutputFolder(
            place, palette=self._palette, classes=self._segmenter.class_names, frame_rate=self._rate(source),
            products=self._outputs.products, keep_times=self._outputs.frame_rate is None, written=self._written,
        )  # fmt: skip

    def further(self, source: Source, place: Path) -> FurtherProducts | None:
        """Those that --save names."""
        from dvsnet_jax.inference.further_products import FurtherProducts

        if not self._outputs.save:
            return None
        return FurtherProducts(
            place, self._outputs.save, regions=self._segmenter.regions, palette=self._palette,
            frame_rate=self._rate(source), keep_times=self._outputs.frame_rate is None, written=self._written,
            classes=self._segmenter.class_names or self._segmenter.num_classes, overlap=self._segmenter.overlap,
        )  # fmt: skip

    def bookmarks(self, output: OutputFolder, source: Source, came: Any) -> Bookmarking | None:
        """Where a run can go on within an input; None of what cannot be read again, and of further files that are
        written at its end."""
        from dvsnet_jax.inference.bookmarking import Bookmarking
        from dvsnet_jax.inference.source_identity import is_live

        if self._outputs.save or is_live(source):
            return None
        bookmarks = Bookmarking(output, came, resume=self._outputs.resume)
        if bookmarks.start:
            tell(f"dvsnet: {source.name}: goes on after {bookmarks.start.frames} frames")
        return bookmarks

    def view(self, source: Source, board: Board | None) -> View | None:
        """Its place on the page, where there is one."""
        from dvsnet_jax.serving.board import View

        if board is None:
            return None
        return board.add(View(source.name, self._segmenter.regions, self._palette, self._segmenter.overlap))

    def _rate(self, source: Source) -> float | Fraction:
        return self._outputs.frame_rate or source.frame_rate or 25
