"""`dvsnet export`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from dvsnet_jax.cli.classes import Classes
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.motion import carried
from dvsnet_jax.cli.option_types import OptionalPath, OptionalSize, option, pair
from dvsnet_jax.cli.precision import check_precision
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the frame step as one program, or weights as safetensors.

    The program has its weights in it; 'dvsnet segment --program' runs it without the networks' source.
    """

    out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
    """File to write, such as street.dvsnet or street.safetensors."""
    format: Literal["program", "safetensors"] = "program"
    """safetensors has the weights alone, for --weights and for other programs; of what follows only --weights,
    --segmentation, --decision-from and --motion count then."""
    size: OptionalSize = None
    """Of the frames; a program needs it."""
    platforms: Annotated[str, option("NAMES")] = "cpu,cuda,tpu"
    """What it is to run on, of cpu, cuda, rocm and tpu; none of them needs to be here."""
    streams: Annotated[str, option("COUNT")] = "any"
    """How many videos step together, or any."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the segmentation network; bfloat16 is for GPU and TPU."""
    weights: Annotated[str | None, option("PATH", "--restore-from")] = None
    """Checkpoint folder, .safetensors, or a TensorFlow checkpoint of the original; street-large, the heavier ones that
    come with the package; if not given, the lighter ones, street."""
    segmentation: OwnSegmentation = None
    classes: Classes = None
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network, where --weights is one without."""
    motion: Literal["auto", "network", "paper"] = "auto"
    """Where motion comes from. network: a search inside the program. paper: the paper's flow network inside it. auto:
    as the weights have it; the bundled ones carry motion that is given to the program with each frame."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)

    def run(self) -> int:
        if self.format == "safetensors":
            return self._as_safetensors()
        if self.out.endswith(".safetensors"):
            raise UsageError(
                f"{self.out} is called as weights are, but a program was asked for; add --format safetensors, or "
                "choose another name, such as street.dvsnet"
            )
        size = pair("--size", self.size)
        if size is None:
            raise UsageError("a program is for frames of one size; add --size, such as --size 1024x2048")
        if self.streams != "any" and not (self.streams.isdecimal() and int(self.streams)):
            raise UsageError(f"--streams is {self.streams!r}; it is any, or a number from 1 on")

        from pathlib import Path

        from dvsnet_jax.export import export_program

        params, config = load_weights(self.weights, self.decision_from, self.motion, self.segmentation, self.classes)
        config = carried(self.motion, config)
        check_precision(config, self.precision)
        manifest = export_program(
            self.out,
            params,
            self.settings.apply(config),
            height=size[0],
            width=size[1],
            platforms=[name.strip() for name in self.platforms.split(",") if name.strip()],
            streams=None if self.streams == "any" else int(self.streams),
            precision=self.precision,
        )
        streams = {None: "any number of streams", 1: "one stream"}.get(
            manifest["streams"], f"{manifest['streams']} streams"
        )
        tell(
            f"{self.out}: {Path(self.out).stat().st_size / 1e6:.1f} MB for {', '.join(manifest['platforms'])}, frames "
            f"of {size[0]}×{size[1]}, {streams}, calling convention {manifest['calling_convention_version']}"
        )
        return 0

    def _as_safetensors(self) -> int:
        if self.classes is not None:
            raise UsageError("--format safetensors has no segmentation network of your own; leave out --classes")
        settled = (self.size, self.platforms, self.streams, self.precision, self.settings)
        if settled != (None, "cpu,cuda,tpu", "any", "float32", Settings()):
            raise UsageError(
                "--format safetensors has weights and their own configuration, whatever the frames; leave out --size, "
                "--platforms, --streams, --precision, and --policy and the like"
            )

        from dvsnet_jax import SegmentationFunction, checkpoints
        from dvsnet_jax.checkpoints.store import KEPT, place_of

        params, config = load_weights(self.weights, self.decision_from, self.motion, self.segmentation)
        config = carried(self.motion, config)
        size = checkpoints.save_safetensors(self.out, params, config)
        own = isinstance(config.segmentation, SegmentationFunction)
        table = self.weights is not None and (place_of(self.weights) / KEPT).is_file()
        tell(
            f"{self.out}: {size / 1e6:.1f} MB of weights with their configuration"
            + (", without the segmentation network of your own; name it again with --segmentation" if own else "")
            + (f"; {KEPT}, by which 'dvsnet segment --keep' goes, is not in it" if table else "")
        )
        return 0
