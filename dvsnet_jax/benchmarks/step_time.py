"""What a frame costs in time at any share of regions segmented: one straight line, measured on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.frame_step import linear_fit, time_frame_step
from dvsnet_jax.config import DVSNetConfig


@dataclass(frozen=True)
class StepTime:
    """The frame step of one stream, in milliseconds: nothing segmented, and what each region adds."""

    nothing: float
    each_region: float
    regions: int
    residual: float
    """Of the line, the largest among the numbers of regions that were measured."""
    height: int
    width: int

    def at(self, share: float) -> float:
        """Milliseconds a frame where this share of all regions, 0..1, is segmented: the mean over a video."""
        return self.nothing + share * self.regions * self.each_region

    def as_json(self) -> dict[str, Any]:
        """With all times in milliseconds."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"{self.nothing:,.1f} ms and {self.each_region:,.1f} ms for each region segmented of {self.regions}, at "
            f"{self.height}×{self.width}; the line's largest residual is {self.residual:,.1f} ms"
        )


def step_time(
    params: networks.Params,
    config: DVSNetConfig,
    *,
    height: int,
    width: int,
    repeats: int = 5,
    progress: Callable[[str], None] = lambda line: None,
) -> StepTime:
    """Times the compiled frame step for each number of regions segmented, `repeats` times, and fits the line (least
    squares, on medians). Frames are of noise: time does not depend on what is seen. Reading and writing are not in it.
    """
    timings = time_frame_step(params, config, height=height, width=width, repeats=repeats, progress=progress)
    nothing, each_region, residual = (1e3 * seconds for seconds in linear_fit(timings))
    return StepTime(nothing, each_region, config.num_regions, residual, height, width)
