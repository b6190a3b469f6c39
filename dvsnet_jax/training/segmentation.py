"""Stage 1, segmentation: the optimizer, the loss and the step. As DeepLab (Chen et al., 2018, section 4): poly
schedule, and a head that learns faster than the trunk it stands on, which comes from ImageNet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import SegmentationConfig
from dvsnet_jax.training.segmentation_loss import cross_entropy


@dataclass(frozen=True, kw_only=True)
class SegmentationTraining:
    """What decides a step."""

    steps: int = 1000
    batch_size: int = 8
    learning_rate: float = 3e-3
    """Of the head, at the first step."""
    trunk_rate: float = 0.15
    """The trunk's learning rate over the head's."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 1e-4
    poly: float = 0.9
    """The rate falls as (1 - step / steps)^poly."""
    warmup: int = 0
    """Steps in which it rises from 0."""
    batch_norm: Literal["trained", "frozen"] = "trained"
    """`frozen`: with the moments that are stored."""
    momentum: float = 0.97
    """Of the stored moments, where they are trained."""
    average: float = 0.998
    """Of the exponential mean of the parameters, which is what is kept; 0 keeps the last ones."""
    freeze: tuple[str, ...] = ()
    """Layers whose names begin so stay as they are, their batch norms too."""
    class_weights: tuple[float, ...] | None = None
    hard_share: float | None = None
    every: int = 1
    """The loss looks at every n-th pixel down and across."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of activations and gradients; parameters, moments and loss are float32."""
    seed: int = 0


class SegmentationState(NamedTuple):
    """All that a step changes."""

    step: Array
    params: Any
    optimizer: Any
    average: Any
    """Exponential mean of the parameters."""


def rate(training: SegmentationTraining) -> optax.Schedule:
    """The head's learning rate by step: linear warm-up, then poly (DeepLab, section 4.1)."""
    falls = optax.polynomial_schedule(training.learning_rate, 0.0, training.poly, training.steps - training.warmup)
    if not training.warmup:
        return falls
    rises = optax.linear_schedule(training.learning_rate / training.warmup, training.learning_rate, training.warmup)
    return optax.join_schedules([rises, falls], [training.warmup])


def parts(params: Any, config: SegmentationConfig, training: SegmentationTraining) -> Any:
    """Of each parameter: 'head', 'trunk', or 'fixed' (frozen layers, and moments, which no gradient changes)."""

    def part(path: tuple[Any, ...], _: Any) -> str:
        layer, leaf = str(path[0].key), str(path[-1].key)
        if leaf.startswith("moving_") or layer.startswith(training.freeze or ("\0",)):
            return "fixed"
        return "head" if networks.is_head(layer, config) else "trunk"

    return jax.tree_util.tree_map_with_path(part, params)


def optimizer(labels: Any, training: SegmentationTraining) -> optax.GradientTransformation:
    """AdamW or SGD with momentum .9; weight decay on kernels alone."""

    def of(share: float) -> optax.GradientTransformation:
        def scheduled(step: Any) -> Any:
            return share * rate(training)(step)

        kernels = partial(jax.tree_util.tree_map_with_path, lambda path, _: path[-1].key == "weights")
        if training.optimizer == "adamw":
            return optax.adamw(scheduled, weight_decay=training.weight_decay, mask=kernels)
        decay = optax.add_decayed_weights(training.weight_decay, mask=kernels)
        return optax.chain(decay, optax.sgd(scheduled, momentum=0.9))

    transforms = {"head": of(1.0), "trunk": of(training.trunk_rate), "fixed": optax.set_to_zero()}
    return optax.chain(optax.clip_by_global_norm(5.0), optax.partition(transforms, labels))


def start(params: Any, config: SegmentationConfig, training: SegmentationTraining) -> SegmentationState:
    """The state before the first step."""
    slots = optimizer(parts(params, config, training), training).init(params)
    return SegmentationState(jnp.zeros((), jnp.int32), params, slots, jax.tree.map(jnp.array, params))


@partial(jax.jit, static_argnames=("config", "training"), donate_argnames="state")
def train_step(
    state: SegmentationState,
    images: UInt8[Array, "n h w 3"],
    labels: UInt8[Array, "n h w"],
    *,
    config: SegmentationConfig,
    training: SegmentationTraining,
) -> tuple[SegmentationState, dict[str, Float[Array, ""]]]:
    """One step on one batch: RGB images, 0..255, and train ids, 255 void."""
    labelled = parts(state.params, config, training)

    def loss_of(params: Any) -> tuple[Array, Any]:
        params = jax.tree.map(
            lambda leaf, part: jax.lax.stop_gradient(leaf) if part == "fixed" else leaf, params, labelled
        )
        scores, moments = networks.training_scores(
            params, images, config, update_moments=training.batch_norm == "trained", frozen=training.freeze,
            dtype=jnp.dtype(training.precision),
        )  # fmt: skip
        class_weights = None if training.class_weights is None else jnp.asarray(training.class_weights)
        loss = cross_entropy(
            scores, labels, class_weights=class_weights, hard_share=training.hard_share, every=training.every
        )
        return loss, moments

    (loss, moments), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, slots = optimizer(labelled, training).update(gradients, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    params = _with_moments(params, moments, training)
    # The mean begins as a plain one, or it would remember the first parameters for hundreds of steps.
    decay = jnp.minimum(training.average, (1.0 + state.step) / (10.0 + state.step))
    # Not optax.incremental_update: its two products round, and one in 900 of the frozen parameters would move.
    average = jax.tree.map(lambda old, new: old + (new - old) * (1 - decay), state.average, params)
    return SegmentationState(state.step + 1, params, slots, average), {"loss": loss, "rate": rate(training)(state.step)}


def _with_moments(params: Any, moments: Any, training: SegmentationTraining) -> Any:
    """The stored moments moved towards the batch's."""
    params = dict(params)
    for layer, seen in moments.items():
        new = {f"moving_{name}": value[0] for name, value in seen.items()}
        old = {name: params[layer][name] for name in new}
        params[layer] = {**params[layer], **optax.incremental_update(new, old, 1 - training.momentum)}
    return params
