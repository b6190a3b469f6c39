"""Data sets named on a command line: each form, scale, what is held out, several as one, and what is refused."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dvsnet_jax.datasets import labelled_sets as sets
from dvsnet_jax.datasets.combined import Concatenated, Mixed, Remembered
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import write_png

SIZE = (6, 8)


def put(folder, stem, array):
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / f"{stem}.png", array)


def grey(value):
    return np.full((*SIZE, 3), value, np.uint8)


def ids(value):
    return np.full(SIZE, value, np.uint8)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """CamVid with a frame of each of three classes, Cityscapes with two kinds of labels, a folder of its own."""
    root = tmp_path_factory.mktemp("sets")
    for number, label in enumerate((0, 3, 11)):
        put(root / "camvid/train", f"0001TP_{number:06d}", grey(number))
        put(root / "camvid/trainannot", f"0001TP_{number:06d}", ids(label))
    for number in range(3):
        name = f"aachen_00000{number}_000019"
        put(root / "cityscapes/leftImg8bit_sequence/train/aachen", f"{name}_leftImg8bit", grey(10 + number))
        put(root / "cityscapes/gtFine/train/aachen", f"{name}_gtFine_labelIds", ids(26))
    put(root / "cityscapes/pseudo/train/aachen", "aachen_000001_000019_pseudo_labelIds", ids(7))
    for number in range(4):
        put(root / "frames", f"f{number}", grey(20 + number))
        put(root / "labels", f"f{number}", ids(number))
    return root


def content(source):
    """Of each sample the first pixel's grey value and its label."""
    return [(int(sample.image[0, 0, 0]), int(sample.labels[0, 0])) for sample in source]


def test_every_form(root):
    camvid, cityscapes = f"camvid:{root}/camvid:train", f"cityscapes:{root}/cityscapes:train"
    assert content(sets.labelled_set(camvid)) == [(0, 10), (1, 0), (2, 255)]  # as Cityscapes has sky and road
    assert content(sets.labelled_set(camvid, num_classes=11)) == [(0, 0), (1, 3), (2, 255)]  # its own
    assert content(sets.labelled_set(cityscapes)) == [(10, 13), (11, 13), (12, 13)]  # a car
    assert content(sets.labelled_set(f"{cityscapes}:pseudo")) == [(11, 0)]
    folder = f"folder:{root}/frames:{root}/labels"
    assert content(sets.labelled_set(folder, num_classes=4)) == [(20, 0), (21, 1), (22, 2), (23, 3)]
    with pytest.raises(InputError, match=r"f2.png: holds label 2, expected 0 to 1"):
        sets.labelled_set(folder, num_classes=2)[2]


def test_the_street():
    source = sets.labelled_set("street:2:5:32x48")
    assert len(source) == 2 and source[1].image.shape == (32, 48, 3) and source[1].labels.shape == (32, 48)
    np.testing.assert_array_equal(source[1].image, sets.labelled_set("street:2:5:32x48")[1].image)
    assert not np.array_equal(source[1].image, sets.labelled_set("street:2:6:32x48")[1].image)
    assert sets.labelled_set("street:1:0").size == (256, 512)
    assert sets.labelled_set("street:2:5:32x48@0.5")[0].labels.shape == (16, 24)


def test_scale_averages_pictures_and_picks_labels(tmp_path):
    labels = np.array([[0, 0, 1, 1], [0, 9, 1, 1]], np.uint8).repeat(2, 0).repeat(2, 1)
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, ::2] = 200
    put(tmp_path / "frames", "a", picture)
    put(tmp_path / "labels", "a", labels)
    spec = f"folder:{tmp_path}/frames:{tmp_path}/labels"
    half = sets.labelled_set(f"{spec}@0.5")[0]
    np.testing.assert_array_equal(half.labels, [[0, 0, 1, 1], [0, 9, 1, 1]])
    assert half.image.shape == (2, 4, 3) and 60 < half.image.min() <= half.image.max() < 140
    double = sets.labelled_set(f"{spec}@2")[0]
    np.testing.assert_array_equal(double.labels, labels.repeat(2, 0).repeat(2, 1))
    assert sets.labelled_set(f"{spec}@0.25")[0].labels.tolist() == [[9, 1]]  # the pixel right and below of the middle
    assert sets.labelled_set(f"{spec}@0.01")[0].labels.shape == (1, 1)
    np.testing.assert_array_equal(sets.labelled_set(f"{spec}@1")[0].image, picture)


def test_hold_out_and_only_choose_by_beginnings(root):
    spec = f"cityscapes:{root}/cityscapes:train"
    assert content(sets.labelled_set(spec, hold_out=["aachen_000001", "bochum"])) == [(10, 13), (12, 13)]
    assert content(sets.labelled_set(spec, hold_out=["aachen_000000", "aachen_000002"])) == [(11, 13)]
    assert content(sets.labelled_set(spec, only=["aachen_000002"])) == [(12, 13)]
    assert content(sets.labelled_set(spec, only=["aachen"], hold_out=["aachen_000002"])) == [(10, 13), (11, 13)]
    with pytest.raises(InputError, match=r"none of its 3 is left without aach; .* like aachen_000000_000019: hold out"):
        sets.labelled_set(spec, hold_out=["aach"])
    with pytest.raises(InputError, match=r"none of its 3 begins with ulm; they are called like .*: correct the name"):
        sets.labelled_set(spec, only=["ulm"])
    assert len(sets.labelled_set("street:3:0:32x48", hold_out=["street"])) == 3  # it has no names


@pytest.mark.parametrize(
    "spec",
    ["", "camvid", "camvid:here", "camvid:here:train:more", "cityscapes:here", "folder:only", "street:2", "kitti:a:b",
     "street:2.5:0", "street:many:0", "street:-1:0", "street:2:0:64", "street:2:0:64x", "street:2:0:64x64x3",
     "street:2:0@", "street:2:0@half", "street:2:0@-1", "street:2:0@nan", "street:2:0@0", "street:2:0@inf"],
)  # fmt: skip
def test_other_specs_are_refused_with_the_forms(spec):
    with pytest.raises(InputError, match=r"expected camvid:ROOT:SPLIT, .*@SCALE") as raised:
        sets.labelled_set(spec)
    assert repr(spec) in str(raised.value)


def test_missing_folders_are_named(root):
    for spec, says in (
        (f"camvid:{root}/camvid:val", "camvid/val: is not a folder"),
        (f"cityscapes:{root}/cityscapes:train:gtCoarse", "gtCoarse/train: is not a folder"),
        (f"folder:{root}/frames:{root}/none", "none: is not a folder"),
    ):
        with pytest.raises(InputError, match=says):
            sets.labelled_set(spec)


def test_several_sets_come_in_their_order(root):
    camvid, pseudo = f"camvid:{root}/camvid:train", f"cityscapes:{root}/cityscapes:train:pseudo@0.5"
    for in_memory in (False, True):
        source = sets.labelled_sets([pseudo, camvid, pseudo], in_memory=in_memory)
        assert len(source) == 5
        assert content(source) == [(11, 0), (0, 10), (1, 0), (2, 255), (11, 0)]
        assert [sample.labels.shape for sample in source] == [(3, 4), SIZE, SIZE, SIZE, (3, 4)]
        with pytest.raises(IndexError):
            source[5]
    assert len(sets.labelled_sets([camvid], hold_out=["0001TP_000001"])) == 2


def test_shares_make_a_mixture(root):
    camvid, street = f"camvid:{root}/camvid:train", "street:1:5:32x48"
    folder = f"folder:{root}/frames:{root}/labels"
    for in_memory in (False, True):
        mixed = sets.labelled_sets([f"{camvid}%25", f"{street}@0.5%12.5", f"{folder}%62.5"], in_memory=in_memory)
        assert isinstance(mixed, Mixed) and mixed.shares == (0.25, 0.125, 0.625)
        assert len(mixed) == 8 and [len(source) for source in mixed.sources] == [3, 1, 4]
        assert mixed[3].labels.shape == (16, 24) and content(mixed)[4] == (20, 0)
    # What is left goes by size.
    assert sets.labelled_sets([folder, f"{street}%50", camvid, street]).shares == (0.25, 0.5, 0.1875, 0.0625)
    assert sets.labelled_sets([f"{camvid}%50", f"{folder}%50"], hold_out=["0001TP_000000", "f1"]).shares == (0.5, 0.5)
    assert sets.labelled_sets([f"{camvid}%100"]).shares == (1,)
    for specs, says in (
        ([f"{camvid}%60", f"{folder}%50"], "the shares make 110 %, expected 100 %"),
        ([f"{camvid}%60"], "the shares make 60 %, expected 100 %"),
        ([f"{camvid}%100", folder], "the shares make 100 %, expected less than 100 % beside sets without one"),
        ([f"{camvid}%0", folder], "a share of 0 %"),
        ([f"{camvid}%101", folder], "a share of 101 %"),
        ([f"{camvid}%nan", folder], "a share of nan %"),
        ([f"{camvid}%half", folder], "'half' is no number; expected a share"),
    ):
        with pytest.raises(InputError, match=says):
            sets.labelled_sets(specs)


def test_a_percent_sign_in_a_folders_name_is_left_alone(tmp_path):
    put(tmp_path / "50%/frames", "a", grey(1))
    put(tmp_path / "50%/labels", "a", ids(1))
    spec = f"folder:{tmp_path}/50%/frames:{tmp_path}/50%/labels"
    assert content(sets.labelled_sets([spec])) == [(1, 1)]
    assert sets.labelled_sets([f"{spec}%100"]).shares == (1,)


def test_concatenated_passes_over_empty_sources():
    source = Concatenated(([], [3, 4], [], [5]))
    assert list(source) == [3, 4, 5] and len(source) == 3


def test_remembered_reads_once_and_in_order():
    class Counting(list):
        read, lock = 0, threading.Lock()

        def __getitem__(self, index):
            with self.lock:
                self.read += 1
            return super().__getitem__(index)

    source = Counting(range(50))
    kept = Remembered(source)
    assert list(kept) == list(range(50)) and kept[7] is kept[7]
    assert len(kept) == source.read == 50


def test_count_pixels(root):
    source = sets.labelled_sets([f"camvid:{root}/camvid:train", f"cityscapes:{root}/cityscapes:train"])
    counts = sets.count_pixels(source, 19)
    assert counts.shape == (19,)
    assert {int(label): int(counts[label]) for label in np.flatnonzero(counts)} == {0: 48, 10: 48, 13: 3 * 48}
    assert sets.count_pixels(source, 19, most=2).nonzero()[0].tolist() == [10, 13]  # the first and the last
    # Of a mixture, what as many pictures drawn from it would have: 300 times CamVid's (road, sky, void), 100 cars.
    mixed = sets.labelled_sets([f"camvid:{root}/camvid:train%75", f"cityscapes:{root}/cityscapes:train%25"])
    counts = sets.count_pixels(mixed, 19)
    assert {int(label): int(counts[label]) for label in np.flatnonzero(counts)} == {0: 4800, 10: 4800, 13: 4800}
    strange = [LabelledImage(grey(0), ids(label)) for label in (0, 4, 254, 255)]
    with pytest.raises(InputError, match=r"labels 4, 254, expected 0 to 3 or 255 for void"):
        sets.count_pixels(strange, 4)
    assert sets.count_pixels(strange[::3], 4).tolist() == [48, 0, 0, 0]
