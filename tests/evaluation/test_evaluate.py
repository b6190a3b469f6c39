"""`dvsnet evaluate`: clips in streams, on several devices, in several processes, interrupted, damaged: one result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from compiling import several_devices
from tiny import SIMPLE, TINY, marked, simple_params, tiny_params, video
from tiny_files import weights, write_images, write_video  # noqa: F401
from tiny_sets import leave_behind

from dvsnet_jax import ExpectedConfidence, FrameRate, SegmentationFunction, init_state, segment_frame
from dvsnet_jax.cli import main
from dvsnet_jax.cli.commands.evaluate import Evaluate
from dvsnet_jax.datasets.clip_folders import folder_clips
from dvsnet_jax.datasets.readers import vspw
from dvsnet_jax.datasets.samples import VOID, LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.kept_labels import KeptFrames
from dvsnet_jax.evaluation.clips.label_counts import truth_matrix
from dvsnet_jax.evaluation.clips.log import ClipLog
from dvsnet_jax.evaluation.clips.scores import ClipRecord, pooled
from dvsnet_jax.evaluation.clips.sources import NamedClip, check_classes, evaluated_clips
from dvsnet_jax.evaluation.evaluate import evaluate
from dvsnet_jax.evaluation.reports.evaluation import class_names
from dvsnet_jax.inference.streaming.streams import ClipEnd, stream_clips
from dvsnet_jax.media.images import read_labels, write_png
from dvsnet_jax.metrics.segmentation import confusion_matrix

LENGTHS = (3, 5, 1, 4, 2)
CONFIG = TINY.replace(policy=ExpectedConfidence(50.0))


def clips(lengths=LENGTHS, size=(64, 96)) -> list[NamedClip]:
    """Clips of these lengths, every other frame of which has labels."""
    found = []
    for number, length in enumerate(lengths):
        frames = video(length, height=size[0], width=size[1], seed=number)[:, 0]
        truth = np.random.default_rng(number).integers(0, 5, (length, *size), np.uint8)
        truth[1::2] = VOID
        found.append(NamedClip(f"clip_{number}", [LabelledImage(*each) for each in zip(frames, truth, strict=True)]))
    return found


def run(tmp_path: Path, which: list[NamedClip], streams: int, **options):
    tmp_path.mkdir(exist_ok=True, parents=True)
    return evaluate(tiny_params(), which, config=CONFIG, folder=tmp_path, streams=streams, **options)


def counted(record: ClipRecord) -> dict:
    """All but the time, which is another one every time."""
    return {name: value for name, value in record.as_json().items() if name not in ("seconds", "timed")}


def test_a_clip_counts_what_the_frame_step_says_whatever_the_streams(tmp_path):
    one = run(tmp_path / "1", clips(), 1)
    eight = run(tmp_path / "8", clips(), 3, every_frame=True)
    assert [record.frames for record in one.records] == list(LENGTHS)
    assert [record.labelled for record in one.records] == [2, 3, 1, 2, 1]
    for number, (clip, record, other) in enumerate(zip(clips(), one.records, eight.records, strict=True)):
        state = init_state(tiny_params(), clip.frames[0].image[None], config=CONFIG)
        matrix, segmented = np.zeros((5, 5), np.int64), 0
        for image, truth in clip.frames:
            state, result = segment_frame(tiny_params(), state, image[None], config=CONFIG)
            matrix += np.asarray(confusion_matrix(result.labels[0], truth, 5))
            segmented += int(result.segmented.sum())
        assert (truth_matrix(record.dvsnet) == matrix).all() and record.segmented == segmented, number
        assert record.dvsnet == other.dvsnet and record.segmented == other.segmented
        assert other.every_frame and np.sum(other.every_frame.confusion) == matrix.sum()
        assert len(other.predicted) == other.regions - other.segmented  # those that were warped
    total = pooled(one.records)
    assert 0 < total.segmented < total.regions == 4 * sum(LENGTHS), "all or nothing is segmented: the test sees little"
    assert sum(record.same for record in eight.records) < sum(record.pixels for record in eight.records)


def test_the_first_frame_is_outside_of_share_and_time_where_the_protocol_says_so(tmp_path):
    every = pooled(run(tmp_path / "all", clips(), 2).records)
    later = pooled(run(tmp_path / "later", clips(), 2, first_counts=False).records)
    assert every.regions - later.regions == every.segmented - later.segmented == 4 * len(LENGTHS)
    assert every.timed == every.frames and 0 < later.timed < every.frames - len(LENGTHS) + 1
    assert later.dvsnet == every.dvsnet


def test_clips_of_other_sizes_and_labels_of_another_size(tmp_path):
    mixed = [*clips((2, 3)), *clips((2,), size=(96, 64))]
    large = [LabelledImage(image, truth.repeat(2, 0).repeat(2, 1)) for image, truth in mixed[0].frames]
    names = [NamedClip(f"{index}", clip.frames) for index, clip in enumerate(mixed)] + [NamedClip("large", large)]
    found = run(tmp_path, names, 2)
    assert [record.clip for record in found.records] == ["0", "1", "2", "large"] and not found.failures
    assert (found.records[2].height, found.records[2].width) == (96, 64)
    assert np.sum(found.records[3].dvsnet.confusion) == 4 * np.sum(found.records[0].dvsnet.confusion)
    assert (truth_matrix(found.records[3].dvsnet) == 4 * truth_matrix(found.records[0].dvsnet)).all()


def broken(clip: NamedClip):
    yield from clip.frames[:2]
    raise InputError("frame_2.png: cannot be read")


class Bad:
    def __init__(self, frames):
        self.frames = frames

    def __iter__(self):
        return iter(self.frames())


def test_what_is_wrong_with_a_clip_costs_only_itself(tmp_path):
    good = clips()
    alone = {record.clip: counted(record) for record in run(tmp_path / "good", good, 2).records}
    image, truth = good[0].frames[0]
    bad = [
        NamedClip("damaged", Bad(lambda: broken(good[0]))),
        NamedClip("empty", []),
        NamedClip("grows", [good[0].frames[0], clips((1,), size=(96, 64))[0].frames[0]]),
        NamedClip("small", [LabelledImage(image[:32, :32], truth[:32, :32])]),
        NamedClip("strange", [good[0].frames[0], LabelledImage(image, np.full_like(truth, 7)), good[0].frames[0]]),
        NamedClip("square", [LabelledImage(image, truth[:, :64])]),
    ]
    told = {}
    found = run(
        tmp_path / "bad", [bad[0], *good[:3], *bad[1:], *good[3:]], 2, keep={"damaged", "clip_0"},
        on_clip=lambda clip, error: told.update({clip: error}),
    )  # fmt: skip
    assert {record.clip: counted(record) for record in found.records} == alone
    assert found.failures == {name: error for name, error in told.items() if error}
    for name, error in {
        "damaged": "cannot be read", "empty": "no frame", "grows": "96×64, but those before it are 64×96",
        "small": "32", "strange": "label 7", "square": "proportions",
    }.items():  # fmt: skip
        assert error in found.failures[name]
    assert [path.name for path in (tmp_path / "bad" / "labels").iterdir()] == ["clip_0"]
    assert not list(tmp_path.rglob("*partial*"))
    with pytest.raises(InputError, match="none of the 2 clips could be evaluated; damaged: frame_2"):
        run(tmp_path / "none", bad[:2], 2)


@pytest.mark.parametrize("every_frame", [False, True])
def test_regions_of_nothing_but_padding_are_refused(tmp_path, every_frame):
    """Counted and steered by before; with every frame segmented besides it ended in a ValueError of JSON's."""
    odd = CONFIG.replace(regions=(6, 2), overlap=0)
    with pytest.raises(InputError, match=r"clip_0: 112×96 frames in 6×2 regions .* 4 of 12 .*; use 4×2, the largest"):
        evaluate(tiny_params(), clips((2,), size=(112, 96)), config=odd, folder=tmp_path, every_frame=every_frame)


@pytest.mark.parametrize("every_frame", [False, True])
def test_frames_that_cannot_be_trusted_are_counted(tmp_path, every_frame):
    truth = np.zeros((64, 96), np.uint8)
    which = [
        NamedClip(f"clip_{number}", [LabelledImage(frame[number], truth) for frame in marked(length, 2)])
        for number, length in enumerate((3, 2))
    ]
    params = simple_params(flow={"red": 102, "feature": np.nan})
    config = SIMPLE.replace(policy=ExpectedConfidence(-1e9))
    found = evaluate(params, which, config=config, folder=tmp_path, keep={"clip_0"}, every_frame=every_frame)
    assert [record.untrusted for record in found.records] == [1, 0] and pooled(found.records).untrusted == 1
    assert [record.segmented for record in found.records] == [3, 2]
    routes = (tmp_path / "labels" / "clip_0" / "routes.jsonl").read_text().splitlines()
    assert [json.loads(line)["untrusted"] for line in routes] == [[False] * 2, [False] * 2, [True, False]]
    # What an older version has logged does not say; it is read on.
    older = {name: value for name, value in found.records[0].as_json().items() if name != "untrusted"}
    assert ClipRecord.from_json(older).untrusted == 0


def test_interrupted_it_does_only_what_is_left(tmp_path):
    whole = run(tmp_path / "whole", clips(), 2)

    def interrupt(clip):
        if clip == "clip_3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", clips(), 2, on_frame=interrupt, keep={"clip_3"})
    log = tmp_path / "cut" / "clips.jsonl"
    there = [json.loads(line)["clip"] for line in log.read_text().splitlines()]
    assert there and "clip_3" not in there
    with log.open("ab") as file:
        file.write(b'{"clip": "clip_3", "frames"')  # what a killed process leaves

    touched = []
    resumed = run(tmp_path / "cut", clips(), 2, on_clip=lambda clip, error: touched.append(clip))
    assert sorted(touched + there) == [f"clip_{index}" for index in range(5)] and resumed.resumed == len(there)
    assert [counted(record) for record in resumed.records] == [counted(record) for record in whole.records]
    assert sorted(ClipLog(tmp_path / "cut").records) == sorted(touched + there)
    again = run(tmp_path / "cut", clips(), 2, on_clip=lambda clip, error: pytest.fail("evaluated again"))
    assert again.records == resumed.records
    log.write_text('{"clip": 1}\n')
    with pytest.raises(InputError, match="no record of a clip"):
        run(tmp_path / "cut", clips(), 2)


def test_what_a_killed_run_left_of_a_clips_labels_goes(tmp_path):
    run(tmp_path / "whole", clips(), 2, keep={"clip_3"})
    left = tmp_path / "cut" / "labels" / "clip_3"
    left.mkdir(parents=True)
    for name in (".partial-0123456789ab.jsonl", ".partial-0123456789ab.png", "000099.png", "routes.jsonl", "mine.png"):
        (left / name).write_text("{")
    run(tmp_path / "cut", clips(), 2, keep={"clip_3"})
    (left / "mine.png").unlink()  # another's file stays
    made = {path.name: path.read_bytes() for path in left.iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "whole/labels/clip_3").iterdir()}


def test_a_policy_that_goes_by_the_clock_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"goes by this machine's clock.*--budget"):
        evaluate(tiny_params(), clips(), config=TINY.replace(policy=FrameRate(25)), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stepping", ["together", "apart"])
def test_streams_are_refilled_and_frames_come_in_order(stepping):
    seen: dict[int, list[int]] = {}
    ends = []
    frames = [clip.frames for clip in clips()]
    for event in stream_clips(tiny_params(), frames, config=CONFIG, streams=2, stepping=stepping):
        if isinstance(event, ClipEnd):
            ends.append((event.clip, event.frames))
        else:
            seen.setdefault(event.clip, []).append(event.number)
    assert seen == {index: list(range(length)) for index, length in enumerate(LENGTHS)}
    assert sorted(ends) == list(enumerate(LENGTHS))
    with pytest.raises(InputError, match="expected 1 or more"):
        list(stream_clips(tiny_params(), [], config=CONFIG, streams=0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """clips/ and labels/: five clips, some of their frames labelled."""
    root = tmp_path_factory.mktemp("data")
    for number, clip in enumerate(clips()):
        paths = write_images(root / "clips" / clip.name, np.stack([image for image, _ in clip.frames]))
        (root / "labels" / clip.name).mkdir(parents=True)
        for index in range(0, LENGTHS[number], 2):
            write_png(root / "labels" / clip.name / f"{paths[index].stem}.png", clip.frames[index].labels)
    return root


def spec(folder: Path) -> str:
    return f"clips:{folder / 'clips'}:{folder / 'labels'}"


def options(folder: Path, weights: str, out: Path, *more: str) -> list[str]:  # noqa: F811
    return ["evaluate", spec(folder), "--weights", weights, "--out", str(out), "--target", "50", *more]


def lines(out: Path) -> dict[str, dict]:
    text = "".join(path.read_text() for path in out.glob("clips*.jsonl"))
    return {record["clip"]: counted(ClipRecord.from_json(record)) for record in map(json.loads, text.splitlines())}


def test_a_folder_of_clips_is_read_and_what_is_lost_is_told(folder, tmp_path):
    [_, second, *_] = evaluated_clips([spec(folder)], num_classes=5)
    frames = list(second.frames)
    assert second.name == "clip_1" and len(frames) == 5
    for index, ((image, labels), (own, truth)) in enumerate(zip(frames, clips()[1].frames, strict=True)):
        assert (image == own).all() and (labels == truth).all(), index
    assert [clip.name for clip in evaluated_clips([spec(folder)], only=["clip_1"])] == ["clip_1"]
    twice = [clip.name for clip in evaluated_clips([spec(folder)] * 2, only=["clip_1"])]
    assert twice == ["clip_1", "clip_1-2"]
    [half, *_] = evaluated_clips([f"{spec(folder)}@0.5"], num_classes=5)
    assert next((image.shape[:2], labels.shape) for image, labels in half.frames) == ((32, 48), (64, 96))
    [alone] = folder_clips(folder / "clips" / "clip_0", folder / "labels" / "clip_0", num_classes=5)
    assert alone.name == "clip_0" and len(list(alone)) == 3

    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "drive.mp4", video(4)[:, 0])
    (tmp_path / "truth" / "drive").mkdir(parents=True)
    write_png(tmp_path / "truth" / "drive" / "frame_000002.png", np.full((64, 96), 3, np.uint8))
    leave_behind(tmp_path)
    [drive] = folder_clips(tmp_path / "videos", tmp_path / "truth", num_classes=5)
    assert [int(labels.min()) for _, labels in drive] == [255, 255, 3, 255]
    write_png(tmp_path / "truth" / "drive" / "frame_9.png", np.full((64, 96), 3, np.uint8))
    with pytest.raises(InputError, match=r"frame_9\.png: is called as no frame"):
        list(drive)
    (tmp_path / "truth" / "other").mkdir()
    for wrong, message in (
        (lambda: folder_clips(tmp_path / "videos", tmp_path / "truth"), "other: is called as no clip"),
        (lambda: folder_clips(tmp_path / "truth" / "other"), "neither images nor folders"),
        (lambda: folder_clips(tmp_path / "videos", tmp_path / "videos"), "no folder called as a clip"),
        (lambda: evaluated_clips([spec(folder)], only=["x"]), "none of its 5 begins with x; they are called like"),
        (lambda: evaluated_clips(["street:1:1:64x96"], protocol="snippets"), "protocol of snippets is Cityscapes'"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()


def test_the_command_writes_tables_and_a_report_and_goes_on(folder, weights, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "out"
    assert main(options(folder, weights, out, "--every-frame", "--show", "1", "--streams", "2")) == 0
    printed = capsys.readouterr().out
    assert (out / "table.md").read_text() == printed and "mIoU kept" in printed and "| clip_4 | 2 | 1 |" in printed
    found = json.loads((out / "results.json").read_text())
    assert found["clips"] == 5 and found["frames"] == 15 and found["labelled"] == 9 and 0 < found["share"] < 1
    assert 0 < found["dvsnet"]["mean_iou"] < 1 and 0 <= found["agreement"] < 1 and found["decision_mae"] > 0
    page = (out / "report.html").read_text()
    assert "clip_0 + 2" in page and "clip_1 + 0" not in page
    assert sorted(path.name for path in (out / "labels").iterdir()) == ["clip_0"]
    assert read_labels(out / "labels" / "clip_0" / "000002.png").shape == (64, 96)
    before = lines(out)

    assert main(options(folder, weights, out, "--every-frame", "--show", "1")) == 0
    assert "5 of the clips were there before" in capsys.readouterr().err and lines(out) == before
    assert main(options(folder, weights, out, "--show", "1")) == 1
    told = capsys.readouterr().err
    assert "every_frame was true and is now false: this folder is of another run" in told and "(--out)" in told
    assert main(options(folder, weights, out, "--every-frame", "--precision", "bfloat16")) == 1
    assert 'precision was "float32" and is now "bfloat16"' in capsys.readouterr().err


def test_labels_that_are_wanted_later_are_made_then(folder, weights, tmp_path, capsys):  # noqa: F811
    """Of clips that are through; the numbers stay what they were, and once made they are there."""
    call = options(folder, weights, tmp_path / "out", "--no-consistency", "--only", "clip_1", "clip_4")
    assert main([*call, "--show", "0"]) == 0 and not (tmp_path / "out" / "labels").exists()
    before = lines(tmp_path / "out")
    capsys.readouterr()
    assert main([*call, "--show", "0", "--keep-labels"]) == 0
    assert "labels of 2 clips were not kept by the earlier run" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out" / "labels").iterdir()) == ["clip_1", "clip_4"]
    assert lines(tmp_path / "out") == before
    assert main([*call, "--show", "1"]) == 0
    assert "2 of the clips were there before" in capsys.readouterr().err
    assert "clip_1 + 4" in (tmp_path / "out" / "report.html").read_text()


def test_a_clip_whose_labels_were_corrected_is_evaluated_anew(folder, weights, tmp_path, capsys):  # noqa: F811
    shutil.copytree(folder, tmp_path / "data")
    call = options(tmp_path / "data", weights, tmp_path / "out", "--no-consistency", "--show", "0")
    assert main(call) == 0
    before = lines(tmp_path / "out")
    label = next((tmp_path / "data" / "labels" / "clip_1").iterdir())
    write_png(label, np.full((64, 96), 255, np.uint8))
    capsys.readouterr()
    assert main(call) == 0
    told = capsys.readouterr().err
    assert "4 of the clips were there before" in told and "files of 1 clips have changed" in told
    after = lines(tmp_path / "out")
    assert after.pop("clip_1")["labelled"] == before.pop("clip_1")["labelled"] - 1 and after == before
    assert main(call) == 0
    assert "5 of the clips were there before" in (told := capsys.readouterr().err) and "changed" not in told


def test_labels_that_count_from_one_are_told(folder, weights, tmp_path, capsys):  # noqa: F811
    call = ["--weights", weights, "--only", "clip_1", "--no-consistency", "--interval", "1", "--out"]
    assert main(["evaluate", f"clips:{folder / 'clips'}", *call, str(tmp_path / "a"), "--show", "1"]) == 0
    assert "count classes from 1" not in capsys.readouterr().err
    for number, path in enumerate(sorted((tmp_path / "a" / "labels" / "clip_1").glob("*.png"))):
        found = read_labels(path)
        assert len(np.unique(found)) > 3
        (tmp_path / "labels" / "clip_1").mkdir(parents=True, exist_ok=True)
        above = np.where(found < 4, found + 1, VOID).astype(np.uint8)
        write_png(tmp_path / "labels" / "clip_1" / f"street_{number:03d}.png", above)
    data = f"clips:{folder / 'clips'}:{tmp_path / 'labels'}"
    assert main(["evaluate", data, *call, str(tmp_path / "b"), "--show", "0"]) == 0
    assert "the true labels seem to count classes from 1" in capsys.readouterr().err


def test_data_of_other_classes_than_the_networks_are_refused(weights, tmp_path, capsys, monkeypatch):  # noqa: F811
    """By the names that its classes have; read as its own, or as classes of whatever it has, they are taken."""
    names = ("wall", "building", "sky", "floor", "tree")
    network = SegmentationFunction(function=lambda params, images: images, num_classes=5, classes=names)
    config = TINY.replace(segmentation=network)
    for place in ("evaluate", "policies"):
        monkeypatch.setattr(f"dvsnet_jax.cli.commands.{place}.load_weights", lambda *places: (tiny_params(), config))
    monkeypatch.setattr("dvsnet_jax.networks.prepare", lambda params, config, **more: params)
    for words in (
        ["evaluate", "street:1:1:64x96", "--out", str(tmp_path / "out")],
        ["policies", "--data", "vspw:x:val"],
    ):
        assert main(words) == 1
        told = capsys.readouterr().err
        assert "read as Cityscapes' 19 classes, but this network has 5 others: its class 0 is 'wall'" in told
        assert "--classes cityscapes" in told
    check_classes(["clips:x", "folder:a:b"], config)
    own = replace(network, num_classes=len(vspw.CLASSES), classes=vspw.CLASSES)
    check_classes(["vspw:x:val"], config.replace(segmentation=own))
    check_classes(["camvid:x:val", "cityscapes:x:val"], TINY)


def test_camvids_names_are_of_its_own_classes_and_of_those_that_become_them():
    evaluation = Evaluate(data=("camvid:x:val",))
    for count, counted in ((5, "own"), (11, "camvid"), (19, "camvid"), (21, "own")):
        config: Any = SimpleNamespace(num_classes=count, segmentation=None)
        assert evaluation._classes(config) == counted
        assert len(class_names(config, counted)) == (count if counted == "own" else 11)


@pytest.mark.parametrize("num_classes", [19, 11])
def test_the_player_shows_camvid_with_void_labels_and_by_its_own_classes(tmp_path, num_classes):
    """Of 19 classes those that count as one are shown as one; of its own 11 none is, and void stays void."""
    place = tmp_path / "labels" / "drive"
    place.mkdir(parents=True)
    labels = np.full((64, 96), 14 if num_classes == 19 else 8, np.uint8)  # a truck; a car
    labels[:, :40] = VOID
    write_png(place / "000000.png", labels)
    line = {"scores": [None], "targets": [50.0], "segmented": [True], "untrusted": [True]}
    (place / "routes.jsonl").write_text(json.dumps(line) + "\n")
    truth = np.full((64, 96), 13 if num_classes == 19 else 8, np.uint8)  # a car
    clip = NamedClip("drive", [LabelledImage(np.zeros((64, 96, 3), np.uint8), truth)])
    [frame] = KeptFrames(tmp_path, clip, num_classes, "camvid")
    assert (frame.labels[:, 40:] == truth[0, 0]).all() and (frame.labels[:, :40] == VOID).all()
    assert frame.mean_iou == 1  # of what has labels


def test_labels_that_were_named_and_are_not_there_are_told(folder, weights, tmp_path, capsys):  # noqa: F811
    (tmp_path / "labels" / "clip_0").mkdir(parents=True)
    clips = f"clips:{folder / 'clips'}:{tmp_path / 'labels'}"
    call = ["evaluate", clips, "--weights", weights, "--out", str(tmp_path / "out"), "--only", "clip_0"]
    assert main([*call, "--no-consistency", "--show", "0"]) == 0
    assert "no frame has a label that counts, so there is no mIoU" in capsys.readouterr().err


def test_the_command_tells_of_frames_that_cannot_be_trusted(folder, weights, tmp_path, capsys, monkeypatch):  # noqa: F811
    """Weights whose decision network gives NaN: everything is segmented, and the reason is told in one line."""
    last = {**tiny_params()["decision"]["fully_connected_3"], "biases": np.full(1, np.nan, np.float32)}
    params = {**tiny_params(), "decision": {**tiny_params()["decision"], "fully_connected_3": last}}
    monkeypatch.setattr("dvsnet_jax.cli.commands.evaluate.load_weights", lambda *places: (params, CONFIG))
    assert main(options(folder, weights, tmp_path / "out", "--no-consistency")) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "all clips: 10 of 15 frames have regions that cannot be trusted" in told  # all but each clip's first
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["untrusted_frames"] == 10 and found["share"] == 1


def test_a_corrupt_clip_is_reported_and_the_command_fails(folder, weights, tmp_path, capsys):  # noqa: F811
    for name in ("clip_0", "clip_2"):
        write_images(tmp_path / "clips" / name, np.stack([image for image, _ in clips()[0].frames]))
    bad = tmp_path / "clips" / "clip_2" / "street_001.png"
    content = bad.read_bytes()
    bad.write_bytes(content[:100])
    call = ["evaluate", f"clips:{tmp_path / 'clips'}", "--weights", weights, "--out", str(tmp_path / "out")]
    assert main([*call, "--no-consistency"]) == 1
    told = capsys.readouterr()
    assert "clip_2 does not count" in told.err and "street_001.png: cannot be read" in told.err
    assert "| clip_2 | – | – | – | – |" in told.out and "street_001" in (tmp_path / "out" / "report.html").read_text()
    bad.write_bytes(content)  # mended, it is tried again
    assert main([*call, "--no-consistency"]) == 0
    assert sorted(lines(tmp_path / "out")) == ["clip_0", "clip_2"]


def test_the_command_interrupted_says_how_to_go_on(weights, tmp_path, capsys, monkeypatch):  # noqa: F811
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("dvsnet_jax.evaluation.evaluate.evaluate", interrupted)
    call = ["evaluate", "street:1:1:64x96", "--weights", weights, "--out", str(tmp_path / "out")]
    assert main(call) == 130
    assert "dvsnet: interrupted; the same command does only what is left" in capsys.readouterr().err


def test_a_full_disk_leaves_the_log_in_whole_lines(tmp_path, monkeypatch):
    found = run(tmp_path, clips()[:2], 2)
    log, path = ClipLog(tmp_path), tmp_path / "clips.jsonl"
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dvsnet_jax.evaluation.clips.log.os.fsync", full)
    with pytest.raises(InputError, match=r"clips\.jsonl: cannot be written \(No space left on device\)"):
        log.append(replace(found.records[0], clip="another"))
    assert path.read_bytes() == before and "another" not in log.records


def test_files_of_somebody_else_are_not_written_over(weights, tmp_path, capsys):  # noqa: F811
    (tmp_path / "table.md").write_text("mine")
    call = ["evaluate", "street:1:1:64x96", "--weights", weights, "--out", str(tmp_path)]
    assert main(call) == 1
    assert f"{tmp_path / 'table.md'}: is there, but no settings.json" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "nothing to evaluate"),
        (["street:1:1:64x96", "--streams", "0"], 2, "--streams is 0"),
        (["street:1:1:64x96", "--fps", "25"], 1, "goes by this machine's clock"),
        (["moving:x"], 1, "expected clips:CLIPS"),
        (["--data", "moving:x"], 1, "expected clips:CLIPS"),
        (["."], 1, "for a folder of clips write clips:."),
        (["camvid:missing:val"], 1, "missing/val: is not a folder"),
        (["clips:missing"], 1, "missing: is not a folder"),
    ],
)
def test_wrong_options_are_told(arguments, status, message, weights, tmp_path, capsys):  # noqa: F811
    assert main(["evaluate", *arguments, "--weights", weights, "--out", str(tmp_path / "out")]) == status
    assert message in capsys.readouterr().err


COMMAND = ("-m", "dvsnet_jax")


def start(folder: Path, weights: str, out: Path, *more: str, program=COMMAND, **environment) -> subprocess.Popen:  # noqa: F811
    return subprocess.Popen(
        [sys.executable, *program, *options(folder, weights, out, "--no-consistency", *more)],
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    return told


BOTH_WAYS = """
import sys
from dvsnet_jax.cli import main
place = sys.argv.index("--out") + 1
for step in ("together", "apart"):
    out = f"{sys.argv[place]} {step}"
    if status := main([*sys.argv[1:place], out, *sys.argv[place + 1:], "--step", step]):
        sys.exit(status)
"""


def test_one_stream_eight_streams_eight_devices_and_two_processes_count_alike(folder, weights, tmp_path):  # noqa: F811
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    devices = several_devices(8)
    others = [start(folder, weights, tmp_path / "devices", "--streams", "8", program=("-c", BOTH_WAYS), **devices)]
    # What srun sets, but for the port.
    job = {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    for process in map(str, range(2)):
        task = {**job, "SLURM_PROCID": process, "SLURM_LOCALID": process, "JAX_COORDINATOR_ADDRESS": address}
        others.append(start(folder, weights, tmp_path / "processes", "--streams", "2", "--distributed", **task))
    for streams, step in (("1", "auto"), ("8", "apart"), ("8", "together")):
        more = ["--no-consistency", "--streams", streams, "--step", step]
        assert main(options(folder, weights, tmp_path / f"{streams} {step}", *more)) == 0
    for process in others:
        finish(process)
    one = lines(tmp_path / "1 auto")
    assert len(one) == 5 and sum(record["segmented"] for record in one.values()) > 20
    for other in ("8 apart", "8 together", "devices together", "devices apart", "processes"):
        assert lines(tmp_path / other) == one, other
        results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("1 auto", other)]
        for result in results:
            result.pop("ms_per_frame")
        assert results[0] == results[1]
    assert (tmp_path / "processes" / "clips-1.jsonl").read_text().count("\n") == 2


def test_a_killed_evaluation_goes_on(folder, weights, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    process = start(folder, weights, out, "--streams", "1")
    log = out / "clips.jsonl"
    while process.poll() is None and not (log.exists() and log.read_bytes()):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = log.read_bytes()
    assert main(options(folder, weights, out, "--no-consistency", "--streams", "1")) == 0
    whole = before[: before.rfind(b"\n") + 1]
    assert whole and log.read_bytes().startswith(whole) and len(lines(out)) == 5
