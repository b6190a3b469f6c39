"""Stage 3: the decision network learns the confidence score (paper, section 3.4; the original's `train.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from dvsnet_jax import networks
from dvsnet_jax.config import AnyDecisionConfig, DecisionConfig
from dvsnet_jax.training.state import TrainState


@dataclass(frozen=True, kw_only=True)
class DecisionTraining:
    """How the decision network is trained; the defaults are the original's."""

    learning_rate: float = 0.002
    decay: float = 0.99
    """The learning rate is multiplied by this after every epoch."""
    batch_size: int = 32
    epochs: int = 100
    dropout: float | None = None
    """None: as the network wants it, 0.5 for the paper's as in the original, 0 for the local one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of activations and gradients through them; parameters, Adam and loss are float32."""
    adam: Literal["optax", "tensorflow"] = "optax"
    """`tensorflow`: with the rounding and the epsilon of TensorFlow 1, to follow the original step by step."""
    seed: int = 0


class TensorFlowAdamState(NamedTuple):
    """Both moments' running means, and the powers of their decays that correct the bias."""

    mu: Any
    nu: Any
    powers: Float[Array, "2"]
    """0.9ᵗ and 0.999ᵗ before the t-th step."""


def scale_by_tensorflow_adam() -> optax.GradientTransformation:
    """TensorFlow 1's Adam in place of `optax.scale_by_adam`, from which it differs in two ways.

    The powers are float32 and multiplied up step by step, as TensorFlow's variables are: 1 - 0.999³ is then off by
    2.7e-5, and within three steps from the original's weights an exact one moves the loss by 1.2e-4. Epsilon is added
    before the second moment's bias is corrected, which counts where gradients are as small as it.
    """
    decays = np.array([0.9, 0.999], np.float32)

    def init(params: Any) -> TensorFlowAdamState:
        return TensorFlowAdamState(optax.tree.zeros_like(params), optax.tree.zeros_like(params), jnp.asarray(decays))

    def update(gradients: Any, state: TensorFlowAdamState, params: Any = None) -> tuple[Any, TensorFlowAdamState]:
        mu = optax.tree.update_moment(gradients, state.mu, decays[0], 1)
        nu = optax.tree.update_moment(gradients, state.nu, decays[1], 2)
        correction = jnp.sqrt(1 - state.powers[1]) / (1 - state.powers[0])
        updates = jax.tree.map(lambda m, n: m * correction / (jnp.sqrt(n) + 1e-8), mu, nu)
        return updates, TensorFlowAdamState(mu, nu, state.powers * decays)

    return optax.GradientTransformation(init, update)


def optimizer(training: DecisionTraining, steps_per_epoch: int) -> optax.GradientTransformation:
    """Adam with the learning rate stepping down after every epoch."""
    schedule = optax.exponential_decay(training.learning_rate, steps_per_epoch, training.decay, staircase=True)
    adam = optax.scale_by_adam() if training.adam == "optax" else scale_by_tensorflow_adam()
    return optax.chain(adam, optax.scale_by_learning_rate(schedule))


def start(params: Any, training: DecisionTraining, steps_per_epoch: int) -> TrainState:
    """The state before the first step, from the decision network's parameters."""
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer(training, steps_per_epoch).init(params))


def squared_error(
    params: Any,
    features: Float[Array, "n gh gw c"],
    confidence: Float[Array, "n"],
    *,
    config: AnyDecisionConfig,
    dropout: float = 0.0,
    key: Array | None = None,
    precision: str = "float32",
) -> Float[Array, ""]:
    """Mean squared error of the predicted confidence, in squared points of percent."""
    network = networks.decision_network(config, dropout=dropout)
    rngs = None if key is None else {"dropout": key}
    predicted, _ = network.apply({"params": params}, features.astype(precision), rngs=rngs)
    return jnp.square(predicted - confidence).mean()


@partial(jax.jit, static_argnames=("config", "training", "steps_per_epoch"), donate_argnames="state")
def train_step(
    state: TrainState,
    features: Float[Array, "n gh gw c"],
    confidence: Float[Array, "n"],
    *,
    config: AnyDecisionConfig,
    training: DecisionTraining,
    steps_per_epoch: int,
) -> tuple[TrainState, Float[Array, ""]]:
    """One step of Adam on one batch, and the loss before it."""
    dropout = training.dropout
    if dropout is None:
        dropout = 0.5 if isinstance(config, DecisionConfig) else 0.0
    key = jax.random.fold_in(jax.random.key(training.seed), state.step)
    loss, gradients = jax.value_and_grad(squared_error)(
        state.params,
        features,
        confidence,
        config=config,
        dropout=dropout,
        key=key if dropout else None,
        precision=training.precision,
    )
    updates, slots = optimizer(training, steps_per_epoch).update(gradients, state.optimizer, state.params)
    return TrainState(state.step + 1, optax.apply_updates(state.params, updates), slots), loss


@partial(jax.jit, static_argnames="config")
def predict(params: Any, features: Float[Array, "n gh gw c"], *, config: AnyDecisionConfig) -> Float[Array, "n"]:
    """Predicted confidence, percent, without dropout."""
    return networks.decision_network(config).apply({"params": params}, features)[0]


def batches(count: int, training: DecisionTraining, first_step: int = 0) -> Iterator[np.ndarray]:
    """Indices of the samples of each batch, from `first_step` on, without end.

    Every epoch goes through all samples in an order of its own that follows from the seed; its last batch is filled up
    from the epoch's beginning, so that all batches have one size (and a set smaller than a batch works).
    """
    steps = -(-count // training.batch_size)
    for step in range(first_step, 1 << 62):
        epoch, within = divmod(step, steps)
        order = np.random.default_rng((training.seed, epoch)).permutation(count)
        yield np.resize(order, steps * training.batch_size).reshape(steps, -1)[within]
