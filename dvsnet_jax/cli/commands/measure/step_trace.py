"""`dvsnet measure step-trace`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, option, pair
from dvsnet_jax.cli.settings import check_size
from dvsnet_jax.cli.weights import OwnSegmentation, load_seeded


@dataclass(frozen=True, kw_only=True)
class StepTrace:
    """Write a profiler trace of the frame step, its stages by name.

    They are preprocess, flow, decision, segmentation, warp, upsample and merge. Of so many regions segmented, a few
    steps after the first ones. Prints where the trace lies.
    """

    save_dir: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder for the trace."""
    size: Annotated[str, tyro.conf.arg(metavar="HEIGHTxWIDTH")] = "1024x2048"
    """Of the frames."""
    segmented: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 1
    """Regions of each frame that are segmented."""
    steps: Count = 3
    """Traced."""
    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint's folder, or bundled; seeded ones of the paper's networks if not given."""
    segmentation: OwnSegmentation = None

    def run(self) -> int:
        height, width = pair("--size", self.size) or (0, 0)
        if min(height, width) < 64:
            raise UsageError(f"--size {self.size} is too small: 64x64 or more")

        from dvsnet_jax.benchmarks.trace import trace_steps

        params, config = load_seeded(self.weights, segmentation=self.segmentation)
        check_size(config, (height, width))
        if not 0 <= self.segmented <= config.num_regions:
            raise UsageError(f"--segmented is {self.segmented}, but a frame has {config.num_regions} regions")
        trace = trace_steps(
            params, config, self.save_dir, height=height, width=width, segmented=self.segmented, steps=self.steps
        )
        print(trace)
        return 0
