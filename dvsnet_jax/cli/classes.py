"""`--classes`: another set of classes than the segmentation network's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from dvsnet_jax.cli.option_types import option
from dvsnet_jax.cli.screen import tell

if TYPE_CHECKING:
    from dvsnet_jax.checkpoints import OwnNetwork
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.protocols import SegmentationFunction

Classes = Annotated[
    str | None,
    option(
        "cityscapes|FILE",
        help="Merges the classes of a network of your own into Cityscapes' 19: by their names (cityscapes), or as a "
        "JSON or CSV file says, old name to new name. What becomes none of them is void. 'dvsnet accelerate' keeps it "
        "with the weights.",
    ),
]
_SHOWN = 6


def with_classes(network: OwnNetwork, asked: str) -> OwnNetwork:
    """The network that is to be accelerated, its classes merged as `--classes` asks; tells what became of them.

    Raises InputError where that cannot be.
    """
    from dvsnet_jax import checkpoints
    from dvsnet_jax.datasets.cityscapes import CLASSES

    return checkpoints.with_merged_classes(network, _table(network.function, asked), CLASSES)


def of_classes(config: DVSNetConfig, params: Any, asked: str) -> DVSNetConfig:
    """The configuration of weights whose segmentation network's classes are merged as `--classes` asks.

    Raises InputError for a network that is none of the user's own, for weights that keep another map, and for such as
    were trained around the network's own classes and know them.
    """
    import jax

    from dvsnet_jax import SegmentationFunction, networks
    from dvsnet_jax.datasets.cityscapes import CLASSES
    from dvsnet_jax.errors import InputError

    network = config.segmentation
    if not isinstance(network, SegmentationFunction):
        raise InputError(
            f"--classes {asked} is of a network of your own, but these weights have {type(network).__name__}; "
            "leave it out"
        )
    if (kept := networks.merged_classes(network)) is not None:
        if asked == "cityscapes" and network.classes == CLASSES:
            return config  # they are already, and that was told when the weights were made
        raise InputError(
            f"--classes {asked}: the classes of these weights were merged when they were trained ({len(kept)} into "
            f"{network.num_classes}), which cannot be changed any more; leave it out, or run 'dvsnet accelerate' again"
        )
    merged = config.replace(
        segmentation=networks.merge_classes(network, _table(network, asked), CLASSES), class_offsets=()
    )
    wanted = networks.abstract_params(merged).get("flow")
    if [leaf.shape for leaf in jax.tree.leaves(wanted)] != [leaf.shape for leaf in jax.tree.leaves(params.get("flow"))]:
        raise InputError(
            f"--classes {asked}: these weights were trained around the {network.num_classes} classes of the network "
            "itself, and warp each of them its own way; run 'dvsnet accelerate' with --classes"
        )
    return merged


def _table(network: SegmentationFunction, asked: str) -> tuple[int, ...]:
    """What each of the network's classes becomes; told in one line."""
    from dvsnet_jax.datasets.cityscapes import CLASSES
    from dvsnet_jax.datasets.label_sets import read_map, to_cityscapes
    from dvsnet_jax.errors import InputError

    count, names = network.num_classes, network.classes
    if asked == "cityscapes":
        if names is None:
            raise InputError(
                f"--classes cityscapes goes by names, and this network's {count} classes have none; give a file that "
                'says what each becomes, such as {"0": "road", "1": "sky"}'
            )
        to = to_cityscapes(names)
    else:
        to = read_map(asked, names, count)
    void = [name for name, label in zip(names or map(str, range(count)), to, strict=True) if label == 255]
    if len(void) == count:
        raise InputError(f"--classes {asked}: none of the {count} classes ({_some(void)}) becomes one of Cityscapes'")
    none = [name for label, name in enumerate(CLASSES) if label not in to]
    tell(
        f"dvsnet: --classes {asked}: {count - len(void)} of {count} classes became {19 - len(none)} of Cityscapes' 19"
        + (f"; nothing became {_some(none)}" if none else "")
        + (f"; void are {_some(void)}" if void else "")
    )
    return to


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
