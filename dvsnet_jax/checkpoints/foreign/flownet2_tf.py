"""flownet2-tf's variables → parameters of the FlowNet2 family. The names are ours already, joined by '/'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dvsnet_jax.checkpoints.foreign.original_names import is_bookkeeping
from dvsnet_jax.checkpoints.matching import match
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params


def from_flownet2_tf(
    variables: Mapping[str, np.ndarray], config: FlowNet2Config, *, source: str = "the given variables"
) -> dict[str, Any]:
    """Parameters from flownet2-tf's variables, {'FlowNetCS/FlowNetC/conv1/weights': array}, with or without ':0'.

    `global_step` and Adam's variables are passed over, and nothing else. `config` says which network they are of; its
    convention is FLOWNET2_TF, which has no biases in the transposed convolutions outside the fusion.

    Raises InputError, with lists, for names that are unknown or missing and for wrong shapes (`matching.match`).
    """
    return match(
        variables,
        abstract_flow_params(config),
        rename=lambda name: name.removesuffix(":0"),
        ignore=is_bookkeeping,
        source=source,
    )
