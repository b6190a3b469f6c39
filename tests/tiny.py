"""A whole DVSNet small enough for every test, and video to feed it."""

from __future__ import annotations

from functools import cache

import jax
import numpy as np

from dvsnet_jax import DecisionConfig, DeepLabFastConfig, DVSNetConfig, FlowNet2sConfig
from dvsnet_jax.checkpoints import seeded_params

TINY = DVSNetConfig(
    segmentation=DeepLabFastConfig(num_classes=5, blocks=(1, 1, 2, 1), width=4, head_width=8),
    flow=FlowNet2sConfig(channels=(4, 4, 8, 8, 8, 8)),
    decision=DecisionConfig(conv_width=4, hidden=(8, 8, 4)),
    overlap=16,
)


@cache
def tiny_params():
    """Seeded parameters, whose labels vary from pixel to pixel and whose confidence scores lie around 50 ± 5, so that a
    target of 50 sends regions both ways."""
    params = seeded_params(TINY)
    last = params["decision"]["fully_connected_3"]
    last["weights"] = last["weights"] * 40
    last["biases"] = np.full(1, 50 - 87, np.float32)
    return jax.device_put(params)


def video(frames: int, streams: int = 1, height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    """uint8 [frames, streams, height, width, 3]: smooth random pictures that drift, another one for every stream."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (streams, height // 8 + 2, width // 8 + frames + 2, 3))
    big = np.kron(coarse, np.ones((1, 8, 8, 1)))
    return np.stack([big[:, 3 : 3 + height, 3 * t : 3 * t + width] for t in range(frames)]).astype(np.uint8)
