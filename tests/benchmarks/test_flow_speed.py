"""The benchmarks of the flow networks and of the correlation: what they run, and what they say of it."""

from __future__ import annotations

import json
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from dvsnet_jax import cli
from dvsnet_jax.benchmarks import flow
from dvsnet_jax.benchmarks.multiply_adds import flow_cost
from dvsnet_jax.flownet_config import FlowNet2Config

NARROW = FlowNet2Config(network="FlowNetS", width=1 / 64)


@pytest.mark.parametrize(
    ("mode", "name", "small", "whats"),
    [
        (
            "correlation", "correlation_rows", {"sizes": ((16, 24),), "channels": 2},
            [f"correlation, {form}{of}" for form in ("shifted", "banded") for of in ("", ", gradient")],
        ),
        ("flow", "network_rows", {"height": 64, "width": 64, "configs": (NARROW,)}, ["FlowNetS"]),
    ],
)  # fmt: skip
def test_the_command_measures_and_prints_each(mode, name, small, whats, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(flow, name, partial(getattr(flow, name), **small))
    out = tmp_path / "rows.jsonl"
    assert cli.main(["measure", "speed", mode, "--repeats", "2", "--json", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["what"] for row in rows] == whats
    assert all(0 < row["min_s"] <= row["median_s"] <= row["max_s"] for row in rows)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [line.split(" | ")[0] for line in printed] == [f"| {what}" for what in whats]
    if mode == "correlation":
        assert {row["input"] for row in rows} == {"16×24"} and all(row["multiply_adds"] is None for row in rows)
        assert all(row["peak_mib"] >= 2 * 3 * 441 * 4 / 2**20 for row in rows[::2])  # the costs themselves
    else:
        assert rows[0]["multiply_adds"] == flow_cost(NARROW, 64, 64).multiply_adds
        assert f"{rows[0]['multiply_adds'] / 1e9:,.1f} G" in printed[0]


def test_every_case_warms_up_and_then_takes_its_turn():
    calls = []

    def noted(name, x):
        jax.debug.callback(lambda: calls.append(name), ordered=True)
        return x + 1

    cases = [(name, "3", partial(noted, name), (jnp.zeros(3),)) for name in "ab"]
    rows = flow.measure(cases, repeats=2)
    jax.effects_barrier()
    assert calls == [*"ab"] * 3 and [row.what for row in rows] == [*"ab"]
