"""`--precision`, where a network of the user's own does not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvsnet_jax.cli.failures import UsageError

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig


def check_precision(config: DVSNetConfig, precision: str) -> None:
    """Raises `UsageError` for bfloat16 and a function of the user's own that does not say it takes that: its parameters
    would stay what they are, and the option do nothing."""
    from dvsnet_jax.protocols import SegmentationFunction

    network = config.segmentation
    if precision == "bfloat16" and isinstance(network, SegmentationFunction) and not network.any_precision:
        raise UsageError(
            "--precision bfloat16: this network is a function of your own that does not say that it takes it; leave "
            "the option out, or make it SegmentationFunction(…, any_precision=True)"
        )
