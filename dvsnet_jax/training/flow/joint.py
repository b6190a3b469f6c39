"""Stage 2b, the joint fine-tune (paper, section 4.1): the segmentation network stands, and the flow network with its
scale head learns so that the *warped* scores of a key frame, 0 to 9 frames earlier, give the current frame's labels.
Where motion is carried there is no flow network, and the scale field alone learns.

The labels are the data's, or, where it has none, the segmentation network's own of the current frame: what the decision
network will be asked about is agreement with those.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, UInt8

from dvsnet_jax import networks, preprocessing
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.frame_motion import CarriedFlow
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.ops.warp import warp_scores
from dvsnet_jax.ops.warp_cues import key_cells
from dvsnet_jax.training.segmentation_loss import cross_entropy
from dvsnet_jax.training.state import TrainState


@dataclass(frozen=True, kw_only=True)
class JointTraining:
    """What decides a step."""

    steps: int = 20_000
    batch_size: int = 4
    learning_rate: float = 2e-4
    """At the first step; it falls to 0 as (1 - step / steps)^0.9."""
    weight_decay: float = 0.0
    supervision: Literal["labels", "own"] = "labels"
    """`own`: the segmentation network's labels of the current frame."""
    every: int = 2
    """The loss looks at every n-th pixel down and across."""
    seed: int = 0


def rate(training: JointTraining) -> optax.Schedule:
    """The learning rate by step."""
    return optax.polynomial_schedule(training.learning_rate, 0.0, 0.9, training.steps)


def optimizer(training: JointTraining) -> optax.GradientTransformation:
    """Adam, the gradient clipped to length 1."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate(training), weight_decay=training.weight_decay))


def start(params: Any, training: JointTraining) -> TrainState:
    """The state before the first step; `params` are the flow network's."""
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer(training).init(params))


@partial(jax.jit, static_argnames=("config", "training"), donate_argnames="state")
def train_step(
    state: TrainState,
    segmentation: Any,
    key: UInt8[Array, "n h w 3"],
    current: UInt8[Array, "n h w 3"],
    labels: UInt8[Array, "n h w"],
    *carried: Float[Array, "n ..."],
    config: DVSNetConfig,
    training: JointTraining,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One step on one batch of pairs of frames (or crops of them), sides multiples of 16.

    `segmentation` are that network's parameters, whatever they are. `carried` are the fields of a `CarriedFlow` from
    key to current frame, where that takes the flow network's place and its scale field alone is to learn. Metrics: the
    loss, the share of pixels whose warped label is right, and the same with the key frame's labels as they are
    (`copied`).
    """
    frozen = {"segmentation": segmentation}
    key_scores = networks.segmentation_scores(frozen, key, config)
    if training.supervision == "own":
        size = (labels.shape[1], labels.shape[2])
        labels, _ = upsample_argmax(networks.segmentation_scores(frozen, current, config), size)
    labels = jax.lax.stop_gradient(labels)

    small = preprocessing.half(current), preprocessing.half(key)

    def loss_of(params: Any) -> tuple[Array, Array]:
        if carried:
            cells = key_cells(small[1], jax.lax.stop_gradient(key_scores))
            out = networks.carried_flow({"flow": params}, small[0], cells, CarriedFlow(*carried), config)
        else:
            out = networks.flow_and_feature({"flow": params}, *small, config)
        warped = warp_scores(jax.lax.stop_gradient(key_scores), out.flow, out.scale)
        return cross_entropy(warped, labels, every=training.every), warped

    (loss, warped), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, slots = optimizer(training).update(gradients, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = {"loss": loss, "right": _share_right(warped, labels), "copied": _share_right(key_scores, labels)}
    return TrainState(state.step + 1, params, slots), metrics | {"rate": rate(training)(state.step)}


def _share_right(scores: Float[Array, "n h2 w2 c"], labels: UInt8[Array, "n h w"]) -> Float[Array, ""]:
    predicted, _ = upsample_argmax(scores, (labels.shape[1], labels.shape[2]))
    counts = labels < scores.shape[-1]
    return ((predicted == labels) & counts).sum() / jnp.maximum(counts.sum(), 1)
