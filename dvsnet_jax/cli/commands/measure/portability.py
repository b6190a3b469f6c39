"""`dvsnet measure portability`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, OptionalPath, option, pair
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.settings import check_size
from dvsnet_jax.cli.weights import OwnSegmentation, load_seeded, load_weights

if TYPE_CHECKING:
    from dvsnet_jax import DVSNetConfig
    from dvsnet_jax.networks import Params, Precision


@dataclass(frozen=True, kw_only=True)
class Portability:
    """Lower the step for other platforms and compare what it gives.

    A row for each platform and precision. Lowering needs none of the platforms; where one is here its program is also
    run, and held against float32 on this CPU: share of equal labels, largest difference of scores, share of equal
    routes. Prints a markdown table.

    With --compile the step is compiled for devices that need not be here, by their own compilers, which say what each
    stage takes: a TPU's in cycles, as it estimates them; of a GPU's program kernels are counted. Nothing is run then.
    """

    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint; the bundled weights if not given."""
    segmentation: OwnSegmentation = None
    seeded: bool = False
    """DeepLab-Fast and FlowNet2-s (or carried motion), with weights made by a rule."""
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
    compile: Annotated[str | None, tyro.conf.arg(metavar="TARGETS")] = None
    """Compile for these instead: tpu:v5e, tpu:v6e, tpu:v5p, gpu:h100, gpu:l4 …, with commas between them; all of the
    TPUs are tpu, all of the GPUs gpu."""
    motion: Annotated[Literal["auto", "paper"] | None, option("{auto,paper}")] = None
    """With --compile, which networks: with the paper's flow network, or auto with motion that the host gives. paper
    where the weights have one, if not given."""
    devices: Count = 1
    """With --compile, deal a frame's regions out over so many devices; the table says what they exchange."""
    against: OptionalPath = None
    """With --compile, the --json of an earlier run: exit status 1 if a stage takes over 5 % more."""
    json: OptionalPath = None
    """Write the rows here, one JSON object a line."""

    def run(self) -> int:
        if self.frames < 2 or self.streams < 1 or (self.seeded and self.weights):
            raise UsageError("--frames is 2 or more, --streams 1 or more, and --seeded does not go with --weights")
        size, precisions = pair("--size", self.size), _precisions(self.precisions)
        assert size is not None
        if self.json:
            from dvsnet_jax.media.atomic import check_folder

            check_folder(self.json)
        if self.compile:
            if (self.input, self.frames, self.platforms) != (None, 10, "cpu,cuda,tpu"):
                raise UsageError(
                    "--compile runs nothing, and names its devices itself; leave out --input, --frames and --platforms"
                )
            return self._compile(self.compile, size, precisions)
        if self.against or self.devices > 1:
            raise UsageError("--against and --devices go with --compile")

        import jax

        from dvsnet_jax.benchmarks import portability
        from dvsnet_jax.benchmarks.exported_program import read_clip

        params, config = self._network(size)
        if config.takes_motion:
            raise UsageError(
                "these weights are given motion with each frame, and here the step is run on frames alone; add "
                "--compile, which runs nothing, or take weights with a flow network"
            )
        rows = portability.examine(
            params,
            config,
            read_clip(self.input, size, frames=self.frames, streams=self.streams),
            platforms=_words(self.platforms),
            precisions=precisions,
            progress=tell,
        )
        print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}; {size[0]}×{size[1]}, {self.streams} stream(s), "
              f"{self.frames} frames, {config.policy}\n\n{portability.table(rows)}")  # fmt: skip
        self._keep(rows)
        return 0

    def _keep(self, rows: Sequence[Any]) -> None:
        if self.json:
            from dvsnet_jax.media.json_lines import JsonLinesWriter

            with JsonLinesWriter(self.json) as file:
                for row in rows:
                    file.write(row.as_json())

    def _network(self, size: tuple[int, int]) -> tuple[Params, DVSNetConfig]:
        if self.seeded:
            params, config = load_seeded(None, self.motion)
        else:
            params, config = load_weights(self.weights, None, self.motion, self.segmentation)
        check_size(config, size)
        return params, config

    def _compile(self, names: str, size: tuple[int, int], precisions: Sequence[Precision]) -> int:
        from dvsnet_jax.benchmarks.targets import parse_targets, prepare_for

        targets = parse_targets(names)
        prepare_for(targets)
        earlier = None
        if self.against:
            from dvsnet_jax.benchmarks.compiled_table import read_rows

            earlier = read_rows(Path(self.against))

        import jax

        from dvsnet_jax.benchmarks.compiled import compile_step
        from dvsnet_jax.benchmarks.compiled_table import table, worse

        params, config = self._network(size)
        rows = compile_step(
            params,
            config,
            *size,
            targets=targets,
            precisions=precisions,
            streams=self.streams,
            devices=self.devices,
            progress=tell,
        )
        print(f"jax {jax.__version__}; {size[0]}×{size[1]}, {self.streams} stream(s); what the compilers say, nothing "
              f"was run\n\n{table(rows)}")  # fmt: skip
        self._keep(rows)
        found = list(worse(rows, earlier)) if earlier else []
        for line in found:
            tell(line)
        return 1 if found or any(row.refused for row in rows) else 0


def _words(text: str) -> list[str]:
    """The names between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _precisions(text: str) -> list[Precision]:
    """`UsageError` for a name that is none."""
    from dvsnet_jax.networks import Precision

    found = _words(text)
    if not found or not {*found} <= {*get_args(Precision)}:
        raise UsageError(f"--precisions is {text!r}; it is float32, bfloat16, or both with a comma between them")
    return found  # type: ignore[return-value]
