"""A trace of the frame step by JAX's profiler, its stages by their names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.frame_step import SegmentFirst, still_motion
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.media.written_files import make_folder
from dvsnet_jax.video import init_state, segment_frame


def trace_steps(
    params: networks.Params,
    config: DVSNetConfig,
    folder: str | Path,
    *,
    height: int,
    width: int,
    segmented: int = 1,
    steps: int = 3,
) -> Path:
    """Traces so many steps of one stream with prepared parameters, after two that are not in the trace; returns the
    trace's file.

    Frames are of noise that stands still, and of each the first `segmented` regions are segmented. Raises InputError
    for a folder that cannot be made.
    """
    target = make_folder(folder)
    measured = config.replace(policy=SegmentFirst(config.num_regions))
    params = networks.prepare(params, config)
    frames = jax.device_put(np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8))
    state, still = init_state(params, frames, config=measured), still_motion(measured, frames)
    compiled = segment_frame.lower(params, state, frames, None, still, config=measured).compile()
    step = partial(compiled, config=measured)
    state = _set(step(params, state, frames, None, still)[0], segmented)
    state = jax.block_until_ready(step(params, state, frames, None, still)[0])
    with jax.profiler.trace(str(target), create_perfetto_trace=True):
        for number in range(steps):
            with jax.profiler.StepTraceAnnotation("segment_frame", step_num=number):
                state, _ = jax.block_until_ready(step(params, _set(state, segmented), frames, None, still))
    return max(target.rglob("perfetto_trace.json.gz"), key=lambda path: path.stat().st_mtime)


def _set(state: Any, segmented: int) -> Any:
    return state._replace(policy=jnp.full_like(state.policy, segmented))
