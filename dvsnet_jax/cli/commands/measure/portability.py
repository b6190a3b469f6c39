"""`dvsnet measure portability`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalPath, option, pair
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.weights import load_weights


@dataclass(frozen=True, kw_only=True)
class Portability:
    """Lower the step for other platforms and compare what it gives.

    A row for each platform and precision. Lowering needs none of the platforms; where one is here its program is also
    run, and held against float32 on this CPU: share of equal labels, largest difference of scores, share of equal
    routes. Prints a markdown table.
    """

    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint; the bundled weights if not given."""
    seeded: bool = False
    """DeepLab-Fast and FlowNet2-s, with weights made by a rule."""
    size: Annotated[str, tyro.conf.arg(metavar="HEIGHTxWIDTH")] = "360x480"
    """Of the frames."""
    streams: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 1
    """Of the clip, each one frame ahead."""
    frames: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 10
    """2 or more."""
    input: OptionalPath = None
    """A video, folder or list; a drawn street if not given."""
    platforms: Annotated[str, tyro.conf.arg(metavar="NAMES")] = "cpu,cuda,tpu"
    """With commas between them."""
    precisions: Annotated[str, tyro.conf.arg(metavar="NAMES")] = "float32,bfloat16"
    """With commas between them."""
    json: OptionalPath = None
    """Write the rows here, one JSON object a line."""

    def run(self) -> int:
        if self.frames < 2 or self.streams < 1 or (self.seeded and self.weights):
            raise UsageError("--frames is 2 or more, --streams 1 or more, and --seeded does not go with --weights")
        size = pair("--size", self.size)
        assert size is not None

        import jax

        from dvsnet_jax import DVSNetConfig, checkpoints
        from dvsnet_jax.benchmarks import portability
        from dvsnet_jax.benchmarks.exported_program import read_clip
        from dvsnet_jax.media.json_lines import JsonLinesWriter

        if self.seeded:
            config = DVSNetConfig.cityscapes()
            params = checkpoints.seeded_params(config)
        else:
            params, config = load_weights(self.weights, None)
        rows = portability.examine(
            params,
            config,
            read_clip(self.input, size, frames=self.frames, streams=self.streams),
            platforms=self.platforms.split(","),
            precisions=self.precisions.split(","),  # type: ignore[arg-type]
            progress=tell,
        )
        print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}; {size[0]}×{size[1]}, {self.streams} stream(s), "
              f"{self.frames} frames, {config.policy}\n\n{portability.table(rows)}")  # fmt: skip
        if self.json:
            with JsonLinesWriter(self.json) as file:
                for row in rows:
                    file.write(row.as_json())
        return 0
