"""`--motion`: where the motion comes from that segmentations are carried along."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Literal

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import option

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.media.motion.attached import Kind
    from dvsnet_jax.program import Program

MotionName = Literal["auto", "codec", "encoder", "dis", "network", "paper"]
Motion = Annotated[
    MotionName,
    option(
        "{auto,codec,encoder,dis,network,paper}",
        help="Where motion comes from. codec: a video file's own vectors. encoder: an H.264 encoder's search. dis: "
        "dense inverse search (OpenCV). network: a search inside the program, for accelerators. paper: the paper's "
        "flow network, inside the program. auto: the best for the weights and the input, which is dis for weights that "
        "carry motion, else paper.",
    ),
]


def carried(motion: MotionName, config: DVSNetConfig) -> DVSNetConfig:
    """The configuration with what `--motion` asks for. Raises `UsageError` for motion that the weights are not for."""
    from dvsnet_jax.config import CarriedMotionConfig

    if motion == "auto":
        return config
    if isinstance(config.flow, CarriedMotionConfig) and motion == "paper":
        raise UsageError(
            "--motion paper needs a flow network, and these weights carry motion that is found outside; leave it out, "
            "or take weights with a flow network"
        )
    if isinstance(config.flow, CarriedMotionConfig):
        return config.replace(flow=dataclasses.replace(config.flow, searched=motion == "network"))
    if motion != "paper":
        raise UsageError(
            f"--motion {motion}: these weights find motion by their own flow network, and their decisions are trained "
            f"for that; leave it out, or fit weights to it: dvsnet accelerate --motion dis"
        )
    return config


def check_program(motion: MotionName, program: Program, path: str) -> None:
    """Raises `UsageError` for motion that an exported program is not made for."""
    own: tuple[str, ...]
    if program.takes_motion:
        made_for, own = "motion that is given with each frame", ("codec", "encoder", "dis")
    elif program.finds_motion is None:
        made_for, own = "motion that it finds itself", ("network", "paper")
    else:
        made_for, own = f"--motion {program.finds_motion}", (program.finds_motion,)
    if motion not in ("auto", *own):
        another = f"--motion {motion}" if motion in ("network", "paper") else "with weights that carry motion"
        raise UsageError(
            f"--motion {motion}: {path} was exported for {made_for}; leave it out, or export another: dvsnet export "
            f"{another}"
        )


def found_by(motion: MotionName) -> Kind | None:
    """What finds motion on the host, where the option says."""
    return None if motion == "auto" or motion == "paper" or motion == "network" else motion
