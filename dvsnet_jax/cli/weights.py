"""Where the command's weights come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvsnet_jax.cli.failures import UsageError

if TYPE_CHECKING:
    from dvsnet_jax.cli.motion import MotionName
    from dvsnet_jax.config import DVSNetConfig


def load_weights(
    weights: str | None, decision_from: str | None, motion: MotionName = "paper"
) -> tuple[Any, DVSNetConfig]:
    """Parameters and their configuration from one of our checkpoints or a TensorFlow checkpoint, on the fly;
    without `weights` those that come with the package for this source of motion.

    Raises `InputError` for what is missing, damaged or does not fit.
    """
    from dvsnet_jax import checkpoints

    if weights is None:
        if decision_from is not None:
            raise UsageError("--decision-from goes with --weights, a TensorFlow checkpoint without a decision network")
        return checkpoints.load_bundled("paper" if motion == "paper" else "carried")
    if checkpoints.is_tensorflow(weights):
        return checkpoints.import_tensorflow(weights, decision_from=decision_from)
    if decision_from is not None:
        raise UsageError(
            f"--decision-from {decision_from}: {weights} is no TensorFlow checkpoint, and has a decision network of "
            "its own; leave --decision-from out"
        )
    return checkpoints.load(weights)


def load_seeded(weights: str | None, motion: MotionName = "paper") -> tuple[Any, DVSNetConfig]:
    """For measurements of time: those of `weights` or `bundled`; without, the paper's networks with weights made by a
    rule, or with carried motion in place of the flow network."""
    from dvsnet_jax import CarriedMotionConfig, DVSNetConfig, LocalDecisionConfig, checkpoints

    if weights is None:
        config = DVSNetConfig.cityscapes()
        if motion != "paper":
            config = config.replace(flow=CarriedMotionConfig(scale_width=16), decision=LocalDecisionConfig())
        return checkpoints.seeded_params(config), config
    return load_weights(None if weights == "bundled" else weights, None, motion)
