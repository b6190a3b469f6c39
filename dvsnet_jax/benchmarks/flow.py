"""Time and memory of the flow networks and of the correlation's forms, side by side in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax.benchmarks.multiply_adds import flow_cost
from dvsnet_jax.checkpoints.seeded import seeded_array
from dvsnet_jax.flownet_config import FlowNet2Config, FlowNetwork
from dvsnet_jax.networks.flownet.flownet2 import abstract_flow_params, pair_flow
from dvsnet_jax.ops.correlation import correlation

FAMILY = tuple(FlowNet2Config(network=network) for network in get_args(FlowNetwork))


@dataclass(frozen=True)
class Row:
    """One line of a table. Memory is what the compiler assigns: arguments are not counted, results are."""

    what: str
    input: str
    median_s: float
    min_s: float
    max_s: float
    peak_mib: float
    multiply_adds: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(cases: Sequence[tuple[str, str, Callable[..., Any], tuple[Any, ...]]], repeats: int) -> list[Row]:
    """Times of `(what, input, function, arguments)`, the repeats going round all cases; the first round warms up."""
    compiled = [jax.jit(function).lower(*arguments).compile() for _, _, function, arguments in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    for repeat in range(repeats + 1):
        for index, (_, _, _, arguments) in enumerate(cases):
            started = time.perf_counter()
            jax.block_until_ready(compiled[index](*arguments))
            if repeat:
                seconds[index].append(time.perf_counter() - started)
    rows = []
    for (what, size, _, _), program, times in zip(cases, compiled, seconds, strict=True):
        memory: Any = program.memory_analysis()
        peak = (memory.temp_size_in_bytes + memory.output_size_in_bytes) / 2**20
        rows.append(Row(what, size, statistics.median(times), min(times), max(times), peak))
    return rows


def correlation_rows(
    sizes: Sequence[tuple[int, int]] = ((384, 512), (436, 1024), (1024, 2048)), *, channels: int = 256, repeats: int = 3
) -> list[Row]:
    """Each form of FlowNetC's correlation, forward and with its gradient, for images of these sizes (maps at ⅛)."""
    cases: list[tuple[str, str, Callable[..., Any], tuple[Any, ...]]] = []
    for height, width in sizes:
        rng = np.random.default_rng(0)
        maps = [
            jnp.asarray(rng.standard_normal((1, -(-height // 8), -(-width // 8), channels)), jnp.float32)
            for _ in range(2)
        ]
        for form in ("shifted", "banded"):
            forward = partial(correlation, form=form)
            gradient = jax.grad(lambda a, b, forward=forward: jnp.square(forward(a, b)).sum(), argnums=(0, 1))
            cases.append((f"correlation, {form}", f"{height}×{width}", forward, tuple(maps)))
            cases.append((f"correlation, {form}, gradient", f"{height}×{width}", gradient, tuple(maps)))
    return measure(cases, repeats)


def network_rows(
    height: int = 384, width: int = 512, *, configs: Sequence[FlowNet2Config] = FAMILY, repeats: int = 3
) -> list[Row]:
    """Each network, by default those of the family, on one pair of images of this size, seeded weights."""
    images = [
        jnp.asarray(np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), np.uint8)) for seed in (0, 1)
    ]
    rows = []
    for config in configs:
        seeded = jax.tree.map_with_path(
            lambda path, leaf: seeded_array("/".join(str(key.key) for key in path), leaf.shape),
            abstract_flow_params(config),
        )
        params = jax.device_put(seeded)

        def flow(params: Any, first: Any, second: Any, config: FlowNet2Config = config) -> Any:
            return pair_flow(params, first, second, config)[0]

        # one network at a time: their weights are 0.65 GB together with FlowNet2's
        (row,) = measure([(config.network, f"{height}×{width}", flow, (params, *images))], repeats)
        rows.append(Row(**{**row.as_json(), "multiply_adds": flow_cost(config, height, width).multiply_adds}))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as a markdown table."""
    lines = ["| what | images | ms | peak memory, MiB | multiply-adds |", "|---|---|---|---|---|"]
    for row in rows:
        cost = f"{row.multiply_adds / 1e9:,.1f} G" if row.multiply_adds else ""
        lines.append(
            f"| {row.what} | {row.input} | {1e3 * row.median_s:,.0f} ({1e3 * row.min_s:,.0f}–{1e3 * row.max_s:,.0f}) | "
            f"{row.peak_mib:,.0f} | {cost} |"
        )
    return "\n".join(lines)
