"""`dvsnet info`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import option, pair
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights


@dataclass(frozen=True, kw_only=True)
class Info:
    """List the networks with their parameters and multiply-adds.

    They follow from the configuration alone: nothing is loaded, but for a network of your own.
    """

    weights: Annotated[str | None, option("DIR")] = None
    """A checkpoint, folder or .safetensors, whose networks to list, or street, the package's own; else those of the
    paper (the Cityscapes preset)."""
    segmentation: OwnSegmentation = None
    size: Annotated[str, tyro.conf.arg(metavar="HEIGHTxWIDTH")] = "1024x2048"
    """Of the frames."""
    pair_size: Annotated[str, tyro.conf.arg(metavar="HEIGHTxWIDTH")] = "384x512"
    """Of the image pairs for the FlowNet2 family."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)

    def run(self) -> int:
        size, pair_size = pair("--size", self.size), pair("--pair-size", self.pair_size)
        assert size is not None and pair_size is not None
        if min(pair_size) < 2:
            raise UsageError(f"--pair-size is {self.pair_size}; the smallest pair is 2x2")

        from dvsnet_jax import checkpoints
        from dvsnet_jax.benchmarks.multiply_adds import NetworkCost, costs, flow_cost
        from dvsnet_jax.config import DeepLabV2Config, DVSNetConfig, OwnSegmentationConfig
        from dvsnet_jax.flownet_config import FLOW_NETWORKS, FlowNet2Config
        from dvsnet_jax.video import region_grid

        stored = DVSNetConfig.cityscapes() if self.weights is None else checkpoints.load_config(self.weights)
        params = None
        if self.segmentation is not None or isinstance(stored.segmentation, OwnSegmentationConfig):
            params, stored = load_weights(self.weights, None, segmentation=self.segmentation)
        config = self.settings.apply(stored)
        try:
            grid = region_grid(config, *size)
            listed = costs(config, *size, params=params)
        except ValueError as error:
            raise UsageError(str(error)) from error
        rows, columns = config.regions
        console = Console(highlight=False)
        console.print(
            f"frames of {size[0]}×{size[1]}: {rows}×{columns} regions of {grid.region_height}×{grid.region_width}, "
            f"overlap {config.overlap}; {config.policy}",
            soft_wrap=True,
        )
        self._print(console, "DVSNet, per region", listed)
        regions = grid.num_regions
        each, light = listed[0].multiply_adds, listed[1].multiply_adds + listed[2].multiply_adds
        console.print(
            f"A frame costs {regions * light / 1e9:,.1f} G multiply-adds with nothing segmented and "
            f"{regions * (light + each) / 1e9:,.1f} G with everything: {each / light:,.0f} to 1.",
            soft_wrap=True,
        )
        if self.weights is None:
            others: list[NetworkCost] = [
                costs(config.replace(segmentation=DeepLabV2Config(num_classes=config.num_classes)), *size)[0],
                *(flow_cost(FlowNet2Config(network=network), *pair_size) for network in FLOW_NETWORKS),
            ]
            self._print(console, "other networks", others)
        return 0

    @staticmethod
    def _print(console: Console, title: str, listed: list) -> None:
        table = Table("network", title=title, title_style="bold")
        for heading in ("parameters", "multiply-adds", "per"):
            table.add_column(heading, justify="right")
        for cost in listed:
            table.add_row(cost.network, f"{cost.parameters:,}", f"{cost.multiply_adds / 1e9:,.3f} G", cost.per)
        console.print(table)
