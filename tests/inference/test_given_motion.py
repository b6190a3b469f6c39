"""Motion that is found on the host, all the way to labels: files, streams, evaluation, exported programs, training."""

from __future__ import annotations

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import moving, with_a_cut, write
from tiny import CARRIED, SIMPLE, TINY, carried_params, simple_params, tiny_params
from tiny_files import write_images, write_labelled

from dvsnet_jax import (
    AccumulatedLoss,
    FixedInterval,
    FrameMotion,
    checkpoints,
    init_state,
    segment_frame,
)
from dvsnet_jax.cli import main
from dvsnet_jax.datasets.clip_folders import folder_clips
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.sources import evaluated_clips
from dvsnet_jax.evaluation.policies.simulation import segmented, simulate
from dvsnet_jax.export import export_program
from dvsnet_jax.inference.clip_motion import moving as with_clip_motion
from dvsnet_jax.inference.segment_source import Segmenter, segment_source
from dvsnet_jax.inference.streaming.streams import ClipEnd, stream_clips
from dvsnet_jax.media.images import read_labels
from dvsnet_jax.media.motion.attached import with_motion
from dvsnet_jax.media.motion.dis import DisMotion
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.media.motion.following import Follower
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.program import load_program
from dvsnet_jax.training.accelerate import Acceleration, accelerate
from dvsnet_jax.training.decision.clip_pairs import clip_pairs
from dvsnet_jax.training.decision.examples import carried_along
from dvsnet_jax.training.decision.network import DecisionTraining
from dvsnet_jax.visualize import label_palette

SIZE = (144, 240)


def by_hand(frames, config=CARRIED, motions=None):
    """Results of the frame step, frame after frame, with the motion that DIS finds."""
    follower, results = Follower(DisMotion()), []
    state = init_state(carried_params(), frames[:1], config=config)
    for at, frame in enumerate(frames):
        moved = for_step(follower.step(frame) if motions is None else motions[at], *SIZE)
        state, result = segment_frame(carried_params(), state, frame[None], None, moved, config=config)
        results.append(jax.tree.map(lambda leaf: np.asarray(leaf)[0], result))
    return results


def output(folder):
    return OutputFolder(folder, palette=label_palette(), frame_rate=25, products=("labels", "routes"))


def lines(folder):
    return [json.loads(line) for line in (folder / "routes.jsonl").read_text().splitlines()]


def test_files_hold_what_the_step_gives_with_that_motion(tmp_path):
    frames = with_a_cut()
    write_images(tmp_path / "drive", frames)
    summary = segment_source(
        open_source(tmp_path / "drive"), Segmenter(carried_params(), CARRIED), output(tmp_path / "out")
    )
    assert summary.motion.kind == "dis" and summary.unknown == 1
    for line, expected in zip(lines(tmp_path / "out"), by_hand(frames), strict=True):
        labels = read_labels(tmp_path / "out" / "labels" / f"{line['name']}.png")
        np.testing.assert_array_equal(labels, expected.labels)
        assert [region["segmented"] for region in line["regions"]] == expected.segmented.tolist()
    assert [line["motion"] for line in lines(tmp_path / "out")] == [None, *3 * ["dis"], None, *3 * ["dis"]]
    (source,) = (line["motion_source"] for line in lines(tmp_path / "out") if "motion_source" in line)
    assert source == {"kind": "dis", "reason": "the most exact, for every kind of source"}
    every = [all(region["segmented"] for region in line["regions"]) for line in lines(tmp_path / "out")]
    assert every == [True, False, False, False, True, False, False, False]  # the cut at 4 begins the interval anew


def test_after_a_frame_that_is_lost_nothing_is_warped(tmp_path):
    paths = write_images(tmp_path / "drive", moving(6, *SIZE))
    paths[2].write_bytes(b"no picture")
    summary = segment_source(
        open_source(tmp_path / "drive"), Segmenter(carried_params(), CARRIED.replace(policy=FixedInterval(100))),
        output(tmp_path / "out"), skip_unreadable=True,
    )  # fmt: skip
    assert len(summary.skipped) == 1 and summary.unknown == 1
    found = {line["name"]: (line["motion"], line["regions"][0]["segmented"]) for line in lines(tmp_path / "out")}
    assert list(found.values()) == [(None, True), ("dis", False), (None, True), ("dis", False), ("dis", False)]


def test_a_files_own_vectors_are_taken_where_that_is_asked_for(tmp_path):
    place = write(tmp_path / "drive.mp4", moving(8, *SIZE), bf=0, refs=1, g=100)
    step = Segmenter(carried_params(), CARRIED)
    summary = segment_source(open_source(place), step, output(tmp_path / "out"), motion="codec")
    assert (summary.motion.kind, summary.unknown) == ("codec", 0)
    assert [line["motion"] for line in lines(tmp_path / "out")] == [None, *7 * ["codec"]]


def test_motion_that_is_not_to_be_had_is_refused(tmp_path):
    write_images(tmp_path / "drive", moving(2, *SIZE))
    source = open_source(tmp_path / "drive")
    with pytest.raises(InputError, match="images have no motion vectors"):
        segment_source(source, Segmenter(carried_params(), CARRIED), output(tmp_path / "a"), motion="codec")
    with pytest.raises(InputError, match="flow network of their own"):
        segment_source(source, Segmenter(simple_params(), SIMPLE), output(tmp_path / "b"), motion="dis")


@pytest.mark.parametrize("stepping", ["apart", "together"])
def test_streams_are_as_one_alone(stepping):
    clips = [with_a_cut(), moving(5, *SIZE, seed=2), moving(3, *SIZE, seed=3)]
    void = np.full(SIZE, 255, np.uint8)
    readers = [[LabelledImage(frame, void) for frame in clip] for clip in clips]
    found = {0: [], 1: [], 2: []}
    for event in stream_clips(carried_params(), readers, config=CARRIED, streams=2, stepping=stepping):
        if not isinstance(event, ClipEnd):
            found[event.clip].append(event)
    for clip, events in found.items():
        for event, expected in zip(events, by_hand(clips[clip]), strict=True):
            np.testing.assert_array_equal(event.segmented, expected.segmented)
            assert (event.labels == expected.labels).mean() > 0.999


def test_clips_that_are_videos_have_vectors_and_images_have_none(tmp_path):
    (tmp_path / "clips").mkdir()
    write(tmp_path / "clips" / "a.mp4", moving(6, *SIZE), bf=0, refs=1, g=100)
    write_images(tmp_path / "clips" / "b", moving(3, *SIZE))
    video, images = folder_clips(tmp_path / "clips")
    found = list(with_clip_motion(video, "codec"))
    expected = [motion for _, motion in with_motion(open_source(tmp_path / "clips" / "a.mp4"), "codec")]
    assert found[0][1] is None and len(found) == 6
    for (_, motion), true in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(motion.flow, true.flow)
    with pytest.raises(InputError, match="no motion vectors"):
        list(with_clip_motion(images, "codec"))
    with pytest.raises(InputError, match="no motion vectors"):
        list(with_clip_motion([], "codec"))
    (halved,) = (clip.frames for clip in evaluated_clips([f"clips:{tmp_path / 'clips'}@0.5"], only=["a"]))
    (sample, _), (_, motion), *_ = with_clip_motion(halved, "codec")
    assert sample.image.shape == (72, 120, 3) and motion.flow.shape == (9, 15, 2)
    whole = expected[1].flow[4:-4, 4:-4].mean((0, 1))
    np.testing.assert_allclose(motion.flow[2:-2, 2:-2].mean((0, 1)), whole / 2, atol=0.02)


def test_the_simulation_does_what_the_step_does_at_a_cut(tmp_path):
    frames = with_a_cut()
    follower = Follower(DisMotion())
    config = CARRIED.replace(policy=AccumulatedLoss(150.0))
    motions = [follower.step(frame) for frame in frames]
    assert motions[4] is None
    clip = [
        segmented(carried_params(), frame, config=config, motion=for_step(motion, *SIZE))
        for frame, motion in zip(frames, motions, strict=True)
    ]
    run = simulate(carried_params(), clip, "loss", 150.0, np.zeros((8, 2), np.float32), config=config)
    results = by_hand(frames, config, motions)
    np.testing.assert_array_equal(run.segmented, [result.segmented for result in results])
    assert run.segmented[4].all() and not run.segmented[1].all()
    assert (run.labels == np.stack([result.labels for result in results])).mean() > 0.999
    assert np.isinf(run.urgency.oracle[3]).all() and np.isfinite(run.urgency.oracle[[0, 1, 2, 4, 5, 6]]).all()


def test_a_step_without_the_motion_that_it_wants_says_so():
    segmenter = Segmenter(carried_params(), CARRIED)
    state, step = segmenter.start(*SIZE)
    with pytest.raises(ValueError, match=r"step\(params, state, frames, motion\), as .*for_step gives it"):
        step(segmenter.params, state, np.zeros((1, *SIZE, 3), np.uint8))


def test_an_exported_program_takes_motion(tmp_path, capsys):
    frames = with_a_cut()
    export_program(
        tmp_path / "p", carried_params(), CARRIED, height=SIZE[0], width=SIZE[1], platforms=["cpu"], streams=1
    )
    program = load_program(tmp_path / "p")
    assert program.takes_motion
    follower, state = Follower(DisMotion()), program.init_state()
    for frame, expected in zip(frames, by_hand(frames), strict=True):
        state, result = program.step(state, frame[None], motion=for_step(follower.step(frame), *SIZE))
        np.testing.assert_array_equal(result.segmented[0], expected.segmented)
        assert (np.asarray(result.labels[0]) == expected.labels).mean() > 0.999
    with pytest.raises(ValueError, match="carries motion, but none came"):
        program.step(state, frames[:1])
    write_images(tmp_path / "drive", frames)
    assert segment_source(open_source(tmp_path / "drive"), program, output(tmp_path / "out")).unknown == 1
    for motion in ("paper", "network"):  # what it is not made for, and would not do
        call = ["segment", str(tmp_path / "drive"), "--program", str(tmp_path / "p"), "--out", str(tmp_path / motion)]
        assert main([*call, "--motion", motion]) == 2
        assert "was exported for motion that is given with each frame" in capsys.readouterr().err


def test_examples_are_of_the_motion_that_the_step_carries():
    frames = moving(5, *SIZE)
    clip = [LabelledImage(frame, np.full(SIZE, 255, np.uint8)) for frame in frames]
    pairs, read = clip_pairs([clip], 30, (4, 4), seed=0, motion="dis")
    pair = next(pair for pair in pairs if pair.key.name == "0" and pair.current.name == "4")
    key, current, motion = read(pair)
    np.testing.assert_array_equal(key, frames[0])
    np.testing.assert_array_equal(current, frames[4])
    config = CARRIED.replace(policy=FixedInterval(100))
    state = init_state(carried_params(), frames[:1], config=config)
    for frame, moved in zip(frames, [for_step(None, *SIZE), *motion], strict=True):
        state, _ = segment_frame(carried_params(), state, frame[None], None, moved, config=config)
    carried = carried_along(motion, SIZE, config)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), carried, state.carried)
    assert float(jnp.abs(carried.flow).max()) > 1


def test_accelerate_learns_on_carried_motion_and_leaves_cuts_out(tmp_path):
    clips = [[LabelledImage(frame, np.full(SIZE, 255, np.uint8)) for frame in with_a_cut()]]
    options = Acceleration(decision=DecisionTraining(epochs=2), pairs=24, distances=(1, 3))
    made = accelerate(carried_params(), CARRIED, clips, clips, tmp_path, options)
    assert set(made.params) == {"segmentation", "flow", "decision"}
    assert made.params["flow"] == {} and not (tmp_path / "flow").exists()
    samples = [json.loads(line) for line in (tmp_path / "decision-data/train/samples.jsonl").read_text().splitlines()]
    kept = {(int(line["key"].split("/")[1]), int(line["current"].split("/")[1])) for line in samples}
    assert kept and not any(key < 4 <= current for key, current in kept)
    pairs, _ = clip_pairs(clips, 24, (1, 3), seed=0)
    assert any(int(pair.key.name) < 4 <= int(pair.current.name) for pair in pairs)
    features = np.load(tmp_path / "decision-data/train/X.npy")
    assert features.shape[1:] == (4, 4, 13) and np.isfinite(features).all()
    changed = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), made.params["decision"], carried_params()["decision"]
    )
    assert max(jax.tree.leaves(changed)) > 0


@pytest.fixture
def carried_weights(monkeypatch):
    monkeypatch.setattr(
        checkpoints, "load_bundled",
        lambda motion="paper", *_: (carried_params(), CARRIED) if motion == "carried" else (simple_params(), SIMPLE),
    )  # fmt: skip


def test_the_command_says_where_motion_comes_from(tmp_path, capsys, carried_weights):
    write_images(tmp_path / "drive", with_a_cut())
    run = ["segment", str(tmp_path / "drive"), "--no-overlay", "--no-color", "--out"]
    assert main([*run, str(tmp_path / "out")]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "drive: motion by dis, the most exact" in told and "not known at 1 of 8 frames" in told
    assert main([*run, str(tmp_path / "encoder"), "--motion", "encoder"]) == 0
    assert "drive: motion by encoder, as asked for" in " ".join(capsys.readouterr().err.split())
    assert main([*run, str(tmp_path / "paper"), "--motion", "paper"]) == 0
    assert "motion" not in capsys.readouterr().err and "motion" not in lines(tmp_path / "paper")[0]


def test_evaluate_and_policies_take_motion(tmp_path, capsys, monkeypatch):
    config = TINY.replace(flow=CARRIED.flow, decision=CARRIED.decision, policy=FixedInterval(4))
    made = {"segmentation": tiny_params()["segmentation"], "decision": carried_params()["decision"]}
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (made, config))
    labels = np.zeros((8, *SIZE), np.uint8)
    labels[:, 40:] = 1
    data = write_labelled(tmp_path / "set", with_a_cut(), labels)
    arguments = ["policies", "--data", data, "--shares", "0.5", "--policies", "loss", "interval", "--runs", "2"]
    assert main([*arguments, "--no-time", "--no-consistency"]) == 0
    assert "accumulated loss" in capsys.readouterr().out
    cut = ["--regions", "1x1", "--overlap", "0", "--fuse", "0.5", "--json", str(tmp_path / "one.jsonl")]
    assert main([*arguments, "--no-time", "--no-consistency", *cut]) == 0
    settings, *runs = map(json.loads, (tmp_path / "one.jsonl").read_text().splitlines())
    assert (settings["regions"], settings["overlap"], settings["fuse"]) == ([1, 1], 0, 0.5)
    counted = [round(8 * run["share"], 6) for run in runs if run["what"] == "run"]
    assert all(count == int(count) for count in counted), "a frame is one region: shares are of eight"
    (tmp_path / "clips").mkdir()
    (tmp_path / "set" / "frames").rename(tmp_path / "clips" / "drive")
    (tmp_path / "truth").mkdir()
    (tmp_path / "set" / "labels").rename(tmp_path / "truth" / "drive")
    run = ["evaluate", f"clips:{tmp_path / 'clips'}:{tmp_path / 'truth'}", "--no-consistency"]
    assert main([*run, "--out", str(tmp_path / "a")]) == 0
    page = (tmp_path / "a" / "report.html").read_text()
    shown = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])["clips"][0]["frames"]
    assert [frame["motion"] is not None for frame in shown] == [False, *3 * [True], False, *3 * [True]]
    assert json.loads((tmp_path / "a" / "settings.json").read_text())["motion"] == "dis"
    capsys.readouterr()
    assert main([*run, "--out", str(tmp_path / "a"), "--motion", "encoder"]) == 1  # another run's folder
    assert "motion" in capsys.readouterr().err
    assert main([*run, "--out", str(tmp_path / "b"), "--motion", "codec"]) == 1
    assert "no motion vectors" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["segment", "{drive}", "--weights", "{flow}", "--motion", "dis"], "their own flow network"),
        (["segment", "{drive}", "--weights", "{carried}", "--motion", "paper"], "needs a flow network"),
        (["policies", "--data", "camvid:x:val", "--motion", "codec"], "are images"),
        (["accelerate", "--data", "video:x.mp4", "--save-dir", "{drive}", "--motion", "codec"], "drawn at random"),
        (["export", "{drive}/p", "--size", "144x240", "--weights", "{carried}", "--motion", "paper"], "needs a flow"),
    ],
)
def test_motion_that_the_weights_are_not_for_is_wrong_usage(words, told, tmp_path, capsys, monkeypatch):
    write_images(tmp_path / "drive", moving(2, *SIZE))
    made = {"flow": (simple_params(), SIMPLE), "carried": (carried_params(), CARRIED)}
    monkeypatch.setattr(checkpoints, "load", made.__getitem__)
    places = {"drive": str(tmp_path / "drive"), "flow": "flow", "carried": "carried"}
    assert main([word.format(**places) for word in words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_unknown_motion_is_what_no_motion_becomes():
    unknown = for_step(None, 100, 60)
    assert isinstance(unknown, FrameMotion) and unknown.flow.shape == (1, 13, 8, 2)
    assert np.isnan(unknown.flow).all() and (unknown.trust == 0).all()
