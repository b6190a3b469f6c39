"""Scores, ages and segment ids of every pixel: what the labels are the best of, and what COCO's tools ask for."""

from __future__ import annotations

import json
import os
from contextlib import closing

import numpy as np
import pytest
from tiny import TINY, tiny_params
from tiny_files import check_whole, clip, compile_once, write_images  # noqa: F401

from dvsnet_jax import DynamicTarget, segment_frames
from dvsnet_jax.inference.further_products import FurtherProducts
from dvsnet_jax.inference.segment_many import segment_many
from dvsnet_jax.inference.segment_source import Segmenter
from dvsnet_jax.media.images import read_image, read_labels
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.products.panoptic import Panoptic, id_image, segment_ids, segments_info
from dvsnet_jax.media.products.region_arrays import per_pixel, region_boxes
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.media.written_files import WrittenFiles
from dvsnet_jax.visualize import label_palette

CONFIG = TINY.replace(policy=DynamicTarget(51.5, fall=0.2, rise=0.1))
PALETTE, FRAMES = label_palette(), 6


def ids_of(picture):
    """As panopticapi's utils.rgb2id reads a PNG."""
    picture = picture.astype(np.int32)
    return picture[..., 0] + 256 * picture[..., 1] + 256 * 256 * picture[..., 2]


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize(("stepping", "audit"), [("together", False), ("apart", True)])
def test_every_pixel_has_scores_and_an_age_and_a_segment(tmp_path, stepping, audit):
    write_images(tmp_path / "drive", clip(FRAMES, height=72, width=104))  # padded
    out = tmp_path / "out"
    written = WrittenFiles(out)
    output = OutputFolder(out, palette=PALETTE, frame_rate=25, written=written)
    kinds = ("panoptic", "scores", "pixels", "regions")
    further = FurtherProducts(
        out, kinds, regions=(2, 2), palette=PALETTE, frame_rate=25, written=written, classes=CONFIG.num_classes
    )
    step = Segmenter(tiny_params(), CONFIG, audit=audit, every_score=True)
    (end,) = segment_many(
        [open_source(tmp_path / "drive")], step, lambda number: output, streams=1, stepping=stepping,
        open_products=lambda number: further,
    )  # fmt: skip
    assert end.error is None
    names = check_whole(out)
    with np.load(out / "regions.npz", allow_pickle=False) as arrays:
        regions = dict(arrays)
    for number, name in enumerate(names):
        labels = read_labels(out / "labels" / f"{name}.png")
        with np.load(out / "scores" / f"{name}.npz", allow_pickle=False) as file:
            scores = file["scores"]
        assert scores.dtype == np.float16 and scores.shape == (72, 104, 5)
        ours = np.take_along_axis(scores, labels[..., None].astype(int), 2)[..., 0]
        assert (ours == scores.max(2)).all()  # but for ties of half precision the best is the label's
        assert (scores.argmax(2) == labels).mean() > 0.97
        with np.load(out / "pixels" / f"{name}.npz", allow_pickle=False) as file:
            age, agreement = file["age"], file["expected_agreement"]
        assert agreement.dtype == np.float16 and age.dtype == np.int32
        np.testing.assert_array_equal(age, per_pixel(regions["age"][number], regions["boxes"]))
        np.testing.assert_allclose(agreement, per_pixel(regions["expected_agreement"][number], regions["boxes"]), 1e-3)
    whole = json.loads((out / "panoptic.json").read_text())
    assert [image["file_name"] for image in whole["images"]] == [f"{name}.png" for name in names]
    categories = {each["id"]: each for each in whole["categories"]}
    assert list(categories) == list(range(5)) and not any(each["isthing"] for each in categories.values())
    for image, annotation in zip(whole["images"], whole["annotations"], strict=True):
        assert annotation["image_id"] == image["id"] and (image["height"], image["width"]) == (72, 104)
        labels = read_labels(out / "labels" / image["file_name"])
        ids = ids_of(read_image(out / "panoptic" / annotation["file_name"]))
        segments = {each["id"]: each for each in annotation["segments_info"]}
        assert set(np.unique(ids)) - {0} == set(segments)
        for number, segment in segments.items():
            np.testing.assert_array_equal(ids == number, labels == segment["category_id"])
            assert segment["area"] == (ids == number).sum() and segment["iscrowd"] == 0
    written.close()
    again = WrittenFiles(out, overwrite=True)  # they are on record, and go with the others
    with closing(OutputFolder(out, palette=PALETTE, frame_rate=25, written=again)) as anew:
        anew.log({})
    assert not any((out / each).exists() for each in ("scores", "pixels", "panoptic", "panoptic.json"))


@pytest.mark.usefixtures("compile_once")
def test_scores_in_a_loop_of_one_s_own(tmp_path):
    write_images(tmp_path / "drive", clip(2))
    step = Segmenter(tiny_params(), CONFIG, every_score=True)
    with closing(segment_frames(open_source(tmp_path / "drive"), step)) as frames:
        for frame in frames:
            assert frame.class_scores.shape == (*frame.labels.shape, 5) and frame.class_scores.dtype == np.float16
            assert per_pixel(frame.ages, region_boxes(*frame.labels.shape, step.regions)).shape == frame.labels.shape
    with closing(segment_frames(open_source(tmp_path / "drive"), Segmenter(tiny_params(), CONFIG))) as frames:
        assert next(frames).class_scores is None


@pytest.mark.skipif(os.name == "nt", reason="names are not bytes")
def test_names_that_are_no_utf8(tmp_path):
    """As files of an old camera have them: in the JSON it is what Python makes of it, and leads to the file again."""
    name = os.fsdecode(b"stra\xdfe")
    panoptic = Panoptic(tmp_path, PALETTE[:5], [f"{label}" for label in range(5)])
    (tmp_path / "panoptic").mkdir()
    panoptic.write(0, name, np.zeros((8, 8), np.uint8))
    panoptic.close()
    (image,) = json.loads((tmp_path / "panoptic.json").read_text())["images"]
    assert read_image(tmp_path / "panoptic" / image["file_name"]).shape == (8, 8, 3)


def test_segment_ids_are_colours_or_numbers():
    colors = np.array([[128, 64, 128], [0, 0, 1]], np.uint8)
    assert segment_ids(colors) == [128 + 256 * 64 + 65536 * 128, 65536]
    labels = np.array([[0, 0, 255], [1, 0, 255]], np.uint8)
    picture = id_image(labels, segment_ids(colors))
    assert picture[0, 0].tolist() == [128, 64, 128] and picture[0, 2].tolist() == [0, 0, 0]
    assert segments_info(labels, segment_ids(colors)) == [
        {"id": 8405120, "category_id": 0, "area": 3, "bbox": [0, 0, 2, 2], "iscrowd": 0},
        {"id": 65536, "category_id": 1, "area": 1, "bbox": [0, 1, 1, 1], "iscrowd": 0},
    ]
    for clash in ([[0, 0, 0], [1, 2, 3]], [[1, 2, 3], [1, 2, 3]]):
        assert segment_ids(np.array(clash, np.uint8)) == [1, 2]
    many = np.arange(200) + 70_000
    assert (ids_of(id_image(np.arange(200, dtype=np.uint8)[None], many.tolist())) == many).all()
