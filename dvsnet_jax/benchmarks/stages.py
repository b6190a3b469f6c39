"""Where the time of a frame with nothing segmented goes: each stage of the step, compiled alone, beside the whole."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax import networks, preprocessing
from dvsnet_jax.benchmarks.frame_step import seconds_of, step_timer, still_motion
from dvsnet_jax.config import CarriedMotionConfig, DVSNetConfig
from dvsnet_jax.frame_motion import CarriedFlow, FrameMotion
from dvsnet_jax.markdown import Table
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.motion.dis import DisMotion
from dvsnet_jax.media.motion.following import Follower
from dvsnet_jax.ops.carried_motion import carry, still
from dvsnet_jax.ops.regions import merge, split
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.ops.warp import warp_scores
from dvsnet_jax.ops.warp_cues import KeyCells, key_cells
from dvsnet_jax.protocols import FlowOutput
from dvsnet_jax.video import init_state, region_grid

NETWORKS = ("flow network", "decision network")
WHOLE = "whole step, nothing segmented"
ON_HOST = "motion (DIS), on the host"
"""Found in a thread of its own, beside the step; on a CPU the two share its cores."""


@dataclass(frozen=True)
class Stage:
    """Seconds of one stage for all regions of a frame."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def as_json(self) -> dict[str, Any]:
        return {"what": "stage", **asdict(self)}


def time_stages(
    params: networks.Params, config: DVSNetConfig, *, height: int, width: int, repeats: int = 5
) -> list[Stage]:
    """Times of the light path's stages, and of the whole step with nothing segmented (last), one stream, prepared
    parameters. Stages alone are compiled without their neighbours, so their sum is not quite the whole. Where motion is
    carried, what finds it on the host comes first."""
    params = networks.prepare(params, config)
    grid = region_grid(config, height, width)
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.integers(0, 256, (1, height, width, 3), np.uint8))
    scores = init_state(params, frames, config=config).key_scores + jnp.asarray(rng.random(), jnp.float32)

    def halved(frames: Any) -> Any:
        images = split(frames, grid)
        return images, preprocessing.half(images)

    small = jax.jit(halved)(frames)[1]

    def flow(params: Any, current: Any, key: Any, features: Any) -> Any:
        return networks.flow_and_feature(params, current, key, config, features)

    def chained(params: Any, current: Any, key: KeyCells, carried: CarriedFlow, motion: FrameMotion) -> FlowOutput:
        carried = carry(carried, motion, grid, (height, width))
        return networks.carried_flow(params, current, key, carried, config)

    cells = jax.jit(key_cells)(small, scores)
    features = jax.jit(partial(networks.key_features, config=config))(params, small, scores)
    find: Callable[..., FlowOutput]
    given: tuple[Any, ...]
    if isinstance(config.flow, CarriedMotionConfig):
        find, name = chained, "chaining of motion" + (", scale field" if config.flow.scale_width else "")
        given = (params, small, cells, still(grid.num_regions, grid), still_motion(config, frames))
    else:
        find, name, given = flow, "flow network", (params, small, small, features)
    out = jax.jit(find)(*given)
    size = (grid.region_height, grid.region_width)
    labels, maxima = upsample_argmax(scores, size)
    calls: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "split, half size": (halved, (frames,)),
        name: (find, given),
        "decision network": (
            partial(networks.expected_confidence, config=config), (params, small, cells, out)
        ),
        "warp": (warp_scores, (scores, out.flow, out.scale)),
        "upsample, arg max": (partial(upsample_argmax, size=size), (scores,)),
        "merge": (partial(merge, grid=grid), (labels, maxima)),
    }  # fmt: skip
    programs = {name: jax.jit(call).lower(*given).compile() for name, (call, given) in calls.items()}
    timers: dict[str, Callable[[], float]] = {ON_HOST: _motion_timer(height, width)} if config.carries_motion else {}
    timers |= {name: partial(seconds_of, programs[name], *given) for name, (_, given) in calls.items()}
    timers[WHOLE] = partial(step_timer(params, config, frames), 0)
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for repeat in range(repeats + 1):
        for name, timer in timers.items():
            took = timer()
            if repeat:
                seconds[name].append(took)
    return [Stage(name, tuple(times)) for name, times in seconds.items()]


def _motion_timer(height: int, width: int) -> Callable[[], float]:
    """Finds the motion between two frames that are the same but for a shift; seconds."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    picture = resize_image(coarse, (height, width))
    pictures = itertools.cycle([picture, np.roll(picture, (2, 5), (0, 1))])
    follower = Follower(DisMotion())
    follower.step(next(pictures))

    def run() -> float:
        image = next(pictures)
        started = time.perf_counter()
        follower.step(image)
        return time.perf_counter() - started

    return run


def table(stages: Sequence[Stage]) -> Table:
    """Each stage's part of the whole step, and what the networks leave of it, or what it is with the host's part."""
    whole = stages[-1].median
    rest = whole - sum(stage.median for stage in stages if stage.name in NETWORKS)
    rows = [(stage.name, f"{1e3 * stage.median:,.1f}", f"{stage.median / whole:.1%}") for stage in stages]
    if stages[0].name == ON_HOST:
        both = whole + stages[0].median
        rows.append(("whole step and motion on the host", f"{1e3 * both:,.1f}", f"{both / whole:.1%}"))
    else:
        rows.append(("whole step less the two networks", f"{1e3 * rest:,.1f}", f"{rest / whole:.1%}"))
    return Table(("stage", "ms a frame", "of the whole step"), tuple(rows))
