"""A whole DVSNet small enough for every test, and video to feed it."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax import (
    CarriedMotionConfig,
    DecisionConfig,
    DeepLabFastConfig,
    DVSNetConfig,
    FixedInterval,
    FlowFunction,
    FlowNet2sConfig,
    FlowOutput,
    LocalDecisionConfig,
    SegmentationFunction,
    networks,
)
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.export import export_program
from dvsnet_jax.program import load_program

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


def greys(params, images):
    """A segmentation network: the class whose grey is nearest, and `add` to its scores, on a ⅛ grid; `value` is added
    to all scores of images whose first pixel's red is `red`."""
    grey = images[:, ::8, ::8].mean(-1)
    scores = -jnp.abs(grey[..., None] - jnp.array([40.0, 128.0, 215.0])) + params["add"]
    return scores + jnp.where(images[:, 0, 0, 0] == params["red"], params["value"], 0.0)[:, None, None, None]


def still(params, current, key):
    """A flow network: nothing moves. `flow`, `scale` and `feature` are added to its output for pairs whose current
    image's first pixel has the red `red`."""
    n, height, width, _ = current.shape
    here = (current[:, 0, 0, 0] == params["red"])[:, None, None, None]

    def output(channels, value, name):
        return jnp.full((n, height // 4, width // 4, channels), value) + jnp.where(here, params[name], 0.0)

    return FlowOutput(output(2, 0.0, "flow"), output(1, 1.0, "scale"), output(3, 1.0, "feature"))


SIMPLE = DVSNetConfig(
    segmentation=SegmentationFunction(function=greys, num_classes=3),
    flow=FlowFunction(function=still, feature_channels=3),
    decision=DecisionConfig(grid=(2, 2), conv_width=2, hidden=(2, 2, 2)),
    regions=(1, 2),
    overlap=8,
)
"""Functions for networks, so that it is compiled in no time. Its expected confidence scores are all 80."""


@cache
def _simple_params():
    params = networks.init_params(jax.random.key(0), SIMPLE)
    decision = jax.tree.map(jnp.zeros_like, params["decision"])
    decision["fully_connected_3"]["biases"] = jnp.full(1, 80.0)
    segmentation = {"add": jnp.zeros(3), "red": jnp.float32(-1), "value": jnp.float32(0)}
    flow = {name: jnp.float32(0) for name in ("flow", "scale", "feature")} | {"red": jnp.float32(-1)}
    return {"segmentation": segmentation, "flow": flow, "decision": decision}


CARRIED = SIMPLE.replace(
    flow=CarriedMotionConfig(), decision=LocalDecisionConfig(grid=(4, 4), width=2), policy=FixedInterval(4)
)
"""The same with motion that is given and carried."""


def carried_params(config=CARRIED):
    """Of `CARRIED` or one of its kind: fresh, but for the segmentation network."""
    return networks.init_params(jax.random.key(0), config) | {"segmentation": _simple_params()["segmentation"]}


def marked(frames: int, streams: int = 1) -> np.ndarray:
    """`video`, where the first pixel of the first of `SIMPLE`'s regions has the red 100 + number of its frame."""
    clip = video(frames, streams)
    clip[:, :, 0, 0, 0] = 100 + np.arange(frames)[:, None]
    clip[:, :, 0, 48, 0] = 0
    return clip


def exported_steps(place, params, config, clip, motion):
    """The program that is exported for frames of 64×96, and what its steps give for a clip, frame by frame."""
    export_program(place, params, config, height=64, width=96, platforms=["cpu"])
    program = load_program(place)
    state, results = program.init_state(), []
    for frame in clip:
        state, result = program.step(state, frame, motion=motion)
        results.append(result)
    return program, results


def simple_params(segmentation=(), flow=()):
    """Its parameters; what is given replaces those of the same name."""

    def arrays(given):
        return {name: jnp.asarray(value, jnp.float32) for name, value in dict(given).items()}

    params = _simple_params()
    return params | {
        "segmentation": params["segmentation"] | arrays(segmentation),
        "flow": params["flow"] | arrays(flow),
    }
