"""How long a frame step takes, by the number of regions segmented. Ratios inside one run are what can be compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.policies import Evidence
from dvsnet_jax.video import init_state, segment_frame

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


@dataclass(frozen=True)
class SegmentFirst:
    """A policy for measurements: of each stream's `regions` regions the first k are segmented, where k is its state,
    so that one compiled program serves every k."""

    regions: int

    def init(self, regions: int) -> Int[Array, "regions"]:
        return jnp.zeros(regions, jnp.int32)

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        return jnp.arange(len(state)) % self.regions < state, state

    def targets(self, state: Any) -> Float[Array, "regions"]:
        return state.astype(jnp.float32)


@dataclass(frozen=True)
class Timing:
    """Seconds of the repeated calls of one thing, the first (warm-up) call left out."""

    routing: str
    segmented: int
    regions: int
    seconds: tuple[float, ...]
    compile_seconds: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def as_json(self) -> dict[str, Any]:
        return {
            "what": "frame_step",
            "routing": self.routing,
            "segmented": self.segmented,
            "regions": self.regions,
            "median_s": round(self.median, 5),
            "min_s": round(min(self.seconds), 5),
            "max_s": round(max(self.seconds), 5),
            "repeats": len(self.seconds),
            "compile_s": round(self.compile_seconds, 2),
        }


def time_frame_step(
    params: networks.Params,
    config: DVSNetConfig,
    *,
    height: int,
    width: int,
    streams: int = 1,
    repeats: int = 5,
    routings: Sequence[str] = ("compact", "dense"),
    progress: Callable[[str], None] = lambda line: None,
) -> list[Timing]:
    """Times of the step for k = 0 … all regions of every stream segmented, with each routing.

    The repeats go round all the cases, so that a machine that slows down for a while slows all of them.
    """
    frames = jax.device_put(np.random.default_rng(0).integers(0, 256, (streams, height, width, 3), np.uint8))
    runs: dict[tuple[str, int], list[float]] = {}
    compile_seconds: dict[str, float] = {}
    steps: dict[str, Callable[[int], float]] = {}
    for routing in routings:
        progress(f"compiling {routing}")
        measured = config.replace(routing=routing, policy=SegmentFirst(config.num_regions))
        started = time.perf_counter()
        state = init_state(params, frames, config=measured)
        step = segment_frame.lower(params, state, frames, config=measured).compile()
        compile_seconds[routing] = time.perf_counter() - started
        steps[routing] = _timer(step, params, state, frames)

    counts = {"compact": range(config.num_regions + 1), "dense": (0, config.num_regions)}
    for repeat in range(repeats + 1):
        progress(f"round {repeat} of {repeats}")
        for routing in routings:
            for count in counts[routing]:
                seconds = steps[routing](count)
                if repeat:
                    runs.setdefault((routing, count), []).append(seconds)
    return [
        Timing(routing, count * streams, config.num_regions * streams, tuple(seconds), compile_seconds[routing])
        for (routing, count), seconds in runs.items()
    ]


def _timer(step: Any, params: networks.Params, state: Any, frames: Array) -> Callable[[int], float]:
    """A function that runs one step with the first k regions segmented and says how long it took."""
    held = [step(params, state, frames)[0]]  # the first frame segments everything; from then on the policy decides

    def run(count: int) -> float:
        state = held[0]._replace(policy=jnp.full_like(held[0].policy, count))
        jax.block_until_ready(state)
        started = time.perf_counter()
        held[0], result = jax.block_until_ready(step(params, state, frames))
        seconds = time.perf_counter() - started
        assert int(result.segmented.sum()) == count * result.segmented.shape[0]
        return seconds

    return run


def linear_fit(timings: Iterable[Timing]) -> tuple[float, float, float]:
    """Least squares of the median time on the number of regions segmented: `(at none, per region, largest residual)` in
    seconds."""
    rows = list(timings)
    counts, seconds = np.array([row.segmented for row in rows]), np.array([row.median for row in rows])
    per_region, at_none = np.polyfit(counts, seconds, 1)
    return float(at_none), float(per_region), float(np.abs(at_none + per_region * counts - seconds).max())


def table(timings: Sequence[Timing]) -> str:
    """A markdown table of the timings, each also as a share of segmenting everything."""
    everything = next(row.median for row in timings if row.routing == "compact" and row.segmented == row.regions)
    lines = ["| routing | regions segmented | ms a frame | of all segmented |", "|---|---|---|---|"]
    for row in timings:
        lines.append(
            f"| {row.routing} | {row.segmented} of {row.regions} | {1e3 * row.median:,.0f} "
            f"({1e3 * min(row.seconds):,.0f}–{1e3 * max(row.seconds):,.0f}) | {row.median / everything:.1%} |"
        )
    at_none, per_region, residual = linear_fit(row for row in timings if row.routing == "compact")
    lines.append("")
    lines.append(
        f"Compact routing: {1e3 * at_none:,.0f} ms + {1e3 * per_region:,.0f} ms for each region segmented; "
        f"the largest residual of this line is {1e3 * residual:,.0f} ms."
    )
    return "\n".join(lines)
