"""How long a frame step takes, by the number of regions segmented and the form that it is run in, beside every frame
segmented without any of it. Ratios inside one run are what can be compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.multiply_adds import costs
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.frame_motion import FrameMotion, motion_shape
from dvsnet_jax.ops.regions import merge, split
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.policies import Evidence
from dvsnet_jax.routing import segment_where
from dvsnet_jax.video import init_state, region_grid, segment_frame

_STEPS = 20
"""Steps of an accelerator that are timed together."""


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


class Form(NamedTuple):
    """How the step is run."""

    routing: str = "compact"
    prepared: bool = True
    precision: networks.Precision = "float32"
    streams: int = 1

    def __str__(self) -> str:
        words = [self.routing, "prepared" if self.prepared else "as trained", self.precision]
        return ", ".join([*words, f"{self.streams} streams"] if self.streams > 1 else words)


@dataclass(frozen=True)
class Timing:
    """Seconds of the repeated calls of one thing, the first (warm-up) call left out."""

    form: Form
    segmented: int | None
    """Regions of each stream; None for every frame segmented without DVSNet: no flow, no decision, no state."""
    regions: int
    """Of a stream's frame."""
    seconds: tuple[float, ...]
    """Of one step of all streams."""
    compile_seconds: float
    memory: int
    """Bytes that the compiler assigns while it runs: parameters, state, frames, results and temporaries."""
    multiply_adds: int
    """Of one frame."""

    @property
    def median(self) -> float:
        """Seconds a frame: of a step, divided by its streams."""
        return statistics.median(self.seconds) / self.form.streams

    def as_json(self) -> dict[str, Any]:
        return {
            "what": "frame_step" if self.segmented is not None else "every_frame",
            **self.form._asdict(),
            "segmented": self.segmented,
            "regions": self.regions,
            "median_s": round(self.median, 5),
            "min_s": round(min(self.seconds) / self.form.streams, 5),
            "max_s": round(max(self.seconds) / self.form.streams, 5),
            "repeats": len(self.seconds),
            "compile_s": round(self.compile_seconds, 2),
            "memory_bytes": self.memory,
            "multiply_adds": self.multiply_adds,
        }


def time_frame_step(
    params: networks.Params,
    config: DVSNetConfig,
    *,
    height: int,
    width: int,
    repeats: int = 5,
    forms: Sequence[Form] = (Form(),),
    every_frame: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Timing]:
    """Times of the step for k = 0 … all regions segmented, in each form; with `every_frame` also of segmenting every
    frame without DVSNet, in each precision and number of streams.

    The repeats go round all the cases, so that a machine that slows down for a while slows all of them. Dense forms,
    whose time is the same for every k, are timed at the two ends.
    """
    regions = config.num_regions
    heavy, *light = (cost.multiply_adds * regions for cost in costs(config, height, width, params=params))
    cases: list[tuple[Form, int | None, Callable[[], float], float, int]] = []
    plain: set[Form] = set()
    for form in forms:
        progress(f"compiling {form}")
        measured = config.replace(routing=form.routing, policy=SegmentFirst(regions))
        own = networks.prepare(params, config, precision=form.precision) if form.prepared else jax.device_put(params)
        frames = jax.device_put(np.random.default_rng(0).integers(0, 256, (form.streams, height, width, 3), np.uint8))
        state, motion = init_state(own, frames, config=measured), still_motion(measured, frames)
        started = time.perf_counter()
        step = segment_frame.lower(own, state, frames, None, motion, config=measured).compile()
        spent = time.perf_counter() - started
        timer = _timer(partial(step, config=measured), own, state, frames, motion)
        for count in range(regions + 1) if form.routing == "compact" else (0, regions):
            cases.append((form, count, partial(timer, count), spent, _memory(step)))
        alone = form._replace(routing="compact")
        if every_frame and alone not in plain:
            plain.add(alone)
            started = time.perf_counter()
            program = _every_frame.lower(own, frames, config=measured).compile()
            spent = time.perf_counter() - started
            plainly = partial(seconds_of, partial(program, config=measured), own, frames)
            cases.append((form, None, plainly, spent, _memory(program)))

    runs: list[list[float]] = [[] for _ in cases]
    for repeat in range(repeats + 1):
        progress(f"round {repeat} of {repeats}")
        for case, seconds in zip(cases, runs, strict=True):
            took = case[2]()
            if repeat:
                seconds.append(took)
    return [
        Timing(form, count, regions, tuple(seconds), spent, memory,
               heavy if count is None else
               sum(light) + heavy * (count if form.routing == "compact" else regions) // regions)
        for (form, count, _, spent, memory), seconds in zip(cases, runs, strict=True)
    ]  # fmt: skip


@jax.jit
def _every_frame(
    params: networks.Params, frames: UInt8[Array, "streams height width 3"], *, config: DVSNetConfig
) -> UInt8[Array, "streams height width"]:
    """What one does without DVSNet: each region of each frame through the segmentation network, upsampled, merged."""
    grid = region_grid(config, *frames.shape[1:3])
    images = split(frames, grid)
    network = partial(networks.segmentation_scores, params, config=config)
    scores = segment_where(
        jnp.ones(len(images), bool), network, images, jnp.zeros(jax.eval_shape(network, images).shape),
        routing="compact", chunk=config.chunk,
    )  # fmt: skip
    labels, maxima = upsample_argmax(scores, (grid.region_height, grid.region_width))
    return merge(labels, maxima, grid)


def _memory(program: Any) -> int:
    """As XLA's own analysis has it; donated arguments are counted once."""
    found = program.memory_analysis()
    assigned = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return int(assigned - found.alias_size_in_bytes)


def seconds_of(program: Any, *arguments: Any) -> float:
    """What one call of a compiled program takes, to its end."""
    started = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    return time.perf_counter() - started


def step_timer(
    params: networks.Params, config: DVSNetConfig, frames: UInt8[Array, "streams h w 3"]
) -> Callable[[int], float]:
    """A function that runs the compiled step with the first k regions of each stream segmented; seconds."""
    measured = config.replace(policy=SegmentFirst(config.num_regions))
    state, motion = init_state(params, frames, config=measured), still_motion(measured, frames)
    step = segment_frame.lower(params, state, frames, None, motion, config=measured).compile()
    return _timer(partial(step, config=measured), params, state, frames, motion)


def still_motion(config: DVSNetConfig, frames: UInt8[Array, "streams h w 3"]) -> FrameMotion | None:
    """Motion for a step that takes it: none at all, trusted. Time does not depend on it."""
    if not config.takes_motion:
        return None
    cells = (frames.shape[0], *motion_shape(*frames.shape[1:3]))
    return FrameMotion(jnp.zeros((*cells, 2)), jnp.ones(cells))


def _timer(
    step: Any, params: networks.Params, state: Any, frames: Array, motion: FrameMotion | None
) -> Callable[[int], float]:
    """A function that takes steps with the first k regions segmented and says how long one took.

    On a CPU one step, to its end. On an accelerator many, handed over while it works, as in a video.
    """
    # The first frame segments everything; from then on the policy decides.
    held = [step(params, state, frames, None, motion)[0]]
    steps = 1 if jax.default_backend() == "cpu" else _STEPS

    def run(count: int) -> float:
        state = held[0]._replace(policy=jnp.full_like(held[0].policy, count))
        jax.block_until_ready(state)
        started = time.perf_counter()
        for _ in range(steps):
            state, result = step(params, state, frames, None, motion)
        held[0], result = jax.block_until_ready((state, result))
        seconds = time.perf_counter() - started
        assert int(result.segmented.sum()) == count * result.segmented.shape[0]
        return seconds / steps

    return run


def matmul_rate(precision: networks.Precision = "float32", *, repeats: int = 5) -> float:
    """Multiply-adds a second of one large product of matrices on the default device: what a share is of."""
    side = 4096 if jax.default_backend() == "cpu" else 16384
    factor = jax.random.normal(jax.random.key(0), (side, side), precision)
    program = jax.jit(jnp.dot).lower(factor, factor).compile()
    return side**3 / statistics.median(seconds_of(program, factor, factor) for _ in range(repeats + 1))


def copy_rate(*, values: int = 2**28, repeats: int = 5) -> float:
    """Bytes a second, read and written, of a pass over a large array on the default device."""
    array = jnp.zeros(values, jnp.float32)
    program = jax.jit(lambda array: array + 1).lower(array).compile()
    return 8 * values / statistics.median(seconds_of(program, array) for _ in range(repeats + 1))


def linear_fit(timings: Iterable[Timing]) -> tuple[float, float, float]:
    """Least squares of the median time on the number of regions segmented: `(at none, per region, largest residual)` in
    seconds a frame."""
    rows = [row for row in timings if row.segmented is not None]
    counts, seconds = np.array([row.segmented for row in rows]), np.array([row.median for row in rows])
    per_region, at_none = np.polyfit(counts, seconds, 1)
    return float(at_none), float(per_region), float(np.abs(at_none + per_region * counts - seconds).max())
