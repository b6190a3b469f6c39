"""torchvision's segmentation networks by name, with weights from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvsnet_jax.checkpoints.own.weight_files import WEIGHTS, read_state_dict, write_weights
from dvsnet_jax.config import ImageInput, OwnSegmentationConfig
from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.networks import from_torch
from dvsnet_jax.protocols import SegmentationFunction

NAMES = (
    "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet101", "deeplabv3_resnet50", "fcn_resnet101", "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
)  # fmt: skip
_LAST = ("classifier.4.weight", "classifier.low_classifier.weight")
"""Whose first side is the number of classes."""
_STRIDE = 4
"""They enlarge their scores, at ⅛ of the image, to all of it, which is more than is to be warped."""


def open_named(
    rest: str, *, source: str, stored: OwnSegmentationConfig | None = None
) -> tuple[SegmentationFunction, dict[str, Any], ImageInput, Callable[[Path], None]]:
    """The network of `NAME:WEIGHTS`, as `hugging_face.open_folder`. Images are as torchvision's own presets make them.

    WEIGHTS is a state_dict in safetensors or torch's format. Raises InputError.
    """
    name, _, weights = rest.partition(":")
    if name not in NAMES or not weights:
        raise InputError(
            f"--segmentation {source}: expected torchvision:NAME:WEIGHTS, where NAME is one of {', '.join(NAMES)} and "
            "WEIGHTS a file with its state_dict (.safetensors or torch's)"
        )
    from dvsnet_jax.networks.pytorch.importing import environment

    environment()  # says what is missing of torch and torchax
    try:
        from torchvision.models import segmentation
    except Exception as error:  # a torchvision that was not built for this torch fails with RuntimeError
        raise InputError(
            f"--segmentation {source}: torchvision cannot be imported ({first_line(error)}); install the one for this "
            "torch: pip install 'dvsnet-jax[torch,torchvision]'"
        ) from error
    state = read_state_dict(weights)
    state = {key: value for key, value in state.items() if not key.startswith("aux_classifier.")}  # for training
    last = next((state[key] for key in _LAST if key in state), None)
    if last is None:
        raise InputError(f"{weights}: is no state_dict of {name}; it has none of {', '.join(_LAST)}")
    module = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=last.shape[0])
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{weights}: does not fit {name}: {line}") from error
    inputs = ImageInput.imagenet()
    classes = stored.classes if stored else _voc(segmentation, last.shape[0])
    network, params = from_torch(module, inputs, classes=classes, stride=_STRIDE)

    def write(folder: Path) -> None:
        write_weights(folder / WEIGHTS, {key: value.numpy() for key, value in module.state_dict().items()})

    return network, params, inputs, write


def _voc(segmentation: Any, count: int) -> tuple[str, ...] | None:
    """The names of Pascal VOC's 21 classes, which torchvision's own weights are for."""
    names = segmentation.FCN_ResNet50_Weights.DEFAULT.meta["categories"]
    return tuple(names) if len(names) == count else None
