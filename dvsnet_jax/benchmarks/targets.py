"""Devices that XLA's own compilers build programs for on a machine that has none of them.

A TPU's compiler comes with libtpu (`pip install 'dvsnet-jax[tpu]'`), that of NVIDIA's GPUs with
`pip install 'dvsnet-jax[gpu-compiler]'`, which wants no driver and no cuDNN.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jax

from dvsnet_jax.errors import InputError, first_line

TPUS = {
    "v2": "v2:2x2", "v3": "v3:2x2", "v4": "v4:2x2x1", "v5e": "v5e:2x2", "v5p": "v5p:2x2x1", "v6e": "v6e:2x2",
    "tpu7x": "tpu7x:2x2x1",
}  # fmt: skip
"""Generations, and a topology of each; the program is for some of its devices."""


@dataclass(frozen=True)
class Gpu:
    """What the compiler asks of a GPU, by its data sheet."""

    name: str
    capability: tuple[int, int]
    cores: int
    """Streaming multiprocessors."""
    lanes: int
    """Float32 units of each."""
    memory: int
    """Bytes; so are the caches."""
    bandwidth: int
    """Bytes a second."""
    l2: int
    clock: float
    """GHz."""
    shared: int
    """Of a core, of which a block can have 1 KiB less."""

    def text(self) -> str:
        """As the text of XLA's GpuTargetConfigProto."""
        major, minor = self.capability
        features = "feature_extension: ACCELERATED_FEATURES" if major >= 9 else ""
        return f"""
            gpu_device_info {{
              threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: {1024 if minor == 5 else 2048}
              shared_memory_per_block: 49152 shared_memory_per_core: {self.shared}
              shared_memory_per_block_optin: {self.shared - 1024}
              core_count: {self.cores} fpus_per_core: {self.lanes}
              block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
              thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
              registers_per_core_limit: 65536 registers_per_block_limit: 65536
              memory_bandwidth: {self.bandwidth} l2_cache_size: {self.l2} clock_rate_ghz: {self.clock}
              device_memory_size: {self.memory}
              cuda_compute_capability {{ major: {major} minor: {minor} {features} }}
            }}
            platform_name: "CUDA"
            dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
            device_description_str: "{self.name}"
        """


GPUS = {
    "a100": Gpu("NVIDIA A100-SXM4-80GB", (8, 0), 108, 64, 80 << 30, 2_039_000_000_000, 40 << 20, 1.41, 164 << 10),
    "l4": Gpu("NVIDIA L4", (8, 9), 58, 128, 24 << 30, 300_000_000_000, 48 << 20, 2.04, 100 << 10),
    "h100": Gpu("NVIDIA H100 80GB HBM3", (9, 0), 132, 128, 80 << 30, 3_352_000_000_000, 50 << 20, 1.98, 228 << 10),
    "h200": Gpu("NVIDIA H200 141GB HBM3e", (9, 0), 132, 128, 141 << 30, 4_800_000_000_000, 50 << 20, 1.98, 228 << 10),
}
_WITHOUT_DEVICE = ("--xla_gpu_autotune_level=0", "--xla_gpu_enable_triton_gemm=false")
"""Nothing can be tried out; and tiles of a small float32 product are not found without trying them (jax 0.10.2)."""


@dataclass(frozen=True)
class Target:
    """A device to compile for: `tpu:v5e`, `gpu:h100`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def platform(self) -> str:
        """jax's name of it, to lower for."""
        return "tpu" if self.kind == "tpu" else "cuda"


def parse_targets(names: str) -> list[Target]:
    """Of `tpu:v5e,gpu:h100`; `tpu` or `gpu` alone is all of them. Raises InputError for one that is not known."""
    known: dict[str, Collection[str]] = {"tpu": TPUS, "gpu": GPUS}
    targets = []
    for given in names.split(","):
        kind, _, name = given.strip().partition(":")
        if kind in known and not name:
            targets += [Target(kind, name) for name in known[kind]]
            continue
        if name not in known.get(kind, ()):
            every = ", ".join(f"{kind}:{name}" for kind, group in known.items() for name in group)
            raise InputError(f"{given!r} is no device that can be compiled for; these are: {every}")
        targets.append(Target(kind, name))
    return targets


def prepare_for(targets: list[Target]) -> None:
    """Sets what jax and the compilers read when they first look for devices, unless it is set: this machine's CPU does
    the rest (jax gives up a GPU's plugin that finds no driver, its compiler too), no question to a metadata server, no
    trying out on a GPU. Call it before jax has looked at a device."""
    if not jax.config.jax_platforms:  # type: ignore[attr-defined]  # jax makes it at run time
        jax.config.update("jax_platforms", "cpu")
    if any(target.kind == "tpu" for target in targets):
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # else one process alone may compile
        os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
        os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    if any(target.kind == "gpu" for target in targets):
        flags = os.environ.get("XLA_FLAGS", "")
        missing = [flag for flag in _WITHOUT_DEVICE if flag.partition("=")[0] not in flags]
        os.environ["XLA_FLAGS"] = " ".join(filter(None, (flags, *missing)))


def devices_of(target: Target, count: int = 1) -> list[Any]:
    """So many devices, side by side, that only programs can be compiled for. Raises InputError, in one line, where
    their compiler is missing or refuses."""
    needed, extra = ("libtpu", "tpu") if target.kind == "tpu" else ("jax_cuda12_plugin", "gpu-compiler")
    if importlib.util.find_spec(needed) is None:
        raise InputError(f"{target}: its compiler is not installed; pip install 'dvsnet-jax[{extra}]'")
    from jax.experimental import topologies

    try:
        if target.kind == "tpu":
            topology = topologies.get_topology_desc(platform="tpu", topology_name=TPUS[target.name])
        else:
            topology = topologies.get_topology_desc(
                platform="cuda", topology_name="", topology=f"1x1x{count}", target_config=GPUS[target.name].text()
            )
    except Exception as error:
        raise InputError(f"{target}: the compiler does not take it ({first_line(error)[:200]})") from error
    if len(topology.devices) < count:
        raise InputError(f"{target}: programs can be compiled for {len(topology.devices)} of them, not for {count}")
    return list(topology.devices[:count])
