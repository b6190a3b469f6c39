"""Where the command's weights come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvsnet_jax.cli.failures import UsageError

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig

_NONE_BUNDLED = (
    "no weights given, and none come with the package yet; pass --weights DIR. 'dvsnet import CHECKPOINT DIR' makes "
    "DIR from the original's TensorFlow checkpoint, and 'dvsnet demo' runs without weights"
)


def load_weights(weights: str | None, decision_from: str | None) -> tuple[Any, DVSNetConfig]:
    """Parameters and their configuration from one of our checkpoints, or from a TensorFlow checkpoint on the fly.

    Raises `InputError` for what is missing, damaged or does not fit.
    """
    from dvsnet_jax import checkpoints

    if weights is None:
        raise UsageError(_NONE_BUNDLED)
    if checkpoints.is_tensorflow(weights):
        return checkpoints.import_tensorflow(weights, decision_from=decision_from)
    if decision_from is not None:
        raise UsageError(
            f"--decision-from {decision_from}: {weights} is no TensorFlow checkpoint, and has a decision network of "
            "its own; leave --decision-from out"
        )
    return checkpoints.load(weights)
