"""Configuration ↔ JSON: there and back the same, and nothing but the known classes on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from dvsnet_jax import config, config_json, flownet_config, own_segmentation, policies
from dvsnet_jax.config import DeepLabFastConfig, DeepLabV2Config, DVSNetConfig
from dvsnet_jax.config_json import from_json, to_json
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import NVIDIA, FlowNet2Config
from dvsnet_jax.protocols import SegmentationFunction

POLICIES = (
    policies.ExpectedConfidence(87.5),
    policies.FrameDifference(4.0),
    policies.FlowMagnitude(2),
    policies.DynamicTarget(98.0, fall=2.0),
    policies.FixedInterval(7),
    policies.AccumulatedLoss(12.5),
    policies.Budget(0.1, regions=6),
    policies.FrameRate(25.0, regions=6),
)


@dataclass(frozen=True)
class MyPolicy(policies.ExpectedConfidence):
    """A user's own."""


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_there_and_back(policy):
    made = DVSNetConfig(
        segmentation=DeepLabFastConfig(num_classes=11, blocks=(3, 4, 6, 3)),
        regions=(1, 3),
        overlap=16,
        policy=policy,
        routing="dense",
        chunk=2,
        input_size=(256, 512),
    )
    back = from_json(json.loads(json.dumps(to_json(made))))
    assert back == made
    assert hash(back) == hash(made)  # tuples, not lists


@pytest.mark.parametrize("biases", [(), ("FlowNetC",), ("FlowNetC", "FlowNetSD")])
def test_other_networks_there_and_back(biases):
    flow = FlowNet2Config(network="FlowNetCS", convention=replace(NVIDIA, upsample_biases=biases), width=0.5)
    made = DVSNetConfig(segmentation=DeepLabV2Config(), flow=flow)
    assert from_json(json.loads(json.dumps(to_json(made)))) == made


def test_a_network_of_ones_own_is_refused():
    mine = DVSNetConfig(segmentation=SegmentationFunction(function=lambda params, images: images, num_classes=3))
    with pytest.raises(InputError, match=r"config\.segmentation is a SegmentationFunction.*your own way"):
        to_json(mine)


def test_the_known_classes_are_ours_and_no_others():
    known = set(config_json._CLASSES)
    assert {"DVSNetConfig", "DeepLabFastConfig", "FlowNet2sConfig", "DecisionConfig", "DynamicTarget"} <= known
    modules = {cls.__module__ for cls in config_json._CLASSES.values()}
    own = {module.__name__ for module in (config, flownet_config, own_segmentation)}
    assert own <= modules
    assert all(name.startswith(f"{policies.__name__}.") for name in modules - own)
    assert {type(policy).__name__ for policy in POLICIES} <= known
    assert not known & {"Policy", "Evidence", "TargetMoves"}


def test_a_field_that_an_older_file_lacks_has_its_default():
    data = to_json(DVSNetConfig(overlap=16))
    del data["routing"], data["segmentation"]["mean"]
    assert from_json(data) == DVSNetConfig(overlap=16)


def test_a_users_own_policy_is_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"config\.policy is a MyPolicy.*config\.replace\(policy="):
        to_json(DVSNetConfig(policy=MyPolicy()))


@pytest.mark.parametrize("mean", [(1.0, 2.0, float("nan")), (1.0, 2.0, float("inf")), (1, 2, np.float32(3))])
def test_only_plain_finite_numbers_are_written(mean):
    with pytest.raises(InputError, match=r"config\.segmentation\.mean\[2\]"):
        to_json(DVSNetConfig(segmentation=DeepLabFastConfig(mean=mean)))


def edit(data, path, value):
    *scopes, leaf = path.split(".")
    for scope in scopes:
        data = data[scope]
    data[leaf] = value


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("version", 2, "newer"),
        ("version", "1", "version"),
        ("version", True, "version"),
        ("version", None, "version"),
        ("type", "Popen", "does not know"),
        ("type", ["DVSNetConfig"], "does not know"),
        ("type", "DecisionConfig", "no field 'segmentation'"),
        ("policy.type", "os.system", "does not know"),
        ("policy.sparkle", 1, "no field 'sparkle'"),
        ("replace", 1, "no field 'replace'"),
        ("policy", {"type": "DecisionConfig"}, "which is not a policies.Policy"),
        ("policy", {"type": "FrameDifference"}, "threshold"),
        ("policy", None, "which is not a"),
        ("policy.target", "90", "which is not a float"),
        ("policy.target", float("nan"), "finite"),
        ("segmentation.num_classes", "19", "which is not a int"),
        ("segmentation.num_classes", 19.5, "which is not a int"),
        ("segmentation.num_classes", True, "which is not a int"),
        ("segmentation.num_classes", 1000, "num_classes is 1000"),
        ("segmentation.blocks", [3, 4, 23], "config.segmentation.blocks"),
        ("segmentation.blocks", "3423", "config.segmentation.blocks"),
        ("segmentation.mean", [1, 2, None], "config.segmentation.mean"),
        ("flow", {"type": "DeepLabFastConfig"}, "config.flow"),
        ("flow", {"type": "FlowNet2Config", "network": "FlowNetX"}, "config.flow.network"),
        ("flow", {"type": "FlowNet2Config", "convention": {"type": "FlowConvention"}}, "config.flow.convention"),
        ("flow", {"type": "FlowNet2Config", "width": -1}, "width is -1"),
        ("routing", "fast", "config.routing"),
        ("chunk", 0, "chunk is 0"),
        ("input_size", [64], "config.input_size"),
        ("overlap", -1, "overlap is -1"),
    ],
)
def test_what_was_edited_is_refused_in_one_line(path, value, says):
    data = to_json(DVSNetConfig())
    edit(data, path, value)
    with pytest.raises(InputError) as error:
        from_json(data)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [None, [], "x", 3, {}, {"version": 1}, {"version": 1, "type": "FixedInterval"}])
def test_what_is_no_configuration_at_all(data):
    with pytest.raises(InputError):
        from_json(data)


def test_another_class_of_ours_is_no_configuration():
    with pytest.raises(InputError, match="FixedInterval, but it must be a DVSNetConfig"):
        from_json({"version": 1, "type": "FixedInterval", "interval": 3})
