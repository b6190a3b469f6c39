"""Labels as a video of ids, as run lengths, regions as arrays: each read back by what others would read it with."""

from __future__ import annotations

import json
from contextlib import closing
from io import BytesIO
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image
from tiny import TINY, tiny_params
from tiny_files import clip, compile_once, write_images  # noqa: F401

from dvsnet_jax import DynamicTarget
from dvsnet_jax.cli.segmenting.outputs import Opening, Outputs
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference.further_products import FurtherProducts
from dvsnet_jax.inference.segment_source import Segmenter, segment_source
from dvsnet_jax.inference.segmented import Segmented
from dvsnet_jax.media.images import read_labels
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.products.label_video import LabelVideo
from dvsnet_jax.media.products.region_arrays import RegionArrays, per_pixel, region_boxes
from dvsnet_jax.media.products.run_lengths import compress, segments
from dvsnet_jax.media.sources import Frame, open_source
from dvsnet_jax.media.written_files import RECORD, WrittenFiles
from dvsnet_jax.ops.regions import RegionGrid
from dvsnet_jax.serving.board import Board
from dvsnet_jax.visualize import label_palette

CONFIG = TINY.replace(policy=DynamicTarget(51.5, fall=0.2, rise=0.1))
PALETTE = label_palette()


def decoded(segmentation):
    """A mask of COCO's text, by the format's description."""
    values, at, text = [], 0, segmentation["counts"]
    while at < len(text):
        value = shift = 0
        while True:
            character = ord(text[at]) - 48
            value |= (character & 0x1F) << shift
            at, shift = at + 1, shift + 5
            if not character & 0x20:
                break
        if character & 0x10:
            value -= 1 << shift
        values.append(value + (values[-2] if len(values) > 2 else 0))
    flat = np.repeat(np.arange(len(values)) % 2, values)
    height, width = segmentation["size"]
    return flat.reshape(width, height).T.astype(bool)


def pictures(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 50, 2)
    fine = rng.integers(0, 5, (height, width))
    coarse = np.kron(rng.integers(0, 4, (height // 7 + 1, width // 5 + 1)), np.ones((7, 5), int))[:height, :width]
    labels = (fine, coarse, np.full((height, width), 3))[seed % 3].astype(np.uint8)
    if seed % 2:
        labels[rng.random(labels.shape) < 0.1] = 255
    return labels


def test_run_lengths_are_coco_s():
    for seed in range(60):
        labels = pictures(seed)
        found = segments(labels)
        assert [one["category_id"] for one in found] == [label for label in np.unique(labels) if label != 255]
        for one in found:
            mask = labels == one["category_id"]
            np.testing.assert_array_equal(decoded(one["segmentation"]), mask)
            rows, columns = np.nonzero(mask)
            left, top, width, height = one["bbox"]
            assert (left, left + width) == (columns.min(), columns.max() + 1) and one["area"] == mask.sum()
            if width == 1:  # of wider ones COCO's box may be higher: see the next test
                assert (top, top + height) == (rows.min(), rows.max() + 1)


def test_run_lengths_as_pycocotools_writes_them():
    """The expected texts and boxes are those of pycocotools 2.0.11."""
    small = segments(np.array([[0, 0, 1], [0, 2, 1], [255, 2, 2]], np.uint8))
    assert [(one["segmentation"]["counts"], one["bbox"]) for one in small] == [
        ("021O4", [0, 0, 2, 2]),
        ("621", [2, 0, 1, 2]),
        ("422O", [1, 1, 2, 2]),
    ]
    over = segments(np.array([[0, 1], [0, 1], [1, 0]], np.uint8))[1]  # from the bottom of a column to the next's top
    assert (over["segmentation"]["counts"], over["bbox"]) == ("231", [0, 0, 2, 3])
    assert compress(np.array([100000, 3, 40, 5, 100000, 1])) == "PeQ33X12hcQ3L"


def test_the_label_video_holds_ids_and_shows_colours(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 256, (5, 37, 51), np.uint8)
    video = LabelVideo(tmp_path / "labels.mov", palette=PALETTE, frame_rate=12.5)
    for one in labels:
        video.write(one)
    assert not (tmp_path / "labels.mov").exists()
    video.close()
    video.close()
    with av.open(str(tmp_path / "labels.mov")) as file:
        frames = list(file.decode(video=0))
        assert file.streams.video[0].average_rate == 12.5
    assert len(frames) == 5
    for frame, one in zip(frames, labels, strict=True):
        np.testing.assert_array_equal(frame.to_ndarray()[0], one)
        np.testing.assert_array_equal(frame.to_ndarray(format="rgb24"), PALETTE[one])


def test_a_label_video_keeps_times(tmp_path):
    video = LabelVideo(tmp_path / "labels.mov", palette=PALETTE, frame_rate=25)
    for time in (7.0, 7.25, 7.3, 9.0, None):
        video.write(np.zeros((8, 8), np.uint8), time)
    video.close()
    with av.open(str(tmp_path / "labels.mov")) as file:
        assert [frame.time for frame in file.decode(video=0)] == pytest.approx([0, 0.25, 0.3, 2, 2.04], abs=1e-4)


def test_a_label_video_of_nothing_and_of_two_sizes(tmp_path):
    video = LabelVideo(tmp_path / "a.mov", palette=PALETTE, frame_rate=25)
    video.close()
    assert not list(tmp_path.iterdir())
    video.write(np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"labels of \(8, 9\) came into a video of \(8, 8\)"):
        video.write(np.zeros((8, 9), np.uint8))
    video.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mov"]


def test_a_label_video_that_cannot_be_written_is_given_up(tmp_path, monkeypatch):
    video = LabelVideo(tmp_path / "a.mov", palette=PALETTE, frame_rate=25)
    video.write(np.zeros((8, 8), np.uint8))

    class Full:
        def encode(self, picture):
            raise OSError(28, "No space left on device")

    video._stream = Full()
    with pytest.raises(InputError, match=r"a\.mov: cannot be written \(No space left on device\)"):
        video.write(np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match="was given up"):
        video.write(np.zeros((8, 8), np.uint8))
    video.close()
    assert not list(tmp_path.iterdir())


def test_boxes_part_the_picture():
    boxes = region_boxes(65, 97, (2, 3))
    numbers = per_pixel(np.arange(6), boxes)
    assert numbers.shape == (65, 97)
    assert [int(numbers[y, x]) for y in (0, 64) for x in (0, 48, 96)] == list(range(6))
    assert ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).sum() == 65 * 97


@pytest.mark.parametrize(
    ("size", "regions", "overlap"),
    [((360, 480), (2, 2), 32), ((72, 104), (2, 3), 0), ((1080, 1920), (4, 5), 16), ((65, 97), (1, 1), 8)],
)
def test_boxes_hold_pixels_of_their_own_regions_alone(size, regions, overlap):
    """Frames that the grid does not fit, too, whose regions are not evenly spaced."""
    grid = RegionGrid.fit(*size, regions, overlap)
    boxes = region_boxes(*size, regions, grid.borders)
    assert per_pixel(np.arange(grid.num_regions), boxes).shape == size
    assert ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).sum() == size[0] * size[1]
    for (top, left), (first, before, last, after) in zip(grid.corners, boxes, strict=True):
        assert top <= first < last <= top + grid.region_height
        assert left <= before < after <= left + grid.region_width
        assert first in (0, top + overlap) or last == size[0]  # half way through what two share
        assert before in (0, left + overlap) or after == size[1]


def test_the_command_s_boxes_and_outlines_are_where_the_regions_are(tmp_path):
    step = SimpleNamespace(regions=(2, 2), overlap=32, num_classes=19, class_names=None)
    opening = Opening(Outputs(out=str(tmp_path), save=("regions",)), step, WrittenFiles(tmp_path))
    source = SimpleNamespace(name="drive", frame_rate=None)
    image, labels = np.zeros((360, 480, 3), np.uint8), np.full((360, 480), 255, np.uint8)
    numbers, chosen = np.zeros(4, np.float32), np.arange(4) == 3
    frame = Segmented(Frame(0, "a", "a", image), labels, numbers, numbers, chosen, chosen, np.zeros(4, np.int32), {})
    further = opening.further(source, tmp_path)
    further.take(frame)
    further.close()
    with np.load(tmp_path / "regions.npz") as arrays:
        assert arrays["boxes"].tolist()[3] == [192, 240, 360, 480]
    page = opening.view(source, Board())
    page.offer(frame)
    picture = np.asarray(Image.open(BytesIO(page.picture().content))).astype(int)
    amber = picture[..., 0] - picture[..., 2] > 100
    assert amber[193, 242:].all() and not amber[:190].any() and not amber[:, :238].any()


def test_files_of_a_frame_are_not_remembered_for_ever(tmp_path):
    """As those of a camera that runs for weeks."""
    written = WrittenFiles(tmp_path)
    further = FurtherProducts(
        tmp_path, ("panoptic", "pixels"), regions=(1, 2), palette=PALETTE, frame_rate=25, written=written, classes=19
    )
    labels, numbers = np.zeros((64, 64), np.uint8), np.zeros(2, np.float32)
    for index in range(3):
        frame = Frame(index, f"frame_{index}", "", None)
        further.take(Segmented(frame, labels, numbers, numbers, numbers > 0, numbers > 0, np.zeros(2, np.int32), {}))
    further.close()
    assert written._added == {tmp_path / "panoptic.json"}
    written.finish(tmp_path, "came")
    assert '"files": 7' in (tmp_path / RECORD).read_text()


def test_region_arrays_without_a_row_are_no_file(tmp_path):
    RegionArrays(tmp_path / "regions.npz").close()
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("compile_once")
def test_they_tell_of_the_same_frames_as_the_usual_files(tmp_path):
    write_images(tmp_path / "drive", clip(9))
    written = WrittenFiles(tmp_path / "out")
    output = OutputFolder(tmp_path / "out", palette=PALETTE, frame_rate=25, written=written)
    kinds = {"video", "rle", "regions"}
    further = FurtherProducts(tmp_path / "out", kinds, regions=(2, 2), palette=PALETTE, frame_rate=25, written=written)
    step = Segmenter(tiny_params(), CONFIG)
    segment_source(open_source(tmp_path / "drive"), step, output, products=further)
    labels = [read_labels(path) for path in sorted((tmp_path / "out" / "labels").iterdir())]
    routes = [json.loads(line) for line in (tmp_path / "out" / "routes.jsonl").read_text().splitlines()]
    runs = [json.loads(line) for line in (tmp_path / "out" / "segments.jsonl").read_text().splitlines()]
    assert [(run["frame"], run["name"]) for run in runs] == [(route["frame"], route["name"]) for route in routes]
    for run, picture in zip(runs, labels, strict=True):
        for one in run["segments"]:
            np.testing.assert_array_equal(decoded(one["segmentation"]), picture == one["category_id"])
    with av.open(str(tmp_path / "out" / "labels.mov")) as file:
        for frame, picture in zip(file.decode(video=0), labels, strict=True):
            np.testing.assert_array_equal(frame.to_ndarray()[0], picture)
    with np.load(tmp_path / "out" / "regions.npz", allow_pickle=False) as arrays:
        segmented = np.array([[region["segmented"] for region in route["regions"]] for route in routes])
        np.testing.assert_array_equal(arrays["segmented"], segmented)
        assert 4 < segmented.sum() < 36 and np.isnan(arrays["expected_agreement"][0]).all()
        scores = [[region["score"] for region in route["regions"]] for route in routes[1:]]
        np.testing.assert_allclose(arrays["expected_agreement"][1:], scores, rtol=1e-6)
        ages = np.zeros((9, 4), int)
        for t in range(1, 9):
            ages[t] = np.where(segmented[t], 0, ages[t - 1] + 1)
        np.testing.assert_array_equal(arrays["age"], ages)
        assert ages.max() > 0 and arrays["boxes"].tolist()[3] == [32, 48, 64, 96]
        assert arrays["frame"].tolist() == list(range(9))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"labels.mov", "segments.jsonl", "regions.npz"} < names
    written.close()
    again = WrittenFiles(tmp_path / "out", overwrite=True)  # they are on record, and go with the others
    with closing(OutputFolder(tmp_path / "out", palette=PALETTE, frame_rate=25, written=again)) as output:
        output.log({})
    assert not (tmp_path / "out" / "regions.npz").exists()


def test_somebody_s_own_files_are_left_alone(tmp_path):
    (tmp_path / "regions.npz").write_text("mine")
    options = dict(regions=(2, 2), palette=PALETTE, frame_rate=25, written=WrittenFiles(tmp_path))
    with pytest.raises(InputError, match=r"regions\.npz: is there"):
        FurtherProducts(tmp_path, {"regions"}, **options)
    FurtherProducts(tmp_path, {"video"}, **options)
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "a.npz").write_text("mine")
    with pytest.raises(InputError, match=r"scores/a\.npz: is there"):
        FurtherProducts(tmp_path, {"scores"}, **options)
    with pytest.raises(ValueError, match="kinds are video, rle, regions, panoptic, scores, pixels; masks is none"):
        FurtherProducts(tmp_path, {"masks"}, **options)
