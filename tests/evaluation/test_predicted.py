"""`dvsnet measure labels`: label files of any program count as DVSNet's own do, and what does not fit is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_sets
from PIL import Image
from tiny_files import weights  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.datasets.clips import named_clips
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.predicted import measure_predicted
from dvsnet_jax.evaluation.reports.evaluation import label_metrics
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics.tracking import association_quality
from dvsnet_jax.visualize import CITYSCAPES_COLORS


def kitti(root: Path) -> str:
    (spec,) = tiny_sets.kitti_step(root)
    return spec


def copied_truth(root: Path) -> Path:
    return Path(shutil.copytree(root / "panoptic_maps/val", root / "predicted"))


def test_labels_of_an_evaluation_count_as_they_did_there(weights, tmp_path, capsys):  # noqa: F811
    spec, out = kitti(tmp_path / "set"), tmp_path / "out"
    call = ["evaluate", spec, "--weights", weights, "--target", "50", "--protocol", "vspw", "--out", str(out)]
    assert main([*call, "--keep-labels", "--show", "0"]) == 0
    for folder in (out, out / "labels"):  # as killed runs leave them
        (folder / ".partial-0123456789ab.png").write_bytes(b"")
    assert main([*call, "--keep-labels", "--show", "0"]) == 0
    assert not list(out.rglob(".partial-*"))
    there = json.loads((out / "results.json").read_text())["dvsnet"]
    capsys.readouterr()
    assert main(["measure", "labels", "--data", spec, "--predicted", str(out / "labels"), "--num-classes", "5"]) == 0
    printed = capsys.readouterr().out
    assert "2 clips, 4 frames, 4 with labels" in printed and "AQ" not in printed
    for title, name in (
        ("mIoU, over the classes that occur", "mean_iou"), ("SQ, the semantic half of STQ", "segmentation_quality"),
        ("temporal consistency", "temporal_consistency"), ("boundary F-score", "boundary_f"),
        ("TC as ETC's program has it, flow by dense inverse search", "tc_etc"),
    ):  # fmt: skip
        assert f"| {title} | {there[name]:.2%} |" in printed, title


def test_panoptic_maps_give_stq_whole(tmp_path, capsys):
    spec, predicted = kitti(tmp_path), copied_truth(tmp_path)
    call = ["measure", "labels", "--data", spec, "--predicted", str(predicted), "--no-consistency"]
    # No thing is in this truth: person and car are 11 and 13.
    for sequence, number, left in (("0002", 0, 13), ("0002", 1, 13), ("0006", 0, 11)):
        for folder in (predicted, tmp_path / "panoptic_maps/val"):
            tiny_sets.panoptic(folder / sequence / f"{number:06d}.png", left, 255, 300)
    assert main(call) == 0
    assert "AQ 100.00%, STQ 100.00%" in capsys.readouterr().out
    tiny_sets.panoptic(predicted / "0002/000001.png", 13, 255, 301)
    found = measure_predicted(named_clips([spec]), predicted, has_ids=True)
    assert found.tubes.tubes == 2 and association_quality(found.tubes) == (0.5 + 1) / 2
    assert label_metrics(found.labels)["mean_iou"] == 1


def test_stq_of_some_clips_is_not_told(tmp_path):
    """Where the maps of one clip have ids and those of another have none, it would be of the first alone."""
    spec, predicted = kitti(tmp_path), copied_truth(tmp_path)
    tiny_sets.ids(predicted / "0006/000000.png", 3, 255)
    with pytest.raises(InputError, match=r"0006: holds class ids alone, but 0002 panoptic maps; STQ is of all clips"):
        measure_predicted(named_clips([spec]), predicted, has_ids=True)
    (predicted / "0006/000000.png").unlink()
    with pytest.raises(InputError, match=r"000000\.png: is missing, expected predicted labels"):
        measure_predicted(named_clips([spec]), predicted, has_ids=True)


def test_frames_without_labels_or_predictions_are_passed_over(tmp_path):
    (spec,) = tiny_sets.cityscapes_vps(tmp_path)
    clips = named_clips([spec])
    ((name, clip),) = clips
    for file in clip.files:
        if file.labels.is_file():
            (tmp_path / "predicted" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file.labels, tmp_path / "predicted" / name / f"{file.image.stem}.png")
    found = measure_predicted(clips, tmp_path / "predicted")
    assert (found.frames, found.labelled) == (3, 3) and label_metrics(found.labels)["mean_iou"] == 1


def sorted_palette(path):
    """Void is 3 now, and the others go by their colours."""
    picture = Image.fromarray(np.arange(64 * 96, dtype=np.int64).reshape(64, 96).astype(np.uint8) % 5)
    picture.putpalette(np.array([*CITYSCAPES_COLORS[2::-1], (0, 0, 0), CITYSCAPES_COLORS[13]], np.uint8).tobytes())
    picture.save(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "0002/000001.png: is missing, expected predicted labels of 000001.png"),
        (lambda path: write_png(path, np.zeros((32, 48), np.uint8)), "is 48 × 32, but its frame is 96 × 64"),
        (lambda path: write_png(path, np.full((64, 96), 26, np.uint8)), "they look like Cityscapes' labelIds"),
        (sorted_palette, "in another order than its ids, as PNG optimisers (oxipng) leave it"),
        (lambda path: Image.fromarray(np.full((64, 96), 26001, np.uint16)).save(path), "which look like instance ids"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, capsys, change, message):
    spec = kitti(tmp_path)
    for path in (tmp_path / "panoptic_maps/val").rglob("*.png"):
        tiny_sets.ids(tmp_path / "predicted" / path.parent.name / path.name, 0, 255)
    change(tmp_path / "predicted/0002/000001.png")
    call = ["measure", "labels", "--data", spec, "--predicted", str(tmp_path / "predicted"), "--no-consistency"]
    assert main(call) == 1
    assert message in " ".join(capsys.readouterr().err.split())


def test_camvid_by_a_network_of_its_own_classes(tmp_path, capsys):
    """Its 11 classes are the truth's, by their names; as Cityscapes' the same files are as right."""
    for folder, ids in (("val", 60), ("valannot", 8), ("own/0001TP_000000", 8), ("cityscapes/0001TP_000000", 13)):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(2):
            picture = np.full((64, 96), ids, np.uint8)
            picture[:, 40:] = {8: 3, 13: 0}.get(ids, ids)  # road beside the car
            write_png(tmp_path / folder / f"0001TP_{number:06d}.png", picture)
    call = ["measure", "labels", "--data", f"camvid:{tmp_path}:val", "--no-consistency", "--predicted"]
    for words in ([str(tmp_path / "own"), "--num-classes", "11"], [str(tmp_path / "cityscapes")]):
        assert main([*call, *words]) == 0
        printed = capsys.readouterr().out
        assert "| pixel accuracy | 100.00% |" in printed and "| car | 100.00% |" in printed and "| road |" in printed


def test_labels_that_count_from_one_are_told(tmp_path, capsys):
    """In the truth or in what is predicted; one that no class has is refused with the way to mend it."""
    for folder, first in (("frames", 0), ("ones", 1), ("zeros", 0), ("predicted/frames", 0), ("above/frames", 1)):
        (tmp_path / folder).mkdir(parents=True)
        picture = np.full((64, 96), 255, np.uint8) if first else np.zeros((64, 96), np.uint8)
        picture[:, 16:] = np.arange(5, dtype=np.uint8).repeat(16) + first
        write_png(tmp_path / folder / "frame_0.png", picture)
    call = ["measure", "labels", "--no-consistency", "--data"]
    for truth, predicted, told in (
        ("ones", "predicted", "the true labels seem to count classes from 1"),
        ("zeros", "above", "the predicted labels seem to count classes from 1"),
        ("zeros", "predicted", ""),
    ):
        spec = f"frames:{tmp_path / 'frames'}:{tmp_path / truth}"
        assert main([*call, spec, "--predicted", str(tmp_path / predicted)]) == 0
        said = capsys.readouterr().err
        assert told in said and ("count classes" in said) == bool(told)
    ones = f"frames:{tmp_path / 'frames'}:{tmp_path / 'ones'}"
    assert main([*call, ones, "--predicted", str(tmp_path / "predicted"), "--num-classes", "5"]) == 1
    assert "holds label 5, expected 0 to 4 or 255 (void); where classes are counted from 1" in capsys.readouterr().err
