"""Tracing is half of a small run's work: done once for all processes that are forked from one. Nothing is compiled and
no device touched: the threads of one would not survive that."""

from __future__ import annotations

from typing import Any
from unittest import mock

import jax
import numpy as np

from dvsnet_jax import DVSNetConfig


def trace(config: DVSNetConfig, params: Any, *sizes: tuple[int, int]) -> None:
    """Traces the step for frames of these sizes; jax remembers it. `params` may be shapes."""
    from dvsnet_jax.media.motion.field import for_step
    from dvsnet_jax.networks import prepare
    from dvsnet_jax.video import init_state, segment_frame

    with mock.patch("jax.default_backend", lambda: "cpu"):  # asked, it would start one
        prepared = jax.eval_shape(lambda params: prepare(params, config), params)
        for size in sizes:
            frames = jax.ShapeDtypeStruct((1, *size, 3), np.uint8)
            state = jax.eval_shape(lambda params, frames=frames: init_state(params, frames, config=config), prepared)
            motion = for_step(None, *size) if config.takes_motion else None
            segment_frame.trace(
                prepared, state, frames, None, motion, config=config, audit=False, every_score=False
            )  # the words of Segmenter: as others they would be traced again
