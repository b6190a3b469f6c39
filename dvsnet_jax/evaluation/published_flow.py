"""The flow that papers' programs measure temporal consistency along (`metrics.published_tc`), as far as it is here.

VSPW took RAFT's, of which there is no network here: dense inverse search stands in its place. ETC took NVIDIA's
FlowNet2 (irfanICMLL/ETC-Real-time-Per-frame-Semantic-video-segmentation, tool/eval_tc.py at 1f946fb), which is here,
but for its weights. The program gives it pictures by ImageNet's mean and deviation, and FlowNet2 then divides by 255
once more, so that it sees a 57th of the contrast that it was trained on. That is part of the number, so it is done
here, too.

*Differs from the program:* sides that are no multiples of 64 are enlarged to the next, as `estimate_flow` does; the
program makes them smaller and leaves the flow as long as it was. Cityscapes' sides are such multiples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from dvsnet_jax import preprocessing
from dvsnet_jax.checkpoints import load_flow
from dvsnet_jax.config import ImageInput
from dvsnet_jax.datasets.flow.dis import dense_flow
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.label_counts import DenseFlow
from dvsnet_jax.flownet_config import NVIDIA, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import pair_flow


@dataclass(frozen=True, eq=False)
class EtcFlow:
    """Flow from a picture to the next one as ETC's program has FlowNet2 find it."""

    params: dict[str, Any]
    config: FlowNet2Config

    def __call__(
        self, first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]
    ) -> Float[np.ndarray, "h w 2"]:
        """Of RGB pictures; displacement (x, y) in pixels."""
        return np.asarray(_flow(self.params, first, second, config=self.config))


def load_etc_flow(path: str) -> EtcFlow:
    """By NVIDIA's `FlowNet2_checkpoint.pth.tar`, or the folder that `dvsnet import` made of it.

    Raises InputError for what cannot be read, for another network and for weights of another program.
    """
    params, config = load_flow(path, network="FlowNet2")
    if config.convention != NVIDIA:
        raise InputError(
            f"{path}: its FlowNet2 is flownet2-tf's, but ETC's program takes NVIDIA's; give "
            "FlowNet2_checkpoint.pth.tar of NVIDIA/flownet2-pytorch, or what 'dvsnet import' makes of it"
        )
    return EtcFlow(jax.device_put(params), config)


def flows_for(etc: EtcFlow | None, *, vspw: bool) -> dict[str, DenseFlow] | None:
    """Along which flow each program's temporal consistency is counted: ETC's along its own where it is there, else
    beside VSPW's along dense inverse search. None where neither is asked for."""
    flows: dict[str, DenseFlow] = {}
    if vspw:
        flows["vspw"] = dense_flow
    if etc is not None:
        flows["etc_flownet2"] = etc
    elif vspw:
        flows["etc"] = dense_flow
    return flows or None


@partial(jax.jit, static_argnames="config")
def _flow(
    params: dict[str, Any], first: UInt8[Array, "h w 3"], second: UInt8[Array, "h w 3"], *, config: FlowNet2Config
) -> Float[Array, "h w 2"]:
    one, other = (preprocessing.as_wanted(each[None], ImageInput.imagenet()) for each in (first, second))
    return pair_flow(params, one, other, config)[0][0]
