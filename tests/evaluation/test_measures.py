"""The measures of an evaluation: each from the frames themselves, in any order, and in table and report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import TINY, tiny_params, video
from tiny_files import weights, write_images  # noqa: F401

from dvsnet_jax import ExpectedConfidence
from dvsnet_jax.cli import main
from dvsnet_jax.datasets.flow.dis import dense_flow
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.evaluation.clips.label_counts import LabelCounts, LabelledWay, add_label_counts
from dvsnet_jax.evaluation.clips.scores import ClipRecord, pooled
from dvsnet_jax.evaluation.clips.sources import NamedClip
from dvsnet_jax.evaluation.evaluate import evaluate
from dvsnet_jax.evaluation.reports.evaluation import results
from dvsnet_jax.inference.streaming.streams import SegmentedFrame, stream_clips
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics import object_size, published_tc, segmentation, tracking, windows

CONFIG = TINY.replace(policy=ExpectedConfidence(50.0))
LENGTHS = (10, 1, 9)


def clips() -> list[NamedClip]:
    """Clips every frame of which has labels that change here and there, void among them."""
    found = []
    for number, length in enumerate(LENGTHS):
        frames = video(length, height=64, width=96, seed=number)[:, 0]
        rng = np.random.default_rng(number)
        truth = np.repeat(rng.integers(0, 6, (1, 8, 12), np.uint8), length, 0)
        changed = rng.random(truth.shape) < 0.03
        truth = np.where(changed, rng.integers(0, 6, truth.shape, np.uint8), truth).repeat(8, 1).repeat(8, 2)
        truth[truth == 5] = 255
        found.append(NamedClip(f"clip_{number}", [LabelledImage(*each) for each in zip(frames, truth, strict=True)]))
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return evaluate(
        tiny_params(),
        clips(),
        config=CONFIG,
        folder=folder,
        streams=2,
        every_frame=True,
        published_tc={"vspw": dense_flow, "etc": dense_flow},
    )


@pytest.fixture(scope="module")
def labels():
    """What each clip's frames were labelled as: (labels, whole, image, truth) in order."""
    seen: dict[int, list] = {}
    frames = [clip.frames for clip in clips()]
    for event in stream_clips(tiny_params(), frames, config=CONFIG, streams=2, every_frame=True):
        if isinstance(event, SegmentedFrame):
            seen.setdefault(event.clip, []).append((event.labels, event.whole, *event.sample))
    return [seen[clip] for clip in range(len(LENGTHS))]


@pytest.mark.parametrize(("way", "name"), [(0, "dvsnet"), (1, "every_frame")])
def test_every_measure_is_that_of_the_frames(found, labels, way, name):
    numbers = results(found, tiny_params(), CONFIG)[name]
    matrix, quality, sizes = np.zeros((5, 5), np.int64), np.zeros((6, 6), np.int64), np.zeros((3, 5, 3), np.int64)
    per_clip, vspw, etc = [], [], []
    for frames in labels:
        own = windows.WindowedConsistency(5)
        for before, frame in zip([None, *frames], frames, strict=False):
            ours, truth = frame[way], frame[3]
            matrix += np.asarray(segmentation.confusion_matrix(ours, truth, 5))
            quality += tracking.quality_matrix(ours, truth, 5)
            sizes += object_size.size_counts(ours, truth, 5)
            own.add(ours, truth)
            if before is not None:
                flow = dense_flow(before[2], frame[2])
                vspw.append(published_tc.vspw_tc_counts(before[way], ours, flow, 5))
                etc.append(published_tc.etc_tc_counts(before[way], ours, flow, 5))
        per_clip.append(own.counts()[8])
    total = windows.add_windows(per_clip)
    expected = {
        "mean_iou": segmentation.mean_iou(matrix),
        "mean_iou_true": segmentation.mean_iou(matrix, absent="untrue"),
        "weighted_iou": segmentation.frequency_weighted_iou(matrix),
        "segmentation_quality": tracking.segmentation_quality(quality),
        "vc8": windows.vspw_vc(total),
        "vc8_corrected": windows.corrected_vc(total),
        "vec8": windows.vec(total),
        "tc": published_tc.vspw_tc(published_tc.add_counts(vspw)),
        "tc_etc": published_tc.etc_tc(published_tc.add_counts(etc)),
    }
    by_size = dict(zip(("iou_small", "iou_medium", "iou_large"), object_size.size_ious(sizes).tolist(), strict=True))
    expected |= {size: None if np.isnan(value) else value for size, value in by_size.items()}
    assert {measure: numbers[measure] for measure in expected} == pytest.approx(expected, abs=1e-12)
    assert numbers["vc16"] is None and total.vspw_windows == 2 + 0 + 1  # no clip has 17 frames


def test_worst_frames_are_those_of_lowest_iou(found, labels):
    own = [
        (f"clip_{clip}", number, segmentation.mean_iou(segmentation.confusion_matrix(frame[0], frame[3], 5)))
        for clip, frames in enumerate(labels) for number, frame in enumerate(frames)
    ]  # fmt: skip
    lowest = sorted(own, key=lambda frame: frame[2])[:10]
    worst = pooled(found.records).worst
    assert len(worst) == 10 and [each[2] for each in worst] == pytest.approx([each[2] for each in lowest], abs=1e-6)
    assert {each[:2] for each in worst} <= {each[:2] for each in own}


def test_records_come_back_from_json_and_add_up_in_any_order(found):
    again = [ClipRecord.from_json(json.loads(json.dumps(record.as_json()))) for record in found.records]
    assert again == found.records
    one, other = (pooled(each).dvsnet for each in (found.records, found.records[::-1]))
    for length, counts in one.windows.items():
        assert counts == pytest.approx(other.windows[length], abs=1e-12)
    assert (one.confusion, one.sizes, one.void, one.published) == (
        other.confusion, other.sizes, other.void, other.published,
    )  # fmt: skip


def test_what_an_older_version_has_not_counted_is_not_said(found):
    record = found.records[0].as_json()
    older = {name: record["dvsnet"][name] for name in ("confusion", "outlines", "carried")}
    total = add_label_counts([LabelCounts(**older), found.records[1].dvsnet])
    assert total.windows is total.sizes is total.published is total.void is None
    assert np.sum(total.confusion) > 0
    del record["worst"]
    assert ClipRecord.from_json(record).worst == []


def test_frames_without_labels_part_the_windows():
    still = np.zeros((8, 8), np.uint8)
    way = LabelledWay(2)
    for number in range(20):
        if number == 9:
            way.count_no_truth()
        else:
            way.count_truth(still, still)
    assert windows.WindowCounts(*way.counts().windows["8"]).vspw_windows == (9 - 8) + (10 - 8)
    way.count_truth(still[:4], still[:4])  # labels of another size: another run of frames
    assert windows.WindowCounts(*way.counts().windows["8"]).vec_windows == (9 - 7) + (10 - 7)


def test_the_row_of_vspws_tables_and_all_else_are_printed(weights, tmp_path, capsys):  # noqa: F811
    for clip in clips():
        paths = write_images(tmp_path / "clips" / clip.name, np.stack([image for image, _ in clip.frames]))
        (tmp_path / "labels" / clip.name).mkdir(parents=True)
        for path, (_, truth) in zip(paths, clip.frames, strict=True):
            write_png(tmp_path / "labels" / clip.name / f"{path.stem}.png", truth)
    call = [
        "evaluate", f"clips:{tmp_path / 'clips'}:{tmp_path / 'labels'}", "--weights", weights, "--target", "50",
        "--out", str(tmp_path / "out"), "--show", "1",
    ]  # fmt: skip
    assert main([*call, "--protocol", "vspw"]) == 0
    printed = capsys.readouterr().out
    columns, _, row = printed.splitlines()[:3]
    assert columns == "| by VSPW's programs | mIoU | weighted IoU | TC (other flow) | VC8 | VC16 |"
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())["dvsnet"]
    assert [f"{numbers[name]:.2%}" for name in ("mean_iou_true", "weighted_iou", "tc", "vc8")] == [
        cell.strip() for cell in row.split("|")[2:6]
    ]
    assert "| IoU of large objects |" in printed and "| worst frames: clip |" in printed
    assert "VC8: steady and right" in (tmp_path / "out" / "report.html").read_text()
    assert main([*call, "--protocol", "all"]) == 1
    assert 'protocol was "vspw" and is now "all"' in capsys.readouterr().err
