"""DVSNet around a PyTorch network, frame after frame beside its peers (`eval/heavy.py`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from peers.runtimes import Labels

from dvsnet_jax import (
    FixedInterval,
    ImageInput,
    checkpoints,
    init_state,
    networks,
    segment_frame,
)
from dvsnet_jax.media.motion.attached import estimator
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.media.motion.following import Follower
from dvsnet_jax.training.own_network import in_place_of
from dvsnet_jax.video import region_grid

INTERVAL = 10


class Stepping:
    """The frame step around the network: `regions` with 32 pixels of overlap, each segmented on one frame of ten, so
    10 % of them; the host finds the motion by DIS, as commands have it on a CPU, and that is timed too. The first
    frame, which is whole, is behind it."""

    def __init__(self, module: Any, wanted: ImageInput, frame: np.ndarray, regions: tuple[int, int] = (2, 2)) -> None:
        network, weights = networks.from_torch(module, wanted)
        config = checkpoints.load_bundled("carried")[1].replace(
            policy=FixedInterval(INTERVAL), regions=regions, overlap=32
        )
        params, self.config = in_place_of(network, weights, {}, config)
        self.params = networks.prepare(params, self.config)
        self.state, self.follower = init_state(self.params, frame, config=self.config), Follower(estimator("dis"))
        result = self._step(frame)
        self.share = 0.0
        with torch.inference_mode():
            whole = Labels(module, wanted).eval()(torch.from_numpy(frame)).numpy()
        same, grid = (np.asarray(result.labels) == whole).mean(), region_grid(self.config, *frame.shape[1:3])
        self.said = (
            f"{regions[0]}×{regions[1]} regions of {grid.region_height}×{grid.region_width}, jax {jax.__version__}; "
            f"{same:.1%} of the first frame's pixels have PyTorch's label, as regions see less"
        )

    def through(self, clip: np.ndarray) -> None:
        """Labels of a clip's frames on the host; `share` is that of the regions segmented."""
        segmented = []
        for frame in clip:
            result = self._step(frame)
            np.asarray(result.labels)
            segmented.append(np.asarray(result.segmented).mean())
        self.share = float(np.mean(segmented))

    def _step(self, frame: np.ndarray) -> Any:
        motion = for_step(self.follower.step(frame[0]), *frame.shape[1:3])
        self.state, result = segment_frame(self.params, self.state, frame, None, motion, config=self.config)
        return result


def timed(run: Callable[[], object], frames: int) -> tuple[float, float]:
    """Seconds a frame, and seconds of all cores."""
    began, processor = time.perf_counter(), time.process_time()
    run()
    return (time.perf_counter() - began) / frames, (time.process_time() - processor) / frames
