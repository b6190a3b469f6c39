"""Networks of no size: what is tried here is everything around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax import CarriedMotionConfig, DeepLabFastConfig, DVSNetConfig, FixedInterval, LocalDecisionConfig
from dvsnet_jax.frame_result import FrameResult

CONFIG = DVSNetConfig(
    segmentation=DeepLabFastConfig(num_classes=5, blocks=(1, 1, 1, 1), width=4, head_width=4),
    flow=CarriedMotionConfig(scale_width=2),
    decision=LocalDecisionConfig(grid=(4, 4), width=2),
    overlap=16,
    regions=(1, 2),
    policy=FixedInterval(3),
)
SIZE = (64, 96)


def clip(frames: int, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 `[frames, height, width, 3]`: blocks of colour that drift, and a little noise."""
    draw, (height, width) = np.random.default_rng(seed), size
    coarse = draw.uniform(20, 235, (height // 8 + 1, (width + 4 * frames) // 8 + 2, 3))
    wide = np.kron(coarse, np.ones((8, 8, 1)))
    shown = np.stack([wide[:height, 4 * t : 4 * t + width] for t in range(frames)])
    return np.clip(shown + draw.normal(0, 2, shown.shape), 0, 255).astype(np.uint8)


def parameters() -> Any:
    """Of `CONFIG`, the same each time."""
    from dvsnet_jax.checkpoints import seeded_params

    return jax.tree.map(np.asarray, seeded_params(CONFIG))


def save_weights(folder: Path) -> Path:
    """A checkpoint of them."""
    from dvsnet_jax import checkpoints

    if not folder.exists():
        checkpoints.save(folder, parameters(), CONFIG)
    return folder


class Greys:
    """A frame step that labels by brightness: nothing is compiled, whatever size a damaged file makes a frame."""

    params: Any = None
    regions = (1, 2)
    num_classes = 5
    class_names = None
    takes_motion = True
    frame_rate = None

    def start(self, height: int, width: int) -> tuple[int, Any]:
        return 0, self._step

    def _step(self, params: Any, count: int, frames: np.ndarray, motion: Any) -> tuple[int, FrameResult]:
        labels = (frames[..., 1] // 52).astype(np.uint8)
        regions = np.full((1, 2), 80.0, np.float32)
        anew = np.full((1, 2), count % 3 == 0)
        given = (labels, regions, regions, anew, np.zeros((1, 2), bool))
        return count + 1, FrameResult(*map(jnp.asarray, given))
