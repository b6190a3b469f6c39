"""The whole step compiled for devices that are not here, and what its compiler says of each stage.

A TPU's compiler writes what it estimates of nearly every operation, in cycles, into the program; a GPU's says nothing,
but how many kernels, library calls and copies a stage has can be counted. Neither is a measurement. Gathers of a TPU
carry no estimate: how many there are is counted.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
from jax.experimental.layout import Format, Layout
from jax.sharding import SingleDeviceSharding

from dvsnet_jax import networks
from dvsnet_jax.benchmarks.exchange import exchange
from dvsnet_jax.benchmarks.targets import Target, devices_of
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import first_line
from dvsnet_jax.export.step_by_name import named_step
from dvsnet_jax.inference.devices import region_mesh, shapes_over, step_over
from dvsnet_jax.routing import default_chunk

STAGES = ("preprocess", "flow", "decision", "segmentation", "warp", "upsample", "merge")
OTHER = "other"
A_PASS = "one pass"
"""What is in the loop over the regions that are segmented: one turn of it."""

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_OPERATION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = .*?[\])}] ([a-z][\w\-]*)\(")  # what follows the type
_CYCLES = re.compile(r'"estimated_cycles":"(-?\d+)"')
_NAME = re.compile(r'op_name="([^"]*)"')
_BODY = re.compile(r"body=%?([\w.\-]+)")
_CALLED = re.compile(r"(?:to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_NO_KERNEL = frozenset((
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call", "after-all",
    "opt-barrier", "iota", "partition-id", "async-start", "async-done", "async-update", "copy-done",
))  # fmt: skip


@dataclass(frozen=True)
class Compiled:
    """One target and precision. What its compiler does not say is None."""

    target: str
    precision: str
    seconds: float | None = None
    """That compiling took."""
    refused: str | None = None
    """Why it does not compile."""
    memory: Mapping[str, int] | None = None
    """Bytes: code, arguments, outputs, temporary."""
    cycles: Mapping[str, int] | None = None
    """Estimated by a TPU's compiler, by stage, nothing segmented; `A_PASS` is apart."""
    gathers: int | None = None
    """Outside of the loop; a TPU's compiler has no estimate of them."""
    kernels: Mapping[str, int] | None = None
    """Of a GPU, by stage, nothing segmented, copies and library calls among them; `A_PASS` is apart."""
    calls: int | None = None
    """Library calls among them, outside of the loop."""
    copies: int | None = None
    """The same of copies and transposes."""
    devices: int = 1
    """That a frame's regions are dealt out over; everything else is of one of them."""
    exchange: Mapping[str, Mapping[str, int]] | None = None
    """What they tell each other (`benchmarks.exchange`), where there are several."""

    def as_json(self) -> dict[str, Any]:
        return {"what": "compiled", **asdict(self)}

    @property
    def light(self) -> int | None:
        """Cycles or kernels of a frame with nothing segmented."""
        of_stage = self.cycles if self.cycles is not None else self.kernels
        return None if of_stage is None else sum(count for stage, count in of_stage.items() if stage != A_PASS)


def compile_step(
    params: networks.Params,
    config: DVSNetConfig,
    height: int,
    width: int,
    *,
    targets: Sequence[Target],
    precisions: Sequence[networks.Precision] = ("float32",),
    streams: int = 1,
    devices: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Compiled]:
    """A row for each target and precision: the whole step, for frames of this size, its regions over so many devices.

    Raises InputError where a target's compiler is not installed, or regions do not go round, before anything is
    compiled; a program that a compiler refuses is a row that says so. `targets.prepare_for` comes first.
    """
    places = [devices_of(target, devices) for target in targets]
    for each in places:
        region_mesh(each, config, streams=streams)
    rows = []
    for precision in precisions:
        prepared = networks.prepare(params, config, precision=precision)
        for target, place in zip(targets, places, strict=True):
            progress(f"{precision} for {target}")
            traced = _traced if devices == 1 else _traced_over
            began = time.perf_counter()
            try:
                step = traced(prepared, config, height, width, streams, target, place)
                program = step.lower(lowering_platforms=(target.platform,)).compile()
            except Exception as error:
                rows.append(Compiled(str(target), precision, refused=first_line(error)[:200], devices=devices))
                continue
            seconds = round(time.perf_counter() - began, 1)
            rows.append(read_program(program, target, precision, seconds, devices=devices))
    return rows


def _traced(
    prepared: networks.Params, config: DVSNetConfig, height: int, width: int, streams: int, target: Target, place: Any
) -> Any:
    """The step for one device."""
    step = named_step(prepared, config, height, width, platforms=[target.platform], streams=streams)
    only = SingleDeviceSharding(place[0])

    def placed(leaf: Any, form: Any = only) -> Any:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=form)

    # As `networks.prepare`, or `program.load_program`, lays them on such a device.
    orders = step.gpu_orders if target.kind == "gpu" else {}
    forms = {name: Format(Layout(order), only) for name, order in orders.items()}
    weights, *others = step.arguments
    weights = {name: placed(leaf, forms.get(name, only)) for name, leaf in weights.items()}
    return step.jitted.trace(weights, *jax.tree.map(placed, others))


def _traced_over(
    prepared: networks.Params, config: DVSNetConfig, height: int, width: int, streams: int, target: Target, place: Any
) -> Any:
    """The step of which each device has some of the regions."""
    mesh = region_mesh(place, config, streams=streams)
    own = streams * config.num_regions // mesh.size
    config = config.replace(chunk=min(config.chunk or default_chunk(own, target.platform), own))
    return step_over(mesh).trace(*shapes_over(mesh, prepared, config, height, width, streams=streams), config)


def read_program(
    program: Any, target: Target, precision: str, seconds: float | None = None, *, devices: int = 1
) -> Compiled:
    """What a compiled program says of itself."""
    held = program.memory_analysis()
    memory = {
        "code": held.generated_code_size_in_bytes,
        "arguments": held.argument_size_in_bytes,
        "outputs": held.output_size_in_bytes,
        "temporary": held.temp_size_in_bytes,
    }
    text = program.as_text()
    operations = list(read_operations(text))
    outside = [operation for operation in operations if not operation.repeated]
    row: dict[str, Any] = {"target": str(target), "precision": precision, "seconds": seconds, "memory": memory}
    row |= {"devices": devices, "exchange": exchange(text, devices) if devices > 1 else None}
    if target.kind == "tpu":
        cycles = _by_stage((operation, operation.cycles or 0) for operation in operations)
        return Compiled(**row, cycles=cycles, gathers=sum(operation.gathers for operation in outside))
    launched = [operation for operation in outside if operation.kind not in _NO_KERNEL]
    kernels = _by_stage((operation, int(operation.kind not in _NO_KERNEL)) for operation in operations)
    return Compiled(
        **row,
        kernels=kernels,
        gathers=sum(operation.gathers for operation in outside),
        calls=sum(operation.kind.startswith("custom-call") for operation in launched),
        copies=sum(operation.kind in ("copy", "copy-start", "transpose") for operation in launched),
    )


@dataclass(frozen=True)
class Operation:
    """One operation of a compiled program that is carried out by itself."""

    kind: str
    stage: str
    """One of `STAGES`, or `OTHER` where the compiler has lost the name (converted weights, copies)."""
    repeated: bool
    """In a loop's body, which counts once."""
    cycles: int | None
    gathers: int
    """In it, where it is a fusion."""


def read_operations(text: str) -> Iterator[Operation]:
    """Of a compiled program's text, from its entry through loops and branches; of a conditional all branches count."""
    computations, entry = _computations(text)
    gathers = {name: sum(" gather(" in line for line in lines) for name, lines in computations.items()}

    def walk(name: str, repeated: bool) -> Iterator[Operation]:
        for line in computations.get(name, ()):
            operation = _OPERATION.match(line)
            if operation is None:
                continue
            kind, cycles, named = operation.group(1), _CYCLES.search(line), _NAME.search(line)
            parts = named.group(1).split("/") if named else ()
            fused = re.search(r"calls=%?([\w.\-]+)", line)
            inside = gathers.get(fused.group(1), 0) if fused else int(kind == "gather")
            yield Operation(
                kind, next((part for part in parts if part in STAGES), OTHER), repeated,
                int(cycles.group(1)) if cycles else None, inside,
            )  # fmt: skip
            if kind == "while" and (body := _BODY.search(line)):
                yield from walk(body.group(1), True)
            elif kind in ("call", "conditional"):
                listed = _BRANCHES.search(line)
                branches = [b.strip(" %") for b in listed.group(1).split(",")] if listed else _CALLED.findall(line)
                for branch in branches:
                    yield from walk(branch, repeated)

    return walk(entry, False)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    found: dict[str, list[str]] = {}
    entry = ""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith(" ") and (header := _COMPUTATION.match(line)):
            lines = found[header.group(2)] = []
            entry = header.group(2) if header.group(1) else entry
        else:
            lines.append(line)
    return found, entry


def _by_stage(counts: Iterator[tuple[Operation, int]]) -> dict[str, int]:
    total: Counter[str] = Counter(dict.fromkeys((*STAGES, OTHER, A_PASS), 0))
    for operation, count in counts:
        total[A_PASS if operation.repeated else operation.stage] += count
    return dict(total)
