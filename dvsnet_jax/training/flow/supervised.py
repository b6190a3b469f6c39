"""Stage 2a, flow: the networks of the FlowNet2 family from pairs with true flow, with the schedules of FlowNet 2.0.

| schedule | rate | halved after |
|---|---|---|
| S_short | 1e-4 | 1/2, 2/3, 5/6 of the steps (300, 400, 500 of 600 thousand) |
| S_long | 1e-4 | 1/3, 1/2, 2/3, 5/6 (400, 600, 800 of 1,200 thousand, and a million) |
| S_fine | 1e-5 | 1/3, 1/2, 2/3, 5/6 (200, 300, 400, 500 of 600 thousand) |

In a stack the networks are trained one by one: only the last one learns, unless `whole_stack` says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import FlowNet2sConfig
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.training.flow.loss import multi_scale_loss
from dvsnet_jax.training.state import TrainState

Name = Literal["S_short", "S_long", "S_fine"]
_THIRDS = (1 / 3, 1 / 2, 2 / 3, 5 / 6)
SCHEDULES: dict[Name, tuple[float, tuple[float, ...]]] = {
    "S_short": (1e-4, (1 / 2, 2 / 3, 5 / 6)), "S_long": (1e-4, _THIRDS), "S_fine": (1e-5, _THIRDS),
}  # fmt: skip
"""Learning rate, and the shares of the steps after which it is halved."""


@dataclass(frozen=True, kw_only=True)
class FlowTraining:
    """What decides a step."""

    steps: int = 600_000
    batch_size: int = 8
    schedule: Name = "S_short"
    learning_rate: float | None = None
    """In the place of the schedule's."""
    weight_decay: float = 4e-4
    """L2, of convolution kernels."""
    exponent: float | None = None
    """Of each pixel's error; 0.4 for CSS-ft-sd."""
    whole_stack: bool = False
    """The networks below the last one learn too (CSS-ft-sd)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0


def rate(training: FlowTraining) -> optax.Schedule:
    """The learning rate by step."""
    first, shares = SCHEDULES[training.schedule]
    halvings = {round(share * training.steps): 0.5 for share in shares}
    return optax.piecewise_constant_schedule(training.learning_rate or first, halvings)


def is_trained(params: Any, config: FlowNet2sConfig | FlowNet2Config, training: FlowTraining) -> Any:
    """Of each parameter whether it learns: not the scale head, and of a stack the last network alone."""
    below = {"FlowNetCS": ("FlowNetC",), "FlowNetCSS": ("FlowNetCS",), "FlowNet2": ("FlowNetCSS", "FlowNetSD")}
    frozen = below.get(getattr(config, "network", ""), ()) if not training.whole_stack else ()

    def trained(path: tuple[Any, ...], _: Any) -> bool:
        keys = [part.key for part in path]
        return keys[0] != "predict_scale" and not (len(keys) > 1 and keys[1] in frozen)

    return jax.tree_util.tree_map_with_path(trained, params)


def optimizer(learns: Any, training: FlowTraining) -> optax.GradientTransformation:
    """Adam (0.9, 0.999) with L2 on kernels, for what learns."""
    kernels = partial(jax.tree_util.tree_map_with_path, lambda path, _: path[-1].key == "weights")
    adam = optax.chain(optax.add_decayed_weights(training.weight_decay, mask=kernels), optax.adam(rate(training)))
    parts = jax.tree.map(lambda yes: "learns" if yes else "fixed", learns)
    return optax.partition({"learns": adam, "fixed": optax.set_to_zero()}, parts)


def start(params: Any, config: FlowNet2sConfig | FlowNet2Config, training: FlowTraining) -> TrainState:
    """The state before the first step."""
    slots = optimizer(is_trained(params, config, training), training).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, slots)


@partial(jax.jit, static_argnames=("config", "training"), donate_argnames="state")
def train_step(
    state: TrainState,
    first: UInt8[Array, "n h w 3"],
    second: UInt8[Array, "n h w 3"],
    flow: Float[Array, "n h w 2"],
    valid: Bool[Array, "n h w"],
    *,
    config: FlowNet2sConfig | FlowNet2Config,
    training: FlowTraining,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One step on one batch: pairs of RGB images, 0..255, and the true flow first → second in pixels.

    The network reads the images at their own size: DVSNet's, which is given half-size regions, learns on pairs that
    look as those do. Metrics: the loss, and that of no flow at all (`zero`).
    """
    learns = is_trained(state.params, config, training)

    def loss_of(params: Any) -> tuple[Array, Array]:
        params = jax.tree.map(lambda leaf, yes: leaf if yes else jax.lax.stop_gradient(leaf), params, learns)
        predictions, divisor = networks.flow_predictions(
            params, first, second, config, dtype=jnp.dtype(training.precision)
        )
        still = jax.tree.map(jnp.zeros_like, predictions)
        loss, zero = (
            multi_scale_loss(each, flow, valid, divisor=divisor, exponent=training.exponent)
            for each in (predictions, still)
        )
        return loss, zero

    (loss, zero), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, slots = optimizer(learns, training).update(gradients, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, slots), {"loss": loss, "zero": zero, "rate": rate(training)(state.step)}
