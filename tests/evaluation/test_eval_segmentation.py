"""Every picture segmented, whole and in regions, and eval/segmentation.py, which prints it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipes import varied_params
from tiny import TINY, video
from tiny_files import write_images

from dvsnet_jax import (
    CarriedMotionConfig,
    LocalDecisionConfig,
    SegmentationFunction,
    checkpoints,
    init_state,
    networks,
    segment_frame,
)
from dvsnet_jax.cli import main
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation import segmentation
from dvsnet_jax.evaluation.segmentation import disagreement, in_regions, label, whole
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics.segmentation import mean_iou, pixel_accuracy
from dvsnet_jax.video import region_grid

EVAL = Path(__file__).parents[2] / "eval"


@pytest.fixture(scope="module")
def params():
    return varied_params()


@pytest.fixture(scope="module")
def pictures(params):
    """Two pictures whose labels are those of segmenting them whole, but for a void strip and wrong rows."""
    found = []
    for image in video(4)[::2, 0]:
        labels = np.array(label(params["segmentation"], image[None], config=TINY.segmentation))[0]
        labels[:8] = 255
        labels[-16:] = (labels[-16:] + 1) % 5
        found.append(LabelledImage(image, labels))
    return found


def test_whole_pictures_and_regions_are_counted(params, pictures):
    matrix = whole(params["segmentation"], pictures, TINY.segmentation)
    assert matrix.sum() == 2 * 56 * 96
    assert pixel_accuracy(matrix) == pytest.approx(40 / 56)
    counted = []
    cut = in_regions(params, pictures, TINY, on_picture=counted.append)
    assert counted == [1, 2] and cut.sum() == matrix.sum() and (cut.sum(1) == matrix.sum(1)).all()
    right = 0
    for image, truth in pictures:
        state = init_state(params, image[None], config=TINY)
        shown = np.asarray(segment_frame(params, state, image[None], config=TINY)[1].labels)[0]
        right += int(((shown == truth) & (truth != 255)).sum())
    assert np.trace(cut) == right and (cut != matrix).any()


def test_whole_is_as_a_frame_of_one_region(params, pictures):
    """Of sizes that are no multiple of 16, too: unpadded, the strides halve them askew."""
    odd = [
        LabelledImage(np.pad(image, ((0, 7), (0, 5), (0, 0)), "reflect"), np.pad(labels, ((0, 7), (0, 5))))
        for image, labels in pictures
    ]
    matrix = whole(params["segmentation"], odd, TINY.segmentation)
    assert (matrix == in_regions(params, odd, TINY.replace(regions=(1, 1)))).all()


def test_weights_that_carry_motion_are_measured_without_it(params, pictures):
    carried = TINY.replace(flow=CarriedMotionConfig(), decision=LocalDecisionConfig())
    same = {**networks.init_params(jax.random.key(0), carried), "segmentation": params["segmentation"]}
    assert (in_regions(same, pictures, carried) == in_regions(params, pictures, TINY)).all()


def by_brightness(params, images):
    """One class all over a region: 1 where it is bright on the whole."""
    bright = images.mean((1, 2, 3))[:, None, None, None] > 127
    scores = jnp.where(bright, jnp.asarray([0.0, 1.0]), jnp.asarray([1.0, 0.0]))
    return jnp.broadcast_to(scores, (len(images), images.shape[1] // 8, images.shape[2] // 8, 2))


def test_neighbouring_regions_that_differ_are_counted():
    config = TINY.replace(segmentation=SegmentationFunction(function=by_brightness, num_classes=2))
    params = {"segmentation": {}}
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, 48:] = 255  # the two regions on the right are bright
    pictures = [LabelledImage(image, np.zeros((64, 96), np.uint8))]
    grid = region_grid(config, 64, 96)
    assert (grid.rows, grid.columns) == (2, 2) and grid.overlap > 0
    expected = grid.region_height / (grid.region_height + grid.region_width)
    assert disagreement(params, pictures, config) == pytest.approx(expected)
    assert disagreement(params, [LabelledImage(image * 0, pictures[0].labels)], config) == 0
    assert np.isnan(disagreement(params, pictures, config.replace(overlap=0)))
    with pytest.raises(InputError, match="a picture of 20 × 20"):
        disagreement(params, [LabelledImage(image[:20, :20], pictures[0].labels[:20, :20])], config)


def test_what_cannot_be_measured_is_refused(params, pictures):
    image = pictures[0].image
    void = [LabelledImage(image, np.full(image.shape[:2], 255, np.uint8))]
    with pytest.raises(InputError, match="every label is void"):
        whole(params["segmentation"], void, TINY.segmentation)
    with pytest.raises(InputError, match="a picture of 20 × 20"):
        in_regions(params, [LabelledImage(image[:20, :20], pictures[0].labels[:20, :20])], TINY)


def test_what_the_network_leaves_void_is_told(params, tmp_path, monkeypatch, capsys):
    image, truth = video(1)[0, 0], np.zeros((64, 96), np.uint8)
    left = np.where(np.arange(96) < 24, 255, 0).astype(np.uint8)[None].repeat(64, 0)
    monkeypatch.setattr(segmentation, "label", lambda params, images, config, offsets: left[None])
    void = np.zeros(5, np.int64)
    assert whole({}, [LabelledImage(image, truth)], TINY.segmentation, void=void).sum() == 64 * 72
    assert void.tolist() == [64 * 24, 0, 0, 0, 0]
    checkpoints.save(tmp_path / "weights", params, TINY)
    for name, array in (("frames", image), ("labels", truth)):
        (tmp_path / name).mkdir()
        write_png(tmp_path / name / "1.png", array)
    data = f"folder:{tmp_path / 'frames'}:{tmp_path / 'labels'}"
    assert (
        main(["measure", "segmentation", "--weights", str(tmp_path / "weights"), "--data", data, "--whole-only"]) == 0
    )
    told = capsys.readouterr().out
    assert "| labelled pixels left void, which the above leaves out | 25.00% |\n" in told
    assert "| **mIoU** | 100.00% |\n" in told and "| mIoU, void as wrong | 75.00% |\n" in told
    left[:] = 255
    with pytest.raises(InputError, match="all 1 pictures: the network leaves every labelled pixel void; check"):
        whole({}, [LabelledImage(image, truth)], TINY.segmentation)


def test_the_script_prints_a_table(params, pictures, tmp_path, capsys):
    checkpoints.save(tmp_path / "weights", params, TINY)
    write_images(tmp_path / "frames", [image for image, _ in pictures])
    (tmp_path / "labels").mkdir()
    for path, (_, labels) in zip(sorted((tmp_path / "frames").iterdir()), pictures, strict=True):
        write_png(tmp_path / "labels" / f"{path.stem}.png", labels)
    spec = importlib.util.spec_from_file_location("eval_segmentation", EVAL / "segmentation.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    data = f"folder:{tmp_path / 'frames'}:{tmp_path / 'labels'}"
    assert script.main(["--weights", str(tmp_path / "weights"), "--data", data]) == 0
    said = capsys.readouterr().out
    matrix, cut = whole(params["segmentation"], pictures, TINY.segmentation), in_regions(params, pictures, TINY)
    assert f"| **mIoU** | {mean_iou(matrix):.2%} | {mean_iou(cut):.2%} |" in said
    assert f"| **pixel accuracy** | {40 / 56:.2%} |" in said and "2 pictures" in said
    assert f"Neighbouring regions differ in {disagreement(params, pictures, TINY):.2%} of the pixels" in said
    assert script.main(["--weights", str(tmp_path / "weights"), "--data", data, "--whole-only"]) == 0
    quick = capsys.readouterr().out
    assert f"| **mIoU** | {mean_iou(matrix):.2%} |\n" in quick and "regions" not in quick
    assert script.main(["--weights", str(tmp_path / "weights"), "--data", data, "--only", "nothing"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
