"""The names of the original's variables, and what their shapes say about the network.

In a checkpoint of the original, DeepLab's variables stand at the root (`conv1/weights`), the flow network's under
`FlowNets/` and the decision network's under `decision/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import numpy as np

from dvsnet_jax.config import DecisionConfig, DeepLabFastConfig, DVSNetConfig, FlowNet2sConfig
from dvsnet_jax.errors import InputError

_BOOKKEEPING = re.compile(
    r"(.*/)?(global_step|beta[12]_power(_\d+)?)"  # of the optimizer as a whole, in any scope
    r"|.+/(Adam|Momentum|RMSProp)(_\d+)?"  # its slots for one variable: decision/decision/Conv/weights/Adam_1
)
_UNIT = re.compile(r"(res|bn)([2-5])([b-z])_branch")


def is_bookkeeping(name: str) -> bool:
    """Whether a variable is an optimizer's or the step counter, which importing passes over.

    Only forms that are known for sure: a moving average of the weights (`ExponentialMovingAverage`) is not one of them.
    """
    return _BOOKKEEPING.fullmatch(name.removesuffix(":0")) is not None


def from_original(name: str, config: DVSNetConfig) -> str:
    """The original's name → ours: `FlowNets/conv1/weights` (or `…:0`, as a graph has it) → `flow/conv1/weights`.

    Caffe's ResNet-50 letters the units of its long stages as well (4a … 4f): they become 4a, 4b1 … 4b5.
    """
    name = name.removesuffix(":0")
    if name.startswith("FlowNets/"):
        return "flow/" + name.removeprefix("FlowNets/")
    if name.startswith("FlowNet"):  # flownet2-tf's networks, whose names we have
        return f"flow/{name}"
    if name.startswith("decision/"):
        return name
    blocks = getattr(config.segmentation, "blocks", (0, 0, 0, 0))
    if (unit := _UNIT.match(name)) and blocks[int(unit[2]) - 2] > 3:
        name = f"{unit[1]}{unit[2]}b{ord(unit[3]) - ord('a')}{name[unit.end(3) :]}"
    return f"segmentation/{name}"


def to_original(name: str) -> str:
    """Our name → the original's: `flow/conv1/weights` → `FlowNets/conv1/weights`."""
    network, _, rest = name.partition("/")
    if network == "flow":
        return rest if rest.startswith("FlowNet") else f"FlowNets/{rest}"
    return rest if network == "segmentation" else name


def config_from_shapes(variables: Mapping[str, np.ndarray]) -> DVSNetConfig:
    """`DVSNetConfig.cityscapes()` with the class count, the widths and the block counts that the variables have.

    What is not there keeps its default, so that matching can say what is missing. The decision grid cannot be read from
    a shape (only its product could), and stays 4×8.

    Raises InputError where the shapes are of no possible network.
    """

    def last(name: str, default: int) -> int:
        shape = variables[name].shape if name in variables else ()
        return int(shape[-1]) if shape else default

    deeplab, flow, decision = DeepLabFastConfig(), FlowNet2sConfig(), DecisionConfig()
    units = [{name for name in variables if re.fullmatch(rf"res{n}\w+_branch2a/weights", name)} for n in (2, 3, 4, 5)]
    layers = ("fully_connected", "fully_connected_1", "fully_connected_2")
    blocks = tuple(len(found) or default for found, default in zip(units, deeplab.blocks, strict=True))
    channels = tuple(last(f"FlowNets/conv{n}/weights", default) for n, default in enumerate(flow.channels, start=1))
    hidden = tuple(last(f"decision/{name}/weights", n) for name, n in zip(layers, decision.hidden, strict=True))
    try:
        return DVSNetConfig.cityscapes(
            segmentation=DeepLabFastConfig(
                num_classes=last("fc_out/weights", deeplab.num_classes),
                blocks=cast("tuple[int, int, int, int]", blocks),
                width=last("conv1/weights", deeplab.width),
                head_width=last("fc_oooo/weights", deeplab.head_width),
            ),
            flow=FlowNet2sConfig(channels=cast("tuple[int, int, int, int, int, int]", channels)),
            decision=DecisionConfig(
                conv_width=last("decision/Conv/weights", decision.conv_width),
                hidden=cast("tuple[int, int, int]", hidden),
            ),
        )
    except ValueError as error:
        raise InputError(f"the variables' shapes make no network: {error}") from error
