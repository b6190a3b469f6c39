"""How the tests compile: without XLA's dear optimizations, and each program once, kept between the runs.

Compiling was 60 % of the tests' work. Importing this sets the environment that jax reads when it is imported; processes
that tests start inherit it.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

# Of the tiny frame step: 1.0 s of CPU to compile, not 5.4 s; of its networks' gradient 1.3 s, not 7.4 s. It runs about
# as fast. Each alone is less: no optimization 3.2 s, the older emitters 4.6 s.
EMITTERS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
LARGEST_BYTES = 2**30
PROGRAMS_A_CONTEXT = 300
ON_GPU = bool(os.environ.get("DVSNET_TEST_GPU"))


def compile_quickly() -> None:
    """What the environment says already wins. A test marked `optimized` has the optimizations after all."""
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    before = os.environ.get("XLA_FLAGS", "")
    if EMITTERS not in before:  # workers of pytest-xdist have it from their controller
        os.environ["XLA_FLAGS"] = f"{EMITTERS} {before}".strip()


def several_devices(count: int) -> dict[str, str]:
    """What a process's environment needs to have so many devices on the CPU."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    return {"XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}


def folder() -> Path:
    """Outside the clone, which may be fresh each time; a temporary one where the home folder cannot be written."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dvsnet-jax" / "tests" / "xla"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            return home
    except OSError:
        place = Path(tempfile.gettempdir()) / f"dvsnet-jax-tests-{os.getuid()}"
        place.mkdir(mode=0o700, exist_ok=True)
        return place


def keep_compiled() -> None:
    """In JAX_COMPILATION_CACHE_DIR where that is set (empty: nowhere)."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder())
    # Small ones too: an operation on its own takes 14 ms to compile and 7 to be found, with one context 10 and 4.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def share_lowering() -> None:
    """One MLIR context for many programs, not one for each: making it takes a third of the time of a small program.

    It holds on to what it was ever asked for (constants), so it is a new one now and then. Each thread has its own.
    """
    from jax._src.interpreters import mlir

    made, mine = getattr(mlir, "make_ir_context", None), threading.local()

    def context() -> Any:
        used = getattr(mine, "used", 0)
        if used % PROGRAMS_A_CONTEXT == 0:
            mine.context = made()
        mine.used = used + 1
        return mine.context

    if made is not None:
        mlir.make_ir_context = context


def forget_oldest(largest: int = LARGEST_BYTES) -> None:
    """Past `largest` bytes, the oldest programs go until half of that is left.

    JAX's own limit (jax_compilation_cache_max_size) takes a lock and looks at every file for each program it keeps.
    """
    place = os.environ["JAX_COMPILATION_CACHE_DIR"]
    if not place or not Path(place).is_dir():
        return
    files = sorted(((file, file.stat()) for file in Path(place).glob("*-cache")), key=lambda entry: entry[1].st_mtime)
    total = sum(stat.st_size for _, stat in files)
    if total <= largest:
        return
    for file, stat in files:
        if total <= largest // 2:
            break
        file.unlink(missing_ok=True)
        total -= stat.st_size


os.environ.setdefault("JAX_PLATFORMS", "" if ON_GPU else "cpu")
keep_compiled()
if not ON_GPU and not os.environ.get("DVSNET_TEST_OPTIMIZED"):
    compile_quickly()
    share_lowering()
