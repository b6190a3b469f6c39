"""Where the command's weights come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from dvsnet_jax.cli.classes import of_classes
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import option
from dvsnet_jax.cli.screen import tell

if TYPE_CHECKING:
    from dvsnet_jax.checkpoints.bundled import BundledName
    from dvsnet_jax.cli.motion import MotionName
    from dvsnet_jax.config import DVSNetConfig

_SPEC = "NETWORK"
OwnSegmentation = Annotated[
    str | None,
    option(
        _SPEC,
        help="A network of your own, with the --weights that 'dvsnet accelerate' wrote around it: hf:ORG/NAME or a "
        "folder in Hugging Face's layout, torchvision:NAME:WEIGHTS, or FILE.py:FUNCTION. Only the last needs "
        "naming; the weights hold the others.",
    ),
]
NewSegmentation = Annotated[
    str | None,
    option(
        _SPEC,
        help="A network of your own: hf:ORG/NAME or a folder in Hugging Face's layout (config.json, safetensors), "
        "torchvision:NAME:WEIGHTS, or FILE.py:FUNCTION, a function that takes nothing and returns "
        "(SegmentationFunction, parameters) or (PyTorch module, ImageInput).",
    ),
]


def load_weights(
    weights: str | None,
    decision_from: str | None,
    motion: MotionName | None = None,
    segmentation: str | None = None,
    classes: str | None = None,
) -> tuple[Any, DVSNetConfig]:
    """Parameters and their configuration from one of our checkpoints or a TensorFlow checkpoint, on the fly;
    without `weights`, or by the names `street` and `street-large`, those that come with the package for this source of
    motion. None: `street` with its flow network, `street-large` with what it has.

    `segmentation` names the network that the weights were trained around, `classes` the set of classes that its own are
    to be merged into. Raises `InputError` for what is missing, damaged or does not fit.
    """
    params, config = _loaded(weights, decision_from, motion, segmentation)
    return params, config if classes is None else of_classes(config, params, classes)


def _loaded(
    weights: str | None, decision_from: str | None, motion: MotionName | None, segmentation: str | None
) -> tuple[Any, DVSNetConfig]:
    if segmentation is not None and weights is None:
        raise UsageError("--segmentation needs --weights, those that 'dvsnet accelerate' wrote around this network")

    from dvsnet_jax import checkpoints
    from dvsnet_jax.config import OwnSegmentationConfig
    from dvsnet_jax.errors import InputError

    name = checkpoints.bundled_name(weights)
    if segmentation is not None and weights is not None:
        if name is not None:
            raise UsageError(
                f"--segmentation {segmentation}: {name} has a segmentation network of its own; leave one out, or fit "
                f"weights to yours: dvsnet accelerate --segmentation {segmentation}"
            )
        params, config = checkpoints.load_around(weights, segmentation)
        tell_resized(config)
        return params, config
    if weights is None or name is not None:
        if decision_from is not None:
            raise UsageError("--decision-from goes with --weights, a TensorFlow checkpoint without a decision network")
        return load_by_name(name or "street", motion)
    if checkpoints.is_tensorflow(weights):
        return checkpoints.import_tensorflow(weights, decision_from=decision_from)
    if decision_from is not None:
        raise UsageError(
            f"--decision-from {decision_from}: {weights} is no TensorFlow checkpoint, and has a decision network of "
            "its own; leave --decision-from out"
        )
    params, config = checkpoints.load(weights)
    if isinstance(config.segmentation, OwnSegmentationConfig):
        source = config.segmentation.source or "FILE.py:FUNCTION"
        raise InputError(
            f"{weights}: was trained around a network of your own, which a Python file makes; no weights have code "
            f"run by themselves, so name it: --segmentation {source}"
        )
    tell_resized(config)
    return params, config


def load_by_name(name: BundledName, motion: MotionName | None) -> tuple[Any, DVSNetConfig]:
    """Parameters and configuration of weights that come with the package, for this source of motion; None: `street`
    with its flow network, `street-large` with what it has. Raises `UsageError` for a flow network that is not there."""
    from dvsnet_jax import checkpoints

    if motion == "paper" and name == "street-large":
        raise UsageError(
            "--motion paper needs a flow network, and street-large has none, it carries motion that is found outside; "
            "leave it out, or take street"
        )
    paper = motion == "paper" or (motion is None and name == "street")
    return checkpoints.load_bundled("paper" if paper else "carried", name)


def tell_resized(config: DVSNetConfig) -> None:
    """Says so where each region is resized for the segmentation network."""
    function = getattr(config.segmentation, "function", None)
    inputs = getattr(function, "inputs", None)
    if inputs is not None and inputs.size is not None:
        height, width = inputs.size
        tell(
            f"dvsnet: {function} takes images of {height}×{width} alone, so each region is resized to that; choose "
            "--regions that are near it"
        )


def load_seeded(
    weights: str | None, motion: MotionName | None = None, segmentation: str | None = None
) -> tuple[Any, DVSNetConfig]:
    """For measurements of time: those of `weights` or `bundled`, motion as in `load_weights`; without, the paper's
    networks with weights made by a rule, or with carried motion in place of the flow network."""
    from dvsnet_jax import CarriedMotionConfig, DVSNetConfig, LocalDecisionConfig, checkpoints

    if weights is None and segmentation is None:
        config = DVSNetConfig.cityscapes()
        if motion not in (None, "paper"):
            config = config.replace(flow=CarriedMotionConfig(scale_width=16), decision=LocalDecisionConfig())
        return checkpoints.seeded_params(config), config
    return load_weights(None if weights == "bundled" else weights, None, motion, segmentation)
