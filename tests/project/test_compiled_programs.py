"""What the tests keep of the programs that they compile."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compiling
import jax
import pytest
from jax._src.interpreters import mlir


def test_the_oldest_programs_go_first(tmp_path, monkeypatch):
    for age in range(8):
        program = tmp_path / f"{age}-cache"
        program.write_bytes(bytes(100))
        os.utime(program, (1000 - age, 1000 - age))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    compiling.forget_oldest(800)
    assert len(list(tmp_path.iterdir())) == 8
    compiling.forget_oldest(799)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-cache", "1-cache", "2-cache"]


def test_without_a_place_nothing_is_kept_or_forgotten(monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    compiling.keep_compiled()
    compiling.forget_oldest(0)
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == ""


def test_they_are_kept_outside_the_clone_if_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert compiling.folder() == tmp_path / "home" / "dvsnet-jax" / "tests" / "xla"
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(compiling.tempfile, "gettempdir", lambda: str(tmp_path))
    place = compiling.folder()
    assert place.parent == tmp_path and place.is_dir() and not place.is_relative_to(Path(__file__).parents[2])


def test_devices_are_added_to_the_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--a=1")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    assert compiling.several_devices(4)["XLA_FLAGS"] == "--a=1 --xla_force_host_platform_device_count=4"
    compiling.compile_quickly()
    compiling.compile_quickly()
    assert os.environ["XLA_FLAGS"] == f"{compiling.EMITTERS} --a=1"


def test_a_context_serves_many_programs_of_a_thread(monkeypatch):
    made = []
    monkeypatch.setattr(mlir, "make_ir_context", lambda: made.append(object()) or made[-1])
    monkeypatch.setattr(compiling, "PROGRAMS_A_CONTEXT", 3)
    compiling.share_lowering()
    assert [made.index(mlir.make_ir_context()) for _ in range(4)] == [0, 0, 0, 1]
    with ThreadPoolExecutor(1) as another:
        assert made.index(another.submit(mlir.make_ir_context).result()) == 2
    assert made.index(mlir.make_ir_context()) == 1


@pytest.mark.optimized
def test_a_test_marked_optimized_is():
    assert not jax.config.read("jax_disable_most_optimizations")


def test_others_are_not_on_a_cpu():
    wanted = not compiling.ON_GPU and not os.environ.get("DVSNET_TEST_OPTIMIZED")
    assert jax.config.read("jax_disable_most_optimizations") == wanted
