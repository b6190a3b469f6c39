"""What becomes of the frame step on each platform: does it lower, how large is it, what is it made of; and on platforms
that are here, how long it takes and whether it says the same as float32 on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.exported_program import Run, devices, run_directly, run_program
from dvsnet_jax.benchmarks.multiply_adds import costs
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.export.custom_calls import custom_calls, operations
from dvsnet_jax.export.lowering import check_platforms, lower, lowered_text
from dvsnet_jax.export.step_by_name import named_step
from dvsnet_jax.markdown import Table, markdown_table

_SHOWN = ("convolution", "dot_general", "gather", "while")
"""Kinds of operations with a column of their own."""


@dataclass(frozen=True)
class Portability:
    """One platform and precision. What was not found out is None."""

    platform: str
    precision: str
    multiply_adds: tuple[int, int]
    """Of a frame of every stream, with no region segmented and with all."""
    refused: str | None = None
    """Why it does not lower."""
    program_bytes: int | None = None
    """Of the serialized program, without weights."""
    operations: Mapping[str, int] | None = None
    """How often each kind stands in the program before XLA compiles it."""
    custom_calls: Mapping[str, int] | None = None
    memory: Mapping[str, int] | None = None
    """XLA's own analysis, bytes: arguments, outputs, aliased (outputs in the arguments' place), temporary, code."""
    run: Run | None = None
    failed: str | None = None
    """Why it did not run, though the platform is here."""

    def as_json(self) -> dict[str, Any]:
        return {"what": "portability", **asdict(self)}

    @property
    def peak_bytes(self) -> int | None:
        """What the step holds at once."""
        if self.memory is None:
            return None
        held = self.memory
        return held["arguments"] + held["outputs"] - held["aliased"] + held["temporary"]


def examine(
    params: networks.Params,
    config: DVSNetConfig,
    clip: UInt8[np.ndarray, "time streams height width 3"],
    *,
    platforms: Sequence[str],
    precisions: Sequence[networks.Precision] = ("float32", "bfloat16"),
    progress: Callable[[str], None] = lambda line: None,
) -> list[Portability]:
    """A row for each platform and precision. `clip` is RGB, 0..255; its frames are run where a platform is here, and
    their size and number of streams are what all are lowered for.

    The program that runs is the exported one, read back from its bytes. Raises ValueError for a size that the
    configuration cannot take, InputError for an unknown platform, or where there is no CPU to compare with.
    """
    check_platforms(platforms)
    _, streams, height, width, _ = clip.shape
    present = devices()
    if "cpu" not in present:
        raise InputError("there is no CPU among jax' platforms to compare with; add it to JAX_PLATFORMS, as cuda,cpu")
    progress("float32 on the CPU, the direct call")
    expected = run_directly(params, config, clip, cpu=present["cpu"])
    rows = []
    for precision in precisions:
        prepared = networks.prepare(params, config, precision=precision)
        heavy, *light = (cost.multiply_adds for cost in costs(config, height, width, params=prepared))
        regions = streams * config.num_regions
        counts = (regions * sum(light), regions * (sum(light) + heavy))
        for platform in platforms:
            progress(f"{precision} for {platform}")
            step = named_step(prepared, config, height, width, platforms=[platform], streams=streams)
            try:
                text = lowered_text(step, platform)
                program = bytes(lower(step, [platform]).serialize())
            except Exception as error:
                rows.append(Portability(platform, precision, counts, refused=first_line(error)[:200]))
                continue
            row = Portability(
                platform,
                precision,
                counts,
                program_bytes=len(program),
                operations=dict(operations(text).most_common()),
                custom_calls=dict(custom_calls(text)),
            )
            if platform in present:
                progress(f"{precision} on {platform}")
                try:
                    memory, run = run_program(
                        program, step.weights, step.arguments[1], clip, expected, device=present[platform]
                    )
                    row = replace(row, memory=memory, run=run)
                except Exception as error:  # out of memory, an operation the backend lacks
                    row = replace(row, failed=first_line(error)[:200])
            rows.append(row)
    return rows


def table(rows: Sequence[Portability]) -> str:
    """One markdown table of them."""
    columns = (
        "platform, precision", "lowers", "program", "multiply-adds, none to all", "operations", *_SHOWN, "custom calls",
        "memory", "ms a frame", "segmented", "labels as on the CPU", "scores within", "routes as on the CPU",
    )  # fmt: skip
    return markdown_table(Table(columns, tuple(_cells(row) for row in rows)))


def _cells(row: Portability) -> tuple[str, ...]:
    name = f"{row.platform}, {row.precision}"
    counts = " to ".join(f"{count / 1e9:.4g} G" for count in row.multiply_adds)
    nothing = "–"
    if row.operations is None or row.program_bytes is None:
        return (name, f"no: {row.refused}", nothing, counts, *[nothing] * (8 + len(_SHOWN)))
    calls = ", ".join(f"{name} ×{count}" for name, count in (row.custom_calls or {}).items()) or "none"
    held, run = row.peak_bytes, row.run
    absent = f"failed: {row.failed}" if row.failed else "not here"
    return (
        name,
        "yes",
        f"{row.program_bytes / 1e3:.0f} kB",
        counts,
        str(sum(row.operations.values())),
        *(str(row.operations.get(kind, 0)) for kind in _SHOWN),
        calls,
        nothing if held is None else f"{held / 1e6:.0f} MB",
        *(
            (absent, *[nothing] * 4)
            if run is None
            else (
                f"{run.milliseconds:.1f}",
                f"{run.segmented:.1%}",
                f"{run.labels:.4%}",
                f"{run.scores:.2g}",
                f"{run.routes:.2%}",
            )
        ),
    )
