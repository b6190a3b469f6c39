"""Networks held against each other at equal frames per second."""

from __future__ import annotations

import json

import pytest

from dvsnet_jax.cli import main


def run_of(path, *, light, each_region, ious, shares=(0.1, 0.5), every, policy="learned", motion=2.0):
    records = [
        {"what": "settings", "weights": "None"},
        {"what": "step time", "nothing": light, "each_region": each_region, "regions": 4, "motion": motion},
        {"what": "run", "policy": "every frame", "share": 1.0, "mean_iou": every},
        {"what": "run", "policy": "first frames only", "share": 0.01, "mean_iou": 0.2},
        *({"what": "at share", "policy": policy, "share": s, "mean_iou": i} for s, i in zip(shares, ious, strict=True)),
        {"what": "at share", "policy": "interval", "share": 0.1, "mean_iou": 0.1},
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.fixture
def runs(tmp_path):
    # 10 ms and 10 for each of four regions: 14, 30, 50 ms; the heavy one 10 and 40: 26, 90, 170 ms.
    light = run_of(tmp_path / "light.jsonl", light=8.0, each_region=10.0, ious=(0.6, 0.68), every=0.7)
    heavy = run_of(tmp_path / "heavy.jsonl", light=8.0, each_region=40.0, ious=(0.7, 0.79), every=0.8)
    return light, heavy


def test_networks_are_held_against_the_first_ones_speed(runs, tmp_path, capsys):
    assert main(["measure", "equal-speed", *runs, "--plot", str(tmp_path / "plot.svg")]) == 0
    printed = capsys.readouterr().out
    assert "| light | 70.0 at 20.0 | 68.0 at 33.3 | 60.0 at 71.4 |" in printed
    assert "| heavy | 80.0 at 5.9 | 79.0 at 11.1 | 70.0 at 38.5 |" in printed
    # By hand: 20 lies (38.46 - 20) / (38.46 - 11.11) = .675 of the way from 70 to 79 %.
    assert "At 20.0 frames/s, light's with every frame segmented, heavy has 76.1%, +6.1 points." in printed
    assert "<svg" in (tmp_path / "plot.svg").read_text()


def test_a_network_that_is_never_so_fast(tmp_path, capsys):
    light = run_of(tmp_path / "light.jsonl", light=8.0, each_region=1.0, ious=(0.6, 0.68), every=0.7)
    slow = run_of(tmp_path / "slow.jsonl", light=98.0, each_region=40.0, ious=(0.7, 0.79), every=0.8)
    assert main(["measure", "equal-speed", light, slow]) == 0
    assert "slow never is that fast" in capsys.readouterr().out


def test_what_cannot_be_compared_is_told(runs, tmp_path, capsys):
    other = run_of(tmp_path / "other.jsonl", light=8.0, each_region=10.0, ious=(0.6, 0.7), shares=(0.2, 0.5), every=0.7)
    (tmp_path / "no.jsonl").write_text("[1]\n")
    (tmp_path / "again").mkdir()
    again = run_of(tmp_path / "again" / "light.jsonl", light=1.0, each_region=1.0, ious=(0.6, 0.7), every=0.7)
    for arguments, said in [
        ([], "no run is named"),
        ([runs[0], other], "different shares"),
        ([runs[0], again], "light: two runs of one name"),
        ([runs[0], str(tmp_path / "no.jsonl")], "is no file of 'dvsnet policies --json'"),
        ([runs[0], str(tmp_path / "missing.jsonl")], "is no file of 'dvsnet policies --json'"),
        ([runs[0], "--policy", "loss"], "has not all of policy loss"),
        ([*runs, "--plot", str(tmp_path / "plot.gif")], "plots are .svg or .png"),
    ]:
        assert main(["measure", "equal-speed", *arguments]) != 0
        assert said in capsys.readouterr().err
