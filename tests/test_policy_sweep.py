"""Policies compared at equal share: the simulation is the frame step, the search finds the share, the command runs."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video
from tiny_files import weights  # noqa: F401

from dvsnet_jax import (
    DVSNetConfig,
    FixedInterval,
    FlowFunction,
    FlowMagnitude,
    FlowOutput,
    FrameDifference,
    SegmentationFunction,
    init_state,
    networks,
    segment_frame,
)
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.labelled_clips import LabelledClip, labelled_clips
from dvsnet_jax.evaluation.policy_measurement import SegmentedClip, measure, segment_clips
from dvsnet_jax.evaluation.policy_simulation import POLICIES, segmented, setting, simulate
from dvsnet_jax.evaluation.policy_sweep import Point, nearest_intervals, next_threshold, sweep
from dvsnet_jax.media.images import write_png
from dvsnet_jax.training.agreement import pair_samples

FRAMES = 7


class Choice(NamedTuple):
    """State of `AnyOf`, given to it from outside, but for the age."""

    policy: jax.Array
    number: jax.Array
    age: jax.Array
    route: jax.Array


@dataclass(frozen=True)
class AnyOf:
    """Each policy that the frame step has, or a given route: one compiled program for all of them."""

    policies = ("difference", "flow", "interval", "routes")

    def init(self, regions):
        zeros = jnp.zeros(regions, jnp.float32)
        return Choice(zeros.astype(jnp.int32), zeros, FixedInterval(3).init(regions), zeros > 0)

    def decide(self, state, evidence):
        difference, _ = FrameDifference(0).decide(state.number, evidence)
        flow, _ = FlowMagnitude(0).decide(state.number, evidence)
        interval, age = FixedInterval(3).decide(state.age, evidence)
        decided = jnp.stack([difference, flow, interval, state.route])
        return decided[state.policy, jnp.arange(len(state.policy))], state._replace(age=age)

    def targets(self, state):
        return state.number


@cache
def tiny_video() -> list[SegmentedClip]:
    """A clip of 75×100 (the regions are padded), its labels those of the network."""
    frames = video(FRAMES, height=75, width=100)[:, 0]
    rng = np.random.default_rng(3)
    clip = LabelledClip(
        "tiny", [LabelledImage(frame, rng.integers(0, 5, frame.shape[:2], np.uint8)) for frame in frames]
    )
    return with_own_truth(segment_clips(tiny_params(), [clip], config=TINY))


def with_own_truth(clips: list[SegmentedClip]) -> list[SegmentedClip]:
    """The clips, segmenting every frame of which is right everywhere."""
    return [clip._replace(truth=np.stack([frame.merged for frame in clip.frames])) for clip in clips]


@cache
def seen(policy: str) -> np.ndarray:
    """What the policy goes by in a run that segments nothing after the first frame, in order."""
    _, urgency = measure(tiny_params(), tiny_video(), policy, np.inf, config=TINY)
    return np.unique(getattr(urgency, policy))


def middle(policy: str, part: float = 0.5) -> float:
    """A threshold that sends regions both ways."""
    values = seen(policy)
    place = int(part * (len(values) - 2))
    return float(np.float32((values[place] + values[place + 1]) / 2))


def run(policy: str, threshold: float):
    (clip,) = tiny_video()
    return simulate(tiny_params(), clip.frames, policy, threshold, clip.draws, config=TINY)


def by_the_frame_step(policy: str, threshold: float, routes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and routes by `segment_frame`, whose policies keep their numbers in their state."""
    clip = video(FRAMES, height=75, width=100)
    config = TINY if policy == "learned" else TINY.replace(policy=AnyOf())
    state, results = init_state(tiny_params(), clip[0], config=config), []
    for frame, route in zip(clip, routes, strict=True):
        number = jnp.full(len(route), setting(policy, threshold), jnp.float32)
        if policy == "learned":
            state = state._replace(policy=number)
        else:
            # random and oracle exist in the simulation alone: the frame step follows their routes
            place = AnyOf.policies.index(policy if policy in AnyOf.policies else "routes")
            chosen = Choice(jnp.full(len(route), place), number, state.policy.age, jnp.asarray(route))
            state = state._replace(policy=chosen)
        # the first frame resets the policy: what counts is what it is given from the second on
        state, result = segment_frame(tiny_params(), state, frame, config=config)
        results.append(jax.device_get((result.labels[0], result.segmented[0])))
    labels, segmented = zip(*results, strict=True)
    return np.stack(labels), np.stack(segmented)


# --- the simulation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_equals_the_frame_step(policy):
    threshold = 2.0 if policy == "interval" else middle(policy)
    simulated = run(policy, threshold)
    labels, segmented = by_the_frame_step(policy, threshold, simulated.segmented)
    assert 0 < segmented[1:].sum() < segmented[1:].size
    np.testing.assert_array_equal(simulated.segmented, segmented)
    np.testing.assert_array_equal(simulated.labels, labels)


@cache
def own_networks() -> DVSNetConfig:
    """Brightness is the class, and nothing moves: warping repeats the key frame."""

    def segmentation(params, images):
        grey = images[:, ::8, ::8].mean(-1)
        return jnp.stack([grey < 128, grey >= 128], -1).astype(jnp.float32)

    def flow(params, current, key):
        n, h, w, _ = current.shape
        size = (n, h // 4, w // 4)
        return FlowOutput(jnp.zeros((*size, 2)), jnp.ones((*size, 2)), jnp.zeros((n, 1, 1, 4)))

    return DVSNetConfig(
        segmentation=SegmentationFunction(function=segmentation, num_classes=2),
        flow=FlowFunction(function=flow, feature_channels=4),
        decision=TINY.decision,
        overlap=0,
    )


@cache
def own_params():
    return networks.init_params(jax.random.key(0), own_networks())


def test_the_oracle_knows_the_agreement_with_the_key_frame():
    config, params = own_networks(), own_params()
    frames = np.random.default_rng(0).integers(0, 256, (3, 80, 100, 3), np.uint8)  # padded to 96×128
    clip = [segmented(params, frame, config=config) for frame in frames]
    simulated = simulate(params, clip, "interval", 1.5, np.zeros((3, 4)), config=config)  # the third is a key frame
    assert simulated.segmented.all(1).tolist() == [True, False, True]
    sample = pair_samples(params, np.stack([frames[0]] * 2), frames[1:], config=config)
    agreement = np.asarray(sample.confidence)
    np.testing.assert_allclose(-simulated.urgency.oracle.ravel(), agreement, atol=1e-3)
    assert 10 < agreement.min() < agreement.max() < 95


def test_policies_and_thresholds_are_compiled_once():
    from dvsnet_jax.evaluation import policy_simulation

    run("learned", -50.0)
    compiled = policy_simulation._step._cache_size()
    run("oracle", -70.0)
    run("interval", 2.0)
    assert policy_simulation._step._cache_size() == compiled


@pytest.mark.parametrize("policy", POLICIES)
def test_share_falls_as_the_threshold_rises(policy):
    thresholds = [-np.inf, *(middle(policy, part) for part in (0, 0.25, 0.5, 0.75, 1)), np.inf]
    shares = [run(policy, threshold).segmented.mean() for threshold in thresholds]
    assert shares[0] == 1 and shares[-1] == pytest.approx(1 / FRAMES)
    assert shares == sorted(shares, reverse=True)


def test_random_draws_are_the_seeds():
    (clip,) = tiny_video()
    frames = [
        LabelledImage(frame, np.zeros(frame.shape[:2], np.uint8)) for frame in video(2, height=75, width=100)[:, 0]
    ]
    again, other = (
        segment_clips(tiny_params(), [LabelledClip("tiny", frames)], config=TINY, seed=seed)[0].draws for seed in (0, 1)
    )
    np.testing.assert_array_equal(again, clip.draws[:2])
    assert not np.array_equal(again, other)


# --- the sweep --------------------------------------------------------------------------------------------------------


def test_sweep_finds_the_shares():
    runs = []
    shares = (0.3, 0.5, 0.75)
    result = sweep(tiny_params(), tiny_video(), config=TINY, shares=shares, tolerance=0.02, on_run=runs.append)
    assert result.every.share == 1 and result.every.mean_iou == 1 and result.every.agreement == 1
    assert list(result.policies) == list(POLICIES)
    for policy in POLICIES:
        measured = [run for run in runs if run.policy == policy]
        assert len(measured) <= 3 * 8
        for share, line in zip(shares, result.policies[policy], strict=True):
            assert line.share == share and 0 < line.mean_iou <= 1 and 0 < line.agreement <= 1
            if policy != "interval":  # which refreshes whole frames: it has few shares
                assert min(abs(run.share - share) for run in measured) <= 1 / 28
        assert measured[0].as_json()["policy"] == policy


def test_nearest_intervals():
    """Of 10 frames every 5th to 9th is a share of 0.2, of which the 5th lies the most evenly; every 4th is 0.3."""
    assert nearest_intervals([10], 0.25) == (5, 4)
    assert nearest_intervals([10], 0.2) == (5, 4)
    assert nearest_intervals([10, 10], 0.9) == (2, 1)
    assert nearest_intervals([101], 0.05) == (21, 17)


def test_next_threshold():
    seen = np.arange(10.0)
    low, high = Point(-np.inf, 1.0, seen), Point(np.inf, 0.1, seen)
    assert next_threshold([high, low], 0.5, 0.01) == 5.5
    assert next_threshold([high, low, Point(4.5, 0.505, seen)], 0.5, 0.01) is None
    assert 4.5 < next_threshold([high, low, Point(4.5, 0.6, seen)], 0.5, 0.01) < 9
    assert 0 < next_threshold([high, low, Point(4.5, 0.4, seen)], 0.5, 0.01) < 4.5
    assert next_threshold([Point(3.5, 0.6, seen), Point(3.9, 0.4, seen)], 0.5, 0.01) is None  # no value in between


def test_the_oracle_is_not_worse_than_chance():
    """One region of four flickers: the oracle segments that one alone, chance any."""
    config, params = own_networks(), own_params()
    frames = np.zeros((12, 80, 100, 3), np.uint8)
    frames[1::2, :48, :64] = frames[:, 48:] = 255
    clip = LabelledClip("made", [LabelledImage(frame, frame[..., 0] // 255) for frame in frames])
    prepared = with_own_truth(segment_clips(params, [clip], config=config))
    result = sweep(params, prepared, config=config, shares=(0.2, 0.3), policies=("oracle", "random"))
    oracle, chance = result.policies["oracle"], result.policies["random"]
    assert all(a.mean_iou >= b.mean_iou for a, b in zip(oracle, chance, strict=True))
    assert oracle[1].mean_iou > chance[1].mean_iou
    right, _ = measure(params, prepared, "oracle", -99.0, config=config)
    assert right.mean_iou == 1 and right.share == pytest.approx((4 + 11) / 48)


# --- clips ------------------------------------------------------------------------------------------------------------


def write_video(root: Path, frames: np.ndarray, labels: np.ndarray, first: int = 0) -> str:
    for folder, pictures in (("frames", frames), ("labels", labels)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index, picture in enumerate(pictures):
            write_png(root / folder / f"drive_{first + index:04d}.png", picture)
    return f"folder:{root / 'frames'}:{root / 'labels'}"


def test_labelled_clips_are_chosen_by_name_and_scaled(tmp_path):
    frames = video(3, height=64, width=96)[:, 0]
    spec = write_video(tmp_path, frames, frames[..., 0] % 5)
    write_video(tmp_path, frames[:2], frames[:2, ..., 0] % 5, first=100)
    assert [(clip.name, len(clip.frames)) for clip in labelled_clips(spec)] == [("drive_0000", 3), ("drive_0100", 2)]
    (clip,) = labelled_clips(f"{spec}@0.5", only=["drive_00"], scale=0.5)
    assert clip.frames[0].image.shape == (16, 24, 3) and clip.frames[0].labels.shape == (16, 24)
    with pytest.raises(InputError, match="no frame's name begins with drive_7; they are called like drive_0000"):
        labelled_clips(spec, only=["drive_7"])
    with pytest.raises(InputError, match="no two of its 1 frames"):
        labelled_clips(spec, only=["drive_0002"])
    with pytest.raises(InputError, match="no file names"):
        labelled_clips("street:2:0")


# --- the command ------------------------------------------------------------------------------------------------------


def policies_command():
    path = Path(__file__).parent.parent / "eval" / "policies.py"
    spec = importlib.util.spec_from_file_location("eval_policies", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_command(tmp_path, weights, capsys):  # noqa: F811
    frames = video(5, height=75, width=100)[:, 0]
    data = write_video(tmp_path, frames, frames[..., 0] % 5)
    out = tmp_path / "policies.jsonl"
    arguments = ["--weights", weights, "--data", data, "--json", str(out), "--runs", "3"]
    assert policies_command()([*arguments, "--shares", "0.3", "0.4", "0.5", "0.6", "0.8"]) == 0
    printed, progress = capsys.readouterr()
    assert "5 frames, 1 clip" in printed and "5 of 5 frames segmented" in progress
    tables = [line for line in printed.splitlines() if line.startswith("|")]
    assert sum(line.startswith("| expected confidence |") for line in tables) == 3
    assert sum(line.startswith("| every frame (100%) |") for line in tables) == 1
    assert {line.count("|") for line in tables} == {7}
    settings, *records = map(json.loads, out.read_text().splitlines())
    assert settings["frames"] == 5 and settings["data"] == data
    assert sum(record["what"] == "at share" for record in records) == 5 * len(POLICIES)
    assert {record["policy"] for record in records} == {*POLICIES, "every frame", "first frames only"}


def test_command_errors(tmp_path, weights, capsys):  # noqa: F811
    frames = video(2, height=75, width=100)[:, 0]
    main = policies_command()

    def message(data: str, *more: str) -> str:
        assert main(["--weights", weights, "--data", data, *more]) == 1
        return capsys.readouterr().err.splitlines()[-1]

    void = write_video(tmp_path / "void", frames, np.full(frames.shape[:3], 255, np.uint8))
    assert "every label is void" in message(void)
    camvid = tmp_path / "camvid"
    for folder, pictures in (("val", frames), ("valannot", np.full(frames.shape[:3], 8, np.uint8))):
        (camvid / folder).mkdir(parents=True)
        for index, picture in enumerate(pictures):
            write_png(camvid / folder / f"0001TP_{index:06d}.png", picture)
    assert "there are labels 13, but these weights know the classes 0 to 4" in message(f"camvid:{camvid}:val")
    good = write_video(tmp_path / "good", frames, np.ones(frames.shape[:3], np.uint8))
    assert "share 0.2: expected more than 0.5000" in message(good, "--shares", "0.2")
    assert "smallest" in message(good, "--scale", "0.5")
    assert main(["--weights", str(tmp_path / "none"), "--data", good]) == 1
    assert "none" in capsys.readouterr().err
