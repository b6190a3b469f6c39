"""Along which flow the temporal consistency of papers' programs is counted, and in which clips.

In the making of these tests, what the network is given was held against ETC's program (tool/eval_tc.py at 1f946fb and
flownet/FlowNet2.py at 881f73b, read): pictures by ImageNet's mean and deviation, then less their pair's mean, by 255.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_sets
from tiny_files import clip, weights  # noqa: F401

from dvsnet_jax import checkpoints
from dvsnet_jax.cli import main
from dvsnet_jax.datasets.flow.dis import dense_flow
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation import published_flow
from dvsnet_jax.evaluation.clips import label_counts
from dvsnet_jax.evaluation.clips.label_counts import LabelCounts, add_label_counts, published_of
from dvsnet_jax.flow import abstract_flow_params
from dvsnet_jax.flownet_config import FLOWNET2_TF, NVIDIA, FlowConvention, FlowNet2Config
from dvsnet_jax.media.images import read_image
from dvsnet_jax.metrics.published_tc import add_counts, etc_tc, etc_tc_counts
from dvsnet_jax.networks.flownet.flownet2 import normalised


def stored(folder: Path, convention: FlowConvention) -> str:
    config = FlowNet2Config(network="FlowNet2", convention=convention, width=1 / 16)
    rng = np.random.default_rng(0)
    shapes = abstract_flow_params(config)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)
    checkpoints.save(folder / "tiny", params, config)
    return str(folder / "tiny")


@pytest.fixture(scope="module")
def flownet2(tmp_path_factory) -> str:
    return stored(tmp_path_factory.mktemp("flownet2"), NVIDIA)


def test_flownet2_is_given_what_etcs_program_gives_it(flownet2, monkeypatch):
    pictures = clip(2, height=64, width=128)
    seen = []

    def spy(params, first, second, config):
        seen.extend(normalised(first, second, config.convention))
        return first[..., :2], {}

    monkeypatch.setattr(published_flow, "pair_flow", spy)
    with jax.disable_jit():
        published_flow.load_etc_flow(flownet2)(*pictures)
    # By hand: a 57th of what pictures are to the network otherwise.
    usual = (pictures - pictures.mean((0, 1, 2))) / 255
    for given, picture in zip(seen, usual, strict=True):
        np.testing.assert_allclose(given[0], picture / [0.229, 0.224, 0.225] / 255, atol=1e-7)


def test_etcs_row_is_along_flownet2s_flow(weights, flownet2, tmp_path, capsys):  # noqa: F811
    (spec,) = tiny_sets.kitti_step(tmp_path / "set")
    call = ["evaluate", spec, "--weights", weights, "--target", "50", "--keep-labels", "--show", "0"]
    out = tmp_path / "out"
    assert main([*call, "--out", str(out), "--flownet2", flownet2]) == 0
    found = json.loads((out / "results.json").read_text())["dvsnet"]
    flow, counts = published_flow.load_etc_flow(flownet2), []
    for sequence, frames in (("0002", 3), ("0006", 1)):
        for number in range(frames - 1):
            (now, image), (after, next_image) = (
                [
                    read_image(path)
                    for path in (
                        out / "labels" / sequence / f"{each:06d}.png",
                        tmp_path / "set/images/val" / sequence / f"{each:06d}.png",
                    )
                ]
                for each in (number, number + 1)
            )
            counts.append(etc_tc_counts(now[..., 0], after[..., 0], flow(image, next_image), 5))
    assert found["tc_etc_flownet2"] == pytest.approx(etc_tc(add_counts(counts)), abs=1e-12)
    assert found["tc"] is found["tc_etc"] is None
    printed = capsys.readouterr().out
    assert "| TC as ETC's program has it, flow by FlowNet2 as there |" in printed and "inverse search" not in printed
    # An evaluation along another flow is another one.
    assert main([*call, "--out", str(out)]) == 1 and "flownet2" in capsys.readouterr().err
    labels = ["measure", "labels", "--data", spec, "--predicted", str(out / "labels"), "--num-classes", "5"]
    assert main([*labels, "--flownet2", flownet2]) == 0
    printed = capsys.readouterr().out
    assert f"flow by FlowNet2 as there | {found['tc_etc_flownet2']:.2%} |" in printed
    assert "TC as VSPW's program has it, flow by dense" in printed
    assert "TC as ETC's program has it, flow by dense" not in printed


@pytest.mark.parametrize("command", [("evaluate", "street:1:1"), ("measure", "labels", "--data", "vspw:X:val")])
def test_what_does_not_go_together_is_refused(tmp_path, capsys, command):
    predicted = () if command[0] == "evaluate" else ("--predicted", str(tmp_path))
    assert main([*command, *predicted, "--no-consistency", "--flownet2", "x.pth.tar"]) == 2
    assert "--no-consistency leaves out; leave out one" in capsys.readouterr().err


def test_flownet2_of_another_program_is_refused(tmp_path):
    with pytest.raises(InputError, match="flownet2-tf's, but ETC's program takes NVIDIA's"):
        published_flow.load_etc_flow(stored(tmp_path, FLOWNET2_TF))


def test_vspws_program_looks_at_the_first_hundred_videos(monkeypatch):
    flows = published_flow.flows_for(None, vspw=True)
    assert flows == {"vspw": dense_flow, "etc": dense_flow}
    assert published_of(flows, 99) == flows and published_of(flows, 100) == {"etc": dense_flow}
    assert published_of(None, 100) is None
    other = published_flow.flows_for(object(), vspw=True)  # type: ignore[arg-type]
    assert other.keys() == {"vspw", "etc_flownet2"}
    both = [label_counts.LabelledWay(2, published_tc=published_of(flows, number)).counts() for number in (99, 100)]
    total = add_label_counts([LabelCounts(**vars(each)) for each in both])
    assert total.published.keys() == {"vspw", "etc"}


def test_later_videos_are_not_in_vspws_tc(weights, tmp_path, monkeypatch):  # noqa: F811
    (spec,) = tiny_sets.kitti_step(tmp_path / "set")
    for sequence in ("0007", "0006"):  # two frames each, so that there is something to compare
        for number in range(2):
            tiny_sets.picture(tmp_path / f"set/images/val/{sequence}/{number:06d}.png", number + 5)
            tiny_sets.panoptic(tmp_path / f"set/panoptic_maps/val/{sequence}/{number:06d}.png", number, 255, 1)
    call = ["evaluate", spec, "--weights", weights, "--target", "50", "--protocol", "vspw", "--show", "0"]
    monkeypatch.setattr(label_counts, "VSPW_VIDEOS", 1)
    assert main([*call, "--out", str(tmp_path / "some")]) == 0
    assert main([*call, "--out", str(tmp_path / "one"), "--only", "0002"]) == 0
    some, one = (json.loads((tmp_path / each / "results.json").read_text())["dvsnet"] for each in ("some", "one"))
    assert some["tc"] == one["tc"] and some["tc_etc"] != one["tc_etc"]
