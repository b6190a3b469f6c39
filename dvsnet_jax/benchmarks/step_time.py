"""What a frame costs in time at any share of regions segmented: one straight line, measured on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.frame_step import linear_fit, time_frame_step
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.media.motion.attached import estimator
from dvsnet_jax.media.motion.following import Follower


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
    motion: float = 0.0
    """Finding motion on the host, where the step is given it."""

    def at(self, share: float) -> float:
        """Milliseconds a frame where this share of all regions, 0..1, is segmented: the mean over a video."""
        return self.motion + self.nothing + share * self.regions * self.each_region

    def as_json(self) -> dict[str, Any]:
        """With all times in milliseconds."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        host = f"{self.motion:,.1f} ms for its motion on the host, " if self.motion else ""
        return (
            f"{host}{self.nothing:,.1f} ms and {self.each_region:,.1f} ms for each region segmented of {self.regions} "
            f"at {self.height}×{self.width}; the line's largest residual is {self.residual:,.1f} ms"
        )


def step_time(
    params: networks.Params,
    config: DVSNetConfig,
    *,
    height: int,
    width: int,
    video: Sequence[UInt8[np.ndarray, "h w 3"]] = (),
    motion: Literal["dis", "encoder"] = "dis",
    repeats: int = 5,
    progress: Callable[[str], None] = lambda line: None,
) -> StepTime:
    """Times the compiled frame step for each number of regions segmented, `repeats` times, and fits the line (least
    squares, on medians). Frames are of noise: time does not depend on what is seen. Reading and writing are not in it.

    What `motion` takes on the host is measured on the frames of `video`, RGB, the median: as it runs ahead of the step
    in a thread of its own, a frame takes this much longer only where the step keeps all cores busy.
    """
    timings = time_frame_step(params, config, height=height, width=width, repeats=repeats, progress=progress)
    nothing, each_region, residual = (1e3 * seconds for seconds in linear_fit(timings))
    host = 0.0
    if config.takes_motion and len(video) > 1:
        follower, seconds = Follower(estimator(motion)), []
        for image in video:
            started = time.perf_counter()
            follower.step(image)
            seconds.append(time.perf_counter() - started)
        host = 1e3 * statistics.median(seconds[1:])
    return StepTime(nothing, each_region, config.num_regions, residual, height, width, host)
