"""Programs for devices that are not here: what is read out of them, the table, and a stage that got worse."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from tiny import TINY, tiny_params

from dvsnet_jax import checkpoints
from dvsnet_jax.benchmarks import targets
from dvsnet_jax.benchmarks.compiled import A_PASS, OTHER, STAGES, Compiled, read_operations, read_program
from dvsnet_jax.benchmarks.compiled_table import read_rows, table, worse
from dvsnet_jax.benchmarks.exchange import exchange
from dvsnet_jax.benchmarks.targets import Target, parse_targets
from dvsnet_jax.cli import main
from dvsnet_jax.errors import InputError

# As a TPU's compiler writes it: a tuple with numbered elements before the operation's name, a loop, a branch, fusions.
PROGRAM = """HloModule jit_step, is_scheduled=true

%gathers (a: f32[8,4]) -> f32[8] {
  %a = f32[8,4]{1,0:T(8,128)} parameter(0)
  %g.1 = f32[8]{0:T(8)} gather(%a, %a), offset_dims={}
  ROOT %g.2 = f32[8]{0:T(8)} gather(%a, %g.1), offset_dims={}
}

%body.7 (p: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %p = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) parameter(0)
  %c.2 = f32[8,4]{1,0:T(8,128)S(1)} fusion(%p), kind=kOutput, calls=%gathers, metadata={op_name="jit(f)/segmentation/while/body/conv"}, backend_config={"window_config":{},"estimated_cycles":"500"}
  ROOT %t = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) tuple(%c.2, %c.2)
}

%condition.8 (p: (s32[], f32[8,4])) -> pred[] {
  %p = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) parameter(0)
  ROOT %less = pred[]{:T(512)} compare(%p, %p), direction=LT
}

%branch (b: f32[8,4]) -> f32[8,4] {
  %b = f32[8,4]{1,0:T(8,128)} parameter(0)
  ROOT %m = f32[8,4]{1,0:T(8,128)} multiply(%b, %b), metadata={op_name="jit(f)/upsample/cond/branch_0_fun/mul"}, backend_config={"estimated_cycles":"30"}
}

ENTRY %main.9 (x: f32[8,4]) -> f32[8,4] {
  %x = f32[8,4]{1,0:T(8,128)} parameter(0)
  %w.1 = f32[8]{0:T(8)} fusion(%x), kind=kLoop, calls=%gathers, metadata={op_name="jit(f)/warp/gather"}, backend_config={"estimated_cycles":"7"}
  %copy.1 = f32[8,4]{1,0:T(8,128)} copy(%x), backend_config={"estimated_cycles":"11"}
  %while.1 = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}, /*index=2*/f32[8]{0:T(8)}) while(%x), condition=%condition.8, body=%body.7, metadata={op_name="jit(f)/segmentation/while"}
  %k.1 = f32[8]{0:T(8)} custom-call(%x), custom_call_target="library", metadata={op_name="jit(f)/flow/conv"}
  ROOT %if.1 = f32[8,4]{1,0:T(8,128)} conditional(%x, %x), branch_computations={%branch}, metadata={op_name="jit(f)/upsample/cond"}
}
"""  # noqa: E501


class Program:
    """What jax.stages.Compiled has, of the text above."""

    def as_text(self) -> str:
        return PROGRAM

    def memory_analysis(self):
        return jax.jit(lambda x: x + 1).lower(jnp.zeros(4)).compile().memory_analysis()


def test_what_a_tpus_compiler_estimates():
    row = read_program(Program(), Target("tpu", "v5e"), "float32")
    assert row.cycles == dict.fromkeys(STAGES, 0) | {"warp": 7, OTHER: 11, "upsample": 30, A_PASS: 500}
    assert row.light == 48  # a pass of the loop is apart
    assert row.gathers == 2  # those of the loop are apart too
    assert row.kernels is None and row.memory["arguments"] == 16


def test_what_a_gpus_compiler_launches():
    row = read_program(Program(), Target("gpu", "h100"), "float32")
    assert row.kernels == dict.fromkeys(STAGES, 0) | {"warp": 1, OTHER: 1, "flow": 1, "upsample": 1, A_PASS: 1}
    assert (row.light, row.calls, row.copies, row.cycles) == (4, 1, 1, None)


def test_a_real_program_is_read():
    def step(x):
        with jax.named_scope("warp"):
            x = jnp.sort(x)
        with jax.named_scope("segmentation"):
            return jax.lax.while_loop(lambda x: x.sum() < 1e3, lambda x: jnp.sort(x * 2), x)

    operations = list(read_operations(jax.jit(step).lower(jnp.ones(64)).compile().as_text()))
    assert {"warp", "segmentation"} <= {operation.stage for operation in operations}
    repeated = {operation.kind for operation in operations if operation.repeated}
    assert repeated and not any(operation.repeated for operation in operations if operation.stage == "warp")
    assert [operation.kind for operation in operations].count("while") == 1


def rows() -> list[Compiled]:
    cycles = dict.fromkeys((*STAGES, OTHER, A_PASS), 10_000)
    memory = {"code": 5_000_000, "arguments": 1, "outputs": 1, "temporary": 1_000_000}
    return [
        Compiled("tpu:v5e", "float32", 12.0, memory=memory, cycles=cycles, gathers=9),
        Compiled("gpu:h100", "float32", refused="no tile sizes"),
    ]


def test_a_stage_that_got_worse_is_told(tmp_path):
    before = rows()
    file = tmp_path / "before.jsonl"
    file.write_text("".join(json.dumps(row.as_json()) + "\n" for row in before))
    assert read_rows(file) == before
    assert list(worse(before, read_rows(file))) == []

    def changed(**stages: int) -> list[Compiled]:
        return [replace(before[0], cycles=before[0].cycles | stages)]

    assert list(worse(changed(warp=10_400), before)) == []  # within 5 %
    assert list(worse(changed(warp=11_900), before)) == []  # one small operation
    assert list(worse(changed(upsample=12_500, flow=1), before)) == [
        "tpu:v5e, float32: upsample has 12,500 cycles, before 10,000"
    ]
    more = replace(before[0], memory=before[0].memory | {"temporary": 1_100_000})
    assert "temporaries take 1,100,000 bytes, before 1,000,000" in next(iter(worse([more], before)))
    broken = Compiled("tpu:v5e", "float32", refused="too large")
    assert list(worse([broken], before)) == ["tpu:v5e, float32: does not compile any more (too large)"]
    with pytest.raises(InputError, match="has none of tpu:v6e, float32"):
        list(worse([replace(before[0], target="tpu:v6e")], before))
    printed = table(before)
    assert "| tpu:v5e, float32 | 12 | 80,000 cycles |" in printed and "no: no tile sizes" in printed
    file.write_text('{"what": "compiled"')
    with pytest.raises(InputError, match="cannot be read as rows"):
        read_rows(file)


def test_what_devices_exchange():
    text = """
  %g.1 = (f32[4]{0:T(256)}, pred[8,2]{1,0}) all-gather(%a, %b), dimensions={0}
  %s.1 = (u8[1,6,8]{2,1,0:T(8,128)(4,1)}, u8[4,6,8]{2,1,0:T(8,128)(4,1)}) all-gather-start(%c), dimensions={0}
  %d.1 = u8[4,6,8]{2,1,0} all-gather-done(%s.1)
  %r.1 = bf16[10]{0} all-reduce(%e), to_apply=%sum
  %p.1 = (s32[3]{0}, s32[3]{0}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%f)
  %m.1 = f32[9]{0} multiply(%all-reduce.7, %d.1), metadata={op_name="all-gather("}
"""
    found = exchange(text, 4)
    assert found == {
        "all-gather": {"count": 2, "bytes": 16 + 16 + 192},
        "all-reduce": {"count": 1, "bytes": 20},
        "collective-permute": {"count": 1, "bytes": 12},
    }
    one = rows()[0]
    four = replace(one, devices=4, exchange=found)
    assert "| tpu:v5e × 4, float32 |" in table([one, four]) and "2 × all-gather, 0.00 MB; 1 × all-red" in table([four])
    assert "exchange" not in table([one])
    more = replace(four, exchange={"all-gather": {"count": 2, "bytes": 1_000}})
    assert list(worse([more], [four, one])) == ["tpu:v5e × 4, float32: the devices exchange 1,000 bytes, before 256"]
    with pytest.raises(InputError, match="has none of tpu:v5e × 4, float32"):
        list(worse([four], [one]))


def test_targets(monkeypatch):
    assert [str(target) for target in parse_targets("tpu:v5e, gpu:h100")] == ["tpu:v5e", "gpu:h100"]
    assert len(parse_targets("tpu")) == len(targets.TPUS) and parse_targets("gpu")[0].platform == "cuda"
    with pytest.raises(InputError, match="'tpu:v9' is no device that can be compiled for; these are: tpu:v2"):
        parse_targets("tpu:v9")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=2")
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    targets.prepare_for(parse_targets("gpu:l4"))
    assert os.environ["XLA_FLAGS"].split() == ["--xla_gpu_autotune_level=2", "--xla_gpu_enable_triton_gemm=false"]
    assert "TPU_SKIP_MDS_QUERY" not in os.environ
    assert "cuda_compute_capability { major: 8 minor: 9" in targets.GPUS["l4"].text()


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="a TPU's compiler is installed")
def test_a_compiler_that_is_not_installed_is_one_line(capsys):
    assert main(["measure", "portability", "--compile", "tpu:v5e"]) == 1
    error = capsys.readouterr().err
    assert "tpu:v5e: its compiler is not installed; pip install 'dvsnet-jax[tpu]'" in error
    assert main(["measure", "portability", "--against", "earlier.jsonl"]) == 2
    assert main(["measure", "portability", "--devices", "4"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="wants a TPU's compiler: the extra tpu")
def test_compiled_for_a_tpu_twice(tmp_path):
    checkpoints.save(tmp_path / "weights", tiny_params(), TINY)
    command = [
        sys.executable, "-m", "dvsnet_jax", "measure", "portability", "--compile", "tpu:v5e", "--size", "64x96",
        "--precisions", "float32", "--weights", str(tmp_path / "weights"), "--json", str(tmp_path / "rows.jsonl"),
    ]  # fmt: skip
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    first = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert first.returncode == 0, first.stderr
    row = read_rows(tmp_path / "rows.jsonl")[0]
    assert row.cycles["upsample"] > 0 and row.cycles[A_PASS] > 0 and row.gathers > 0
    earlier = tmp_path / "earlier.jsonl"
    halved = {stage: count // 2 for stage, count in row.cycles.items()}
    earlier.write_text(json.dumps(replace(row, cycles=halved).as_json()))
    second = subprocess.run(
        [*command, "--against", str(earlier)], capture_output=True, text=True, env=environment, timeout=900
    )
    assert second.returncode == 1 and "upsample has" in second.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax_cuda12_plugin") is None, reason="wants the extra gpu-compiler")
def test_a_gpu_turns_no_weights_in_a_step():
    """Kernels lie as they are read: in front of the loop that segments there is only what says which regions."""
    code = """
from dvsnet_jax import checkpoints, networks
from dvsnet_jax.benchmarks import compiled
from dvsnet_jax.benchmarks.targets import devices_of, parse_targets, prepare_for
targets = parse_targets("gpu:h100")
prepare_for(targets)
place = devices_of(targets[0])
params, config = checkpoints.load_bundled("carried")
step = compiled._traced(networks.prepare(params, config), config, 360, 480, 1, targets[0], place)
program = step.lower(lowering_platforms=("cuda",)).compile()
print(compiled.read_program(program, targets[0], "float32").kernels["segmentation"])
"""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 5, "with kernels of 1×1 turned it was 42"
