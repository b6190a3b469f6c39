"""`dvsnet measure speed`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, Counts, OptionalCount, OptionalPath, option, pair
from dvsnet_jax.cli.run_options import need
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.settings import check_size
from dvsnet_jax.cli.weights import OwnSegmentation, load_seeded

if TYPE_CHECKING:
    from dvsnet_jax.benchmarks.frame_step import Form
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.networks import Params
    from dvsnet_jax.policies import Policy

_KINDS = {"compact": "routing", "dense": "routing", "float32": "precision", "bfloat16": "precision"}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Time the frame step, its stages, whole videos, flow networks.

    Side by side, in one run. frame-step: by regions segmented, and every frame without DVSNet. stages: where the time
    of a frame with nothing segmented goes. region: one region of 576×1088 through DeepLab-Fast, beside PyTorch.
    end-to-end: reading, step, writing, and each alone. flow, correlation: FlowNet2's family at 512×384, and
    correlation's forms. Time does not depend on the weights. Prints markdown tables.
    """

    what: tyro.conf.Positional[
        tuple[Literal["frame-step", "stages", "region", "end-to-end", "flow", "correlation"], ...]
    ] = ("frame-step",)
    """What is timed."""
    size: Annotated[str, tyro.conf.arg(metavar="HEIGHTxWIDTH")] = "1024x2048"
    """Of the frames of frame-step and stages."""
    overlap: OptionalCount = None
    """Of the regions; the weights' if not given."""
    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint's folder, or bundled; seeded ones of the paper's networks if not given."""
    segmentation: OwnSegmentation = None
    motion: Annotated[Literal["auto", "paper"] | None, option("{auto,paper}")] = None
    """Without --weights or with bundled ones: with the paper's flow network, or (auto) with carried motion in its
    place, which the host finds. paper where they have one, if not given."""
    forms: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FORM …")] = ("compact,prepared,float32",)
    """A routing (compact, dense), prepared or trained, float32 or bfloat16, and the number of streams, in any order."""
    input: Annotated[tuple[str, ...], option("INPUT …")] = ()
    """Videos or folders of frames for end-to-end."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of end-to-end."""
    interval: Annotated[Counts, option("FRAMES …")] = ()
    """Policies of end-to-end: segment every so many frames; the weights' own if not given."""
    repeats: Count = 5
    """Of each measurement."""
    peers: OptionalPath = None
    """Folder of deeplab_fast.py, the same network in PyTorch, for region: eval/peers in the repository."""
    json: OptionalPath = None
    """Write the rows here, one JSON object a line."""

    def run(self) -> int:
        need("--forms", self.forms, "compact,prepared")
        if "end-to-end" in self.what and not self.input:
            raise UsageError("end-to-end needs --input, a video or a folder of frames")
        if "region" in self.what and self.peers is None:
            raise UsageError("region needs --peers, the repository's folder eval/peers")
        size = pair("--size", self.size) or (0, 0)
        timed: dict[str, Callable[[], list[Any]]] = {
            "frame-step": partial(self._frame_step, size, [form(text) for text in self.forms]),
            "stages": partial(self._stages, size), "region": self._region, "end-to-end": self._end_to_end,
            "flow": self._flow, "correlation": self._correlation,
        }  # fmt: skip

        import jax

        from dvsnet_jax.media.atomic import check_folder
        from dvsnet_jax.media.json_lines import JsonLinesWriter

        if self.json:
            check_folder(self.json)
        print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, median (fastest–slowest) of {self.repeats}")
        rows: list[Any] = []
        for what in self.what:
            print(f"\n## {what}\n")
            rows += timed[what]()
        if self.json:
            with JsonLinesWriter(self.json) as lines:
                for row in rows:
                    lines.write(row.as_json())
        return 0

    def _weights(self, size: tuple[int, int] | None = None) -> tuple[Params, DVSNetConfig]:
        params, config = load_seeded(self.weights, self.motion, self.segmentation)
        config = config if self.overlap is None else config.replace(overlap=self.overlap)
        if size is not None:
            check_size(config, size)
        return params, config

    def _frame_step(self, size: tuple[int, int], forms: list[Form]) -> list[Any]:
        from dvsnet_jax.benchmarks import frame_step, tables
        from dvsnet_jax.markdown import markdown_table

        timings = frame_step.time_frame_step(
            *self._weights(size), height=size[0], width=size[1], repeats=self.repeats, forms=forms, every_frame=True,
            progress=tell,
        )  # fmt: skip
        rates: dict[str, float] = {
            precision: frame_step.matmul_rate(precision, repeats=self.repeats)
            for precision in {row.form.precision for row in timings}
        }
        said = ", ".join(f"{precision} {2 * rate / 1e9:,.0f} GFLOP/s" for precision, rate in sorted(rates.items()))
        print(
            f"Frames of {size[0]}×{size[1]}; a large product of matrices reaches {said}; "
            f"a copy {frame_step.copy_rate(repeats=self.repeats) / 1e9:,.0f} GB/s, read and written.\n"
        )
        print(markdown_table(tables.step_table(timings, rates)), end="\n\n")
        print("\n".join(tables.fit_lines(timings)), end="\n\n")
        print(markdown_table(tables.gain_table(timings)))
        return timings

    def _stages(self, size: tuple[int, int]) -> list[Any]:
        from dvsnet_jax.benchmarks import stages
        from dvsnet_jax.markdown import markdown_table

        rows = stages.time_stages(*self._weights(size), height=size[0], width=size[1], repeats=self.repeats)
        print(markdown_table(stages.table(rows)))
        return rows

    def _region(self) -> list[Any]:
        from dvsnet_jax.benchmarks import region
        from dvsnet_jax.markdown import markdown_table

        rows = region.time_region(repeats=self.repeats, peers=Path(self.peers or ""), progress=tell)
        print(markdown_table(region.table(rows)))
        return rows

    def _end_to_end(self) -> list[Any]:
        from dvsnet_jax.benchmarks import end_to_end
        from dvsnet_jax.markdown import markdown_table
        from dvsnet_jax.policies import FixedInterval

        params, config = self._weights()
        rows: list[Any] = []
        policies: list[Policy] = [FixedInterval(interval) for interval in self.interval]
        for policy in policies or [config.policy]:
            rows += end_to_end.time_inputs(
                params, config.replace(policy=policy), self.input, precision=self.precision, repeats=self.repeats,
                progress=tell,
            )  # fmt: skip
        print(markdown_table(end_to_end.table(rows)))
        return rows

    def _flow(self) -> list[Any]:
        from dvsnet_jax.benchmarks import flow

        rows = flow.network_rows(repeats=self.repeats)
        print(flow.table(rows))
        return rows

    def _correlation(self) -> list[Any]:
        from dvsnet_jax.benchmarks import flow

        rows = flow.correlation_rows(repeats=self.repeats)
        print(flow.table(rows))
        return rows


def form(text: str) -> Form:
    """`compact,prepared,8` as a `Form`; `UsageError` for a word that is none of those."""
    from dvsnet_jax.benchmarks.frame_step import Form

    found: dict[str, Any] = {}
    for word in text.split(","):
        if word in ("prepared", "trained"):
            found["prepared"] = word == "prepared"
        elif word.isdecimal() and int(word):
            found["streams"] = int(word)
        elif word in _KINDS:
            found[_KINDS[word]] = word
        else:
            raise UsageError(f"--forms: {word!r} of {text!r} is none of {', '.join(_KINDS)}, prepared, trained, 8")
    return Form(**found)
