"""`--motion`: where the motion comes from that segmentations are carried along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import option

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.media.motion.attached import Kind

MotionName = Literal["auto", "codec", "encoder", "dis", "paper"]
Motion = Annotated[
    MotionName,
    option(
        "{auto,codec,encoder,dis,paper}",
        help="Where motion comes from. codec: a video file's own vectors. encoder: an H.264 encoder's search. dis: "
        "dense inverse search (OpenCV). paper: the paper's flow network, inside the program. auto: the best for the "
        "weights and the input, which is dis for weights that carry motion, else paper.",
    ),
]


def carried(motion: MotionName, config: DVSNetConfig) -> Kind | None:
    """What finds the motion that these weights carry; None for `auto`, and for weights that find it by themselves.

    Raises `UsageError` for a source that the weights are not for.
    """
    from dvsnet_jax.config import CarriedMotionConfig

    carries = isinstance(config.flow, CarriedMotionConfig)
    if carries and motion == "paper":
        raise UsageError(
            "--motion paper needs a flow network, and these weights carry motion that is found outside; leave it out, "
            "or take weights with a flow network"
        )
    if not carries and motion not in ("auto", "paper"):
        raise UsageError(
            f"--motion {motion}: these weights find motion by their own flow network, and their decisions are trained "
            f"for that; leave it out, or fit weights to it: dvsnet accelerate --motion dis"
        )
    return found_by(motion)


def found_by(motion: MotionName) -> Kind | None:
    """What finds motion on the host, where the option says."""
    return None if motion == "auto" or motion == "paper" else motion
