"""A segmentation network of the user's own, as `--segmentation` names it and as a checkpoint keeps it.

open_network("hf:nvidia/segformer-b0-finetuned-cityscapes-1024-1024")    # or a folder in Hugging Face's layout
open_network("torchvision:deeplabv3_resnet50:WEIGHTS.pth")
open_network("FILE.py:FUNCTION")                                         # runs the file

A checkpoint keeps the first two whole, as configuration and safetensors: `kept_network` builds them again without
running what a file names. Of the third it keeps the weights; its code is the user's, and runs where they name it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dvsnet_jax.checkpoints.own import hugging_face, python_file, torchvision
from dvsnet_jax.checkpoints.own.weight_files import WEIGHTS, read_weights
from dvsnet_jax.config import ImageInput, OwnSegmentationConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks import merge_classes
from dvsnet_jax.protocols import SegmentationFunction

FOLDER = "segmentation"
"""Where a checkpoint keeps it."""


class OwnNetwork(NamedTuple):
    """The network, and how a checkpoint keeps it."""

    function: SegmentationFunction
    params: Any
    stored: OwnSegmentationConfig
    """What stands for it in the checkpoint's configuration."""
    write: Callable[[Path], None] | None
    """Writes its files into an empty folder; None where it cannot be kept: parameters that are no dict of arrays."""


def open_network(spec: str) -> OwnNetwork:
    """The network that `--segmentation` names. Raises InputError, in one line, for what it cannot be made of."""
    kind, _, rest = spec.partition(":")
    if kind == "hf" or Path(spec).is_dir():
        folder = hugging_face.downloaded(rest) if kind == "hf" else Path(spec)
        return _own(spec, *hugging_face.open_folder(folder))
    if kind == "torchvision":
        return _own(spec, *torchvision.open_named(rest, source=spec))
    return _own(spec, *python_file.open_function(spec))


def _own(
    source: str,
    function: SegmentationFunction,
    params: Any,
    inputs: ImageInput | None,
    write: Callable[[Path], None] | None,
) -> OwnNetwork:
    stored = OwnSegmentationConfig(
        num_classes=function.num_classes, classes=function.classes, source=source, inputs=inputs
    )
    return OwnNetwork(function, params, stored, write)


def kept_network(folder: Path, stored: OwnSegmentationConfig) -> OwnNetwork | None:
    """The network that a checkpoint keeps in `folder`; None where it keeps none, or one that only a file of the user's
    makes. Raises InputError as `open_network` does."""
    source = stored.source or ""
    if not folder.is_dir():
        return None
    network = None
    if (folder / hugging_face.CONFIG).is_file():
        network = _own(source, *hugging_face.open_folder(folder, stored=stored))
    elif source.startswith("torchvision:"):
        name, first = source.split(":")[1], None if stored.merged else stored
        network = _own(source, *torchvision.open_named(f"{name}:{folder / WEIGHTS}", source=source, stored=first))
    return with_merged_classes(network, stored.merged, stored.classes) if network else None


def with_merged_classes(network: OwnNetwork, to: Sequence[int] | None, classes: Sequence[str] | None) -> OwnNetwork:
    """The network after its classes were merged (`networks.merge_classes`), to be kept so; as it is where `to` is None.

    Raises InputError where it has another number of classes.
    """
    if to is None or classes is None:
        return network
    try:
        function = merge_classes(network.function, to, classes)
    except ValueError as error:
        raise InputError(f"{network.stored.source}: {error}; name the network that the classes are of") from error
    stored = replace(network.stored, num_classes=len(classes), classes=tuple(classes), merged=tuple(to))
    return network._replace(function=function, stored=stored)


def with_kept_weights(network: OwnNetwork, folder: Path) -> OwnNetwork:
    """`network`, made by the user's code, with the parameters that a checkpoint keeps, where it keeps them.

    Raises InputError where they are not those of this network.
    """
    if network.write is None or not (folder / WEIGHTS).is_file() or (folder / hugging_face.CONFIG).is_file():
        return network
    kept = read_weights(folder / WEIGHTS)
    came, wanted = ({name: tuple(leaf.shape) for name, leaf in each.items()} for each in (kept, network.params))
    if wrong := sorted(name for name in {*came, *wanted} if came.get(name) != wanted.get(name)):
        raise InputError(
            f"{folder / WEIGHTS}: weights of another network than {network.stored.source} makes: {len(wrong)} are "
            f"missing, unknown or of another shape ({', '.join(wrong[:3])}); name the one that it was trained around"
        )
    return network._replace(params=kept)
