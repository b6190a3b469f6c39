"""Policies compared at equal share: the simulation is the frame step, the search finds the share, the command runs."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import with_a_cut
from tiny import CARRIED, SIMPLE, TINY, carried_params, marked, simple_params, video
from tiny import tiny_params as any_params
from tiny_files import weights, write_labelled  # noqa: F401

from dvsnet_jax import (
    AccumulatedLoss,
    DVSNetConfig,
    DynamicTarget,
    ExpectedConfidence,
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
from dvsnet_jax.benchmarks.step_time import StepTime, step_time
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.labelled import LabelledClip, labelled_clips, snippets
from dvsnet_jax.evaluation.policies import measurement
from dvsnet_jax.evaluation.policies import sweep as sweeping
from dvsnet_jax.evaluation.policies.measurement import Measured, SegmentedClip, measure, segment_clips
from dvsnet_jax.evaluation.policies.report import policy_report
from dvsnet_jax.evaluation.policies.simulation import POLICIES, Urgency, segmented, setting, simulate
from dvsnet_jax.evaluation.policies.sweep import Point, nearest_intervals, next_threshold, sweep
from dvsnet_jax.evaluation.policies.tables import cost_table, front_table, table
from dvsnet_jax.evaluation.reports.page import write_report
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics.segmentation import confusion_matrix, mean_iou
from dvsnet_jax.training.decision.examples import pair_samples

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
        difference, _ = FrameDifference(state.number).decide((), evidence)  # traced: one for each region
        flow, _ = FlowMagnitude(state.number).decide((), evidence)
        interval, age = FixedInterval(3).decide(state.age, evidence)
        decided = jnp.stack([difference, flow, interval, state.route])
        return decided[state.policy, jnp.arange(len(state.policy))], state._replace(age=age)

    def targets(self, state):
        return state.number


@cache
def tiny_params():
    """The tiny network's, whose confidence scores on this video are about 200; here they are below 100."""
    params = any_params()
    last = params["decision"]["fully_connected_3"]
    lower = {**last, "biases": last["biases"] - 140.0}
    return {**params, "decision": {**params["decision"], "fully_connected_3": lower}}


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


def by_the_frame_step(policy: str, threshold: float, routes: np.ndarray, params=None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and routes by `segment_frame`."""
    params = params or tiny_params()
    clip = video(FRAMES, height=75, width=100)
    config = TINY.replace(policy=AnyOf())
    if policy == "learned":
        config = TINY.replace(policy=ExpectedConfidence(setting(policy, threshold)))
    if policy == "loss":
        config = TINY.replace(policy=AccumulatedLoss(setting(policy, threshold)))
    if policy == "dynamic":
        config = TINY.replace(policy=DynamicTarget(90.0, 1.0, setting(policy, threshold)))
    state, results = init_state(params, clip[0], config=config), []
    for frame, route in zip(clip, routes, strict=True):
        number = jnp.full(len(route), setting(policy, threshold), jnp.float32)
        if policy not in ("learned", "loss", "dynamic"):
            # random and oracle exist in the simulation alone: the frame step follows their routes
            place = AnyOf.policies.index(policy if policy in AnyOf.policies else "routes")
            chosen = Choice(jnp.full(len(route), place), number, state.policy.age, jnp.asarray(route))
            state = state._replace(policy=chosen)
        # the first frame resets the policy: what counts is what it is given from the second on
        state, result = segment_frame(params, state, frame, config=config)
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
    # Two programs, which may round apart: on some CPUs a pixel of 52,500 where two classes tie falls the other way.
    assert (simulated.labels != labels).mean() < 1e-4
    # What the search for a share goes by tells the same.
    np.testing.assert_array_equal(getattr(simulated.urgency, policy) > threshold, segmented[1:])


@pytest.mark.parametrize("what", ["segmentation", "feature"])
def test_what_is_no_number_is_segmented_as_by_the_frame_step(what):
    frames, red = marked(4), {"red": 101}
    params = (
        simple_params(red | {"value": np.nan}) if what == "segmentation" else simple_params((), red | {what: np.nan})
    )
    clip = [segmented(params, frame[0], config=SIMPLE) for frame in frames]
    draws = np.zeros((4, 2), np.float32)
    # Frame 1 is a key frame, of which the first region has no scores, or no confidence.
    simulated = simulate(params, clip, "interval", 2.5 if what == "feature" else 0.5, draws, config=SIMPLE)
    config = SIMPLE.replace(policy=FixedInterval(3 if what == "feature" else 1))
    state = init_state(params, frames[0], config=config)
    for index, frame in enumerate(frames):
        state, result = segment_frame(params, state, frame, config=config)
        np.testing.assert_array_equal(simulated.segmented[index], result.segmented[0])
        np.testing.assert_array_equal(simulated.labels[index], result.labels[0])
    assert simulated.segmented[1, 0] and (what == "segmentation" or not simulated.segmented[1, 1])
    assert not np.isfinite(simulated.urgency.oracle if what == "segmentation" else simulated.urgency.learned).all()
    with pytest.raises(InputError, match="what the weights give on these frames is not finite"):
        sweep(
            params,
            [SegmentedClip("bad", clip, np.zeros((4, 64, 96), np.uint8), draws, [])],
            config=SIMPLE,
            shares=(0.5,),
        )


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
    from dvsnet_jax.evaluation.policies import simulation

    run("learned", -50.0)
    compiled = simulation._step._cache_size()
    run("oracle", -70.0)
    run("interval", 2.0)
    assert simulation._step._cache_size() == compiled


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
            if policy == "dynamic" and share < 0.7:  # these targets fall far before they are below the scores
                assert line.share == share and np.isnan([line.mean_iou, line.kept, line.setting, line.off]).all()
                continue
            assert line.share == share and 0 < line.mean_iou <= 1 and 0 < line.agreement <= 1
            if policy != "interval":  # which refreshes whole frames: it has few shares
                assert min(abs(run.share - share) for run in measured) <= 1 / 28
        assert measured[0].as_json()["policy"] == policy


def test_what_the_network_leaves_void_is_told(monkeypatch):
    """Where it is sure alone, mIoU is high, and says nothing of the rest."""

    def half(*given, **more):
        done = simulate(*given, **more)
        labels = done.labels.copy()
        labels[:, : labels.shape[1] // 2] = 255
        return done._replace(labels=labels)

    shares = (0.5,)
    plain = sweep(tiny_params(), tiny_video(), config=TINY, shares=shares, policies=("random",), most_runs=2)
    assert plain.every.void == 0 and plain.every.mean_iou_void_wrong == plain.every.mean_iou
    assert "void" not in table(plain)
    monkeypatch.setattr(measurement, "simulate", half)
    result = sweep(tiny_params(), tiny_video(), config=TINY, shares=shares, policies=("random",), most_runs=2)
    every = result.every
    assert every.mean_iou == 1 and every.void == pytest.approx(37 / 75) and 0.3 < every.mean_iou_void_wrong < 0.7
    printed = table(result)
    assert "| labelled pixels left void, which the above leaves out | 50% |" in printed
    assert f"| every frame (100%) | {every.mean_iou_void_wrong:.2%} |" in printed
    assert json.loads(json.dumps(every.as_json()))["void"] == every.void


def test_labels_of_which_none_is_right_are_told(monkeypatch):
    wrong = Measured("learned", np.inf, 1.0, 0.0, 0.0, 1.0, 0.0, np.nan, (0.0, 0.0), 0.0, 0.0)
    monkeypatch.setattr(
        sweeping, "measure", lambda *given, **more: (wrong, Urgency(*np.zeros((len(POLICIES), 3, 2), np.float32)))
    )
    clip = SegmentedClip("wrong", [None] * 4, np.zeros((4, 8, 8), np.uint8), np.zeros((4, 2), np.float32), [])
    with pytest.raises(
        InputError, match=r"no labelled pixel is right, .* check that weights and labels are of the same"
    ):
        sweep({}, [clip], config=SIMPLE, shares=(0.5,))


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
    assert next_threshold([high, low], 0.05, 0.01) is None  # every run segments more


def test_outlines_and_steadiness_are_measured():
    """Labels of every frame are right; those of a run that only warps have other outlines, and flicker less or more."""
    (clip,) = tiny_video()
    size = clip.truth.shape[1:]
    still = FlowPair(np.zeros((*size, 3), np.uint8), np.zeros((*size, 3), np.uint8),
                     np.zeros((*size, 2), np.float32), np.ones(size, bool))  # fmt: skip
    video = [clip._replace(steps=[still] * (FRAMES - 1))]
    every, _ = measure(tiny_params(), video, "learned", -np.inf, config=TINY)
    none, _ = measure(tiny_params(), video, "learned", np.inf, config=TINY)
    assert every.boundary_f == 1 and every.class_ious == tuple(1.0 if iou == iou else iou for iou in every.class_ious)
    assert none.boundary_f < 1
    # By hand: the labels of every frame against those before, in place.
    matrix = sum(np.asarray(confusion_matrix(b, a, 5)) for a, b in pairwise(clip.truth))
    assert every.consistency == pytest.approx(mean_iou(matrix))
    hidden = [clip._replace(steps=[still._replace(valid=~still.valid)] * (FRAMES - 1))]
    assert np.isnan(measure(tiny_params(), hidden, "learned", np.inf, config=TINY)[0].consistency)
    assert np.isnan(measure(tiny_params(), tiny_video(), "learned", np.inf, config=TINY)[0].consistency)
    assert none.as_json()["consistency"] is not None and isinstance(none.as_json()["class_ious"], list)


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


def test_a_share_that_dynamic_targets_do_not_come_to():
    """Their floor on this video is about 0.7; nothing is drawn to the run that segments nothing."""
    time = StepTime(nothing=10.0, each_region=5.0, regions=4, residual=0.5, height=75, width=100)
    shares = (0.3, 0.75)
    chosen = ("dynamic", "random", "oracle")
    result = sweep(tiny_params(), tiny_video(), config=TINY, shares=shares, policies=chosen, tolerance=0.02, time=time)
    none, some = result.policies["dynamic"]
    assert np.isnan([none.mean_iou, none.kept, none.setting, none.off]).all() and none.as_json()["mean_iou"] is None
    assert 0 < some.mean_iou < 1 and 1 < some.setting < 100
    printed = table(result)
    rows = [line for line in printed.splitlines() if line.startswith("| dynamic target | –")]
    assert len(rows) == 5 and "all runs of the policy are on one side" in printed
    # By hand: 10 ms and 20 ms for all regions.
    costs = cost_table(result)
    assert costs.columns[:3] == ("regions segmented", "G multiply-adds a frame", "ms a frame")
    assert [(row[0], row[2]) for row in costs.rows] == [("30%", "16.0"), ("75%", "25.0"), ("100%", "30.0")]
    best = max(result.policies["dynamic"][1].mean_iou, result.policies["random"][1].mean_iou)
    assert costs.rows[1][4] == f"{best:.2%}" and costs.rows[0][3] == "random"
    front = front_table(result)
    assert front.columns[-1] == "ms a frame" and front.rows[0][-1] == f"{10 + 20 / FRAMES:.1f}"
    # The front of the cells: the best but the oracle at the smaller share, and at the larger one what is better still.
    bold = {float(cell) for cell in re.findall(r"\*\*([0-9.]+)%\*\*", printed)}
    smaller = result.policies["random"][0].mean_iou
    assert bold == {round(100 * iou, 2) for iou in {smaller, max(best, smaller)}}


def test_step_time_is_a_line():
    time = step_time(tiny_params(), TINY, height=64, width=96, repeats=2)
    assert time.regions == 4 and (time.height, time.width) == (64, 96)
    assert time.nothing > 0 and time.at(0) == time.nothing
    assert time.at(0.5) == pytest.approx(time.nothing + 2 * time.each_region)
    assert time.as_json()["residual"] >= 0


def test_step_time_has_the_hosts_motion_where_the_step_is_given_it():
    frames = list(video(4, height=64, width=96)[:, 0])
    time = step_time(carried_params(), CARRIED, height=64, width=96, video=frames, repeats=1)
    assert time.motion > 0 and time.at(0) == time.motion + time.nothing and "for its motion on the host" in str(time)
    assert step_time(tiny_params(), TINY, height=64, width=96, video=frames, repeats=1).motion == 0


# --- clips ------------------------------------------------------------------------------------------------------------


def test_labelled_clips_are_chosen_by_name_and_scaled(tmp_path):
    frames = video(3, height=64, width=96)[:, 0]
    spec = write_labelled(tmp_path, frames, frames[..., 0] % 5)
    write_labelled(tmp_path, frames[:2], frames[:2, ..., 0] % 5, first=100)
    assert [(clip.name, len(clip.frames)) for clip in labelled_clips(spec)] == [("drive_0000", 3), ("drive_0100", 2)]
    (clip,) = labelled_clips(f"{spec}@0.5", only=["drive_00"], scale=0.5)
    assert clip.frames[0].image.shape == (16, 24, 3) and clip.frames[0].labels.shape == (16, 24)
    with pytest.raises(InputError, match="no frame's name begins with drive_7; they are called like drive_0000"):
        labelled_clips(spec, only=["drive_7"])
    with pytest.raises(InputError, match="no two of its 1 frames"):
        labelled_clips(spec, only=["drive_0002"])
    with pytest.raises(InputError, match="no file names"):
        labelled_clips("street:2:0")


def write_snippets(root: Path, count: int = 1, length: int = 22, labelled: int = 19) -> str:
    """Drives of coloured noise; the labels of one frame, labelIds, are roads on the left and skies on the right."""
    ids = np.where(np.arange(96) < 48, 7, 23).astype(np.uint8)[None].repeat(64, 0)
    for sequence in range(count):
        for number, frame in enumerate(video(length, seed=sequence)[:, 0]):
            name = f"aachen/aachen_{sequence:06d}_{number:06d}"
            path = root / f"leftImg8bit_sequence/train/{name}_leftImg8bit.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, frame)
            if number in (0, labelled):
                path = root / f"gtFine/train/{name}_gtFine_labelIds.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_png(path, ids)
    return f"cityscapes:{root}:train"


@pytest.mark.parametrize("policy", ["loss", "dynamic", "learned"])
def test_in_a_report_a_region_is_segmented_where_its_score_is_below_its_target(policy):
    (clip,) = tiny_video()
    result = sweep(tiny_params(), [clip], config=TINY, shares=(0.5,), policies=(policy,), tolerance=0.05)
    images = video(FRAMES, height=75, width=100)[:, 0]
    frames = [LabelledImage(image, labels) for image, labels in zip(images, clip.truth, strict=True)]
    report = policy_report(
        tiny_params(), result, [LabelledClip("tiny", frames)], [clip], config=TINY, share=0.5, title="A title"
    )
    (shown,) = report.clips
    first, *others = shown.frames
    assert all(first.segmented) and set(first.scores) == set(first.targets) == {None}
    below = [[score < target for score, target in zip(frame.scores, frame.targets, strict=True)] for frame in others]
    assert below == [list(frame.segmented) for frame in others]
    assert 0 < np.mean(below) < 1
    assert report.class_ious[0][1] == result.every.class_ious and len(report.classes) == 5
    assert sum(group.size for group in report.calibration) == 4 * (FRAMES - 1)
    front = front_table(result)
    assert front.rows[0][0] == f"{4 / (4 * FRAMES):.1%}" and front.rows[-1][4] == "100.0%"


def test_video_of_cuts_is_compared_and_reported(tmp_path):
    """A cut is segmented whatever the threshold, so no run is below some shares; nothing is expected there."""
    frames = with_a_cut(2, 2)
    labels = np.random.default_rng(0).integers(0, 3, frames.shape[:3], np.uint8)
    clips = [LabelledClip("cut", [LabelledImage(*each) for each in zip(frames, labels, strict=True)])]
    clip_of = segment_clips(carried_params(), clips, config=CARRIED)
    result = sweep(carried_params(), clip_of, config=CARRIED, shares=(0.3, 0.75), policies=("learned",))
    assert [run.share for run in result.runs[:2]] == [1, 0.5]  # first frame and cut, of four
    below, above = result.policies["learned"]
    assert np.isnan(below.mean_iou) and 0 < above.mean_iou <= 1
    report = policy_report(carried_params(), result, clips, clip_of, config=CARRIED, share=0.75, title="Cuts")
    assert sum(group.size for group in report.calibration) == 2 * 2  # regions of the two frames whose motion is known
    write_report(tmp_path / "cuts.html", report)


def test_snippets_are_the_papers_protocol(tmp_path):
    spec = write_snippets(tmp_path, 2)
    first, second = snippets(spec)
    assert (first.name, second.name) == ("aachen_000000_000000", "aachen_000001_000000")
    assert len(first.frames) == 20
    assert all((first.frames[index].labels == 255).all() for index in range(19))  # the first frame's own, too
    assert set(np.unique(first.frames[19].labels)) == {0, 10}
    (only,) = snippets(spec, only=["aachen_000001"], scale=0.5)
    assert only.frames[19].image.shape == (32, 48, 3) and only.frames[19].labels.shape == (32, 48)
    with pytest.raises(InputError, match="its frame 20 has no labels"):
        snippets(write_snippets(tmp_path / "b", labelled=18))
    with pytest.raises(InputError, match="a snippet of 12 frames, expected 20 or more"):
        snippets(write_snippets(tmp_path / "c", length=12))
    with pytest.raises(InputError, match="protocol of snippets is Cityscapes'"):
        snippets("camvid:x:val")


def test_by_the_papers_protocol_first_frames_do_not_count():
    (clip,) = tiny_video()
    void = np.full_like(clip.truth, 255)
    void[-1] = clip.truth[-1]
    video = [clip._replace(truth=void)]
    none, _ = measure(tiny_params(), video, "learned", np.inf, config=TINY, first_counts=False)
    every, _ = measure(tiny_params(), video, "learned", -np.inf, config=TINY, first_counts=False)
    assert none.share == 0 and every.share == 1 and every.mean_iou == 1 and none.mean_iou < 1
    assert measure(tiny_params(), video, "learned", np.inf, config=TINY)[0].share == pytest.approx(1 / FRAMES)
    # Of the last frame alone, by hand.
    labels = run("learned", np.inf).labels[-1]
    assert none.mean_iou == pytest.approx(mean_iou(np.asarray(confusion_matrix(labels, clip.truth[-1], 5))))
    result = sweep(tiny_params(), video, config=TINY, shares=(0.1, 0.5), policies=("interval",), first_counts=False)
    assert {run.share for run in result.runs} >= {0.0, 0.5, 1.0}  # every second frame of the six
    assert nearest_intervals([7], 0.5, first_counts=False) == (2, 1)
    assert nearest_intervals([7], 0.2, first_counts=False) == (4, 3)


# --- the command ------------------------------------------------------------------------------------------------------


def policies_command():
    path = Path(__file__).parents[2] / "eval" / "policies.py"
    spec = importlib.util.spec_from_file_location("eval_policies", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_command(tmp_path, weights, capsys):  # noqa: F811
    frames = video(5, height=75, width=100)[:, 0]
    data = write_labelled(tmp_path, frames, frames[..., 0] % 5)
    out = tmp_path / "policies.jsonl"
    page = tmp_path / "report.html"
    arguments = ["--weights", weights, "--data", data, "--json", str(out), "--runs", "3", "--report", str(page)]
    assert policies_command()([*arguments, "--shares", "0.3", "0.4", "0.5", "0.6", "0.8"]) == 0
    printed, progress = capsys.readouterr()
    assert "5 frames, 1 clip" in printed and "5 of 5 frames segmented" in progress
    tables = [line for line in printed.splitlines() if line.startswith("|")]
    titles = [line.split(" | ")[0] for line in tables if "30% | 40%" in line]
    assert titles == [
        "| mIoU (kept) at regions segmented", "| mIoU above the oracle, points", "| boundary F-score",
        "| temporal consistency", "| pixels as with every frame segmented",
        "| target, limit, rise, interval, threshold, chance",
    ]  # fmt: skip
    assert sum(line.startswith("| expected confidence |") for line in tables) == 6
    assert sum(line.startswith("| every frame (100%) |") for line in tables) == 3
    assert sum("| +0.00 | +0.00 | +0.00 | +0.00 | +0.00 |" in line for line in tables) == 1  # the oracle itself
    # The front, which ends with everything segmented or a run as good as that.
    costs, front = (
        tables[next(place for place, line in enumerate(tables) if line.startswith(begin)) + 2 :]
        for begin in ("| regions segmented | G multiply-adds", "| regions segmented | policy")
    )
    assert [row.split(" | ")[0] for row in costs[:6]] == ["| 30%", "| 40%", "| 50%", "| 60%", "| 80%", "| 100%"]
    front = [line.split(" | ") for line in front]
    shares, ious = ([float(row[place].strip("| %")) for row in front] for place in (0, 3))
    assert shares == sorted(shares) and ious == sorted(ious)
    settings, *records = map(json.loads, out.read_text().splitlines())
    (time,) = (record for record in records if record["what"] == "step time")
    records.remove(time)
    assert (time["height"], time["width"], time["regions"]) == (75, 100, 4) and "ms a frame" in printed
    assert settings["frames"] == 5 and settings["data"] == data
    assert sum(record["what"] == "at share" for record in records) == 5 * len(POLICIES)
    assert {record["policy"] for record in records} == {*POLICIES, "every frame", "first frames only"}
    every = next(record for record in records if record["policy"] == "every frame")
    known = [iou for iou in every["class_ious"] if iou is not None]
    assert len(every["class_ious"]) == 5 and every["mean_iou"] == pytest.approx(np.mean(known))
    assert 0 <= every["boundary_f"] <= 1 and 0 < every["consistency"] <= 1

    text = page.read_text()
    shown = json.loads(text.split('type="application/json"')[1].split(">", 1)[1].split("</script>")[0])
    (clip,) = shown["clips"]
    assert len(clip["frames"]) == 5 and all(clip["frames"][0]["segmented"])
    assert clip["frames"][0]["scores"] == [None] * 4 and None not in clip["frames"][1]["scores"]
    # These weights expect no loss at all, so accumulated loss has no runs but the two ends.
    near = next(record for record in records if record["policy"] == "first frames only")
    again = tmp_path / "again.html"
    assert policies_command()([*arguments[:4], "--report", str(again), "--policies", "learned", "--shares", "0.5",
                                "--no-time"]) == 0  # fmt: skip
    assert "ms a frame" not in capsys.readouterr().out
    segmented = np.array([frame["segmented"] for frame in clip["frames"]])
    assert segmented.mean() == pytest.approx(near["share"])
    assert clip["frames"][1]["targets"] == [None] * 4
    assert '"targets":[null,null,null,null]' in again.read_text()  # the first frame's; the others have the target
    assert len(set(re.findall(r'"targets":\[[^]]*]', again.read_text()))) == 2
    assert shown["class_ious"][1]["ious"] == [iou if iou is None else round(iou, 4) for iou in near["class_ious"]]


def test_command_errors(tmp_path, weights, capsys):  # noqa: F811
    frames = video(2, height=75, width=100)[:, 0]
    main = policies_command()

    def message(data: str, *more: str) -> str:
        assert main(["--weights", weights, "--data", data, *more]) == 1
        return capsys.readouterr().err.splitlines()[-1]

    void = write_labelled(tmp_path / "void", frames, np.full(frames.shape[:3], 255, np.uint8))
    assert "every label is void" in message(void)
    camvid = tmp_path / "camvid"
    for folder, pictures in (("val", frames), ("valannot", np.full(frames.shape[:3], 8, np.uint8))):
        (camvid / folder).mkdir(parents=True)
        for index, picture in enumerate(pictures):
            write_png(camvid / folder / f"0001TP_{index:06d}.png", picture)
    assert "there are labels 13, but these weights know the classes 0 to 4" in message(f"camvid:{camvid}:val")
    good = write_labelled(tmp_path / "good", frames, np.ones(frames.shape[:3], np.uint8))
    assert "share 0.2: expected more than 0.5000" in message(good, "--shares", "0.2")
    assert "smallest" in message(good, "--scale", "0.5")
    assert "there is no folder" in message(good, "--report", str(tmp_path / "missing" / "report.html"))
    assert main(["--weights", str(tmp_path / "none"), "--data", good]) == 1
    assert "none" in capsys.readouterr().err
