"""Cityscapes and CamVid as they lie on disk: order, pairing, label tables, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.datasets import camvid, cityscapes, clips
from dvsnet_jax.datasets.samples import LabelledFiles, read_train_ids
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.images import write_png

GREY = np.full((4, 6, 3), 90, np.uint8)


def put_frames(root, sequence, numbers, folder="leftImg8bit_sequence", suffix="png", split="train"):
    city = sequence.split("_")[0]
    place = root / folder / split / city
    place.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write_png(place / "made.png", GREY)
        (place / "made.png").rename(place / f"{sequence}_{number:06d}_leftImg8bit.{suffix}")


def put_labels(root, name, kind="gtFine", ids=7, split="train", shape=(4, 6)):
    place = root / kind / split / name.split("_")[0]
    place.mkdir(parents=True, exist_ok=True)
    write_png(place / f"{name}_{kind}_labelIds.png", np.full(shape, ids, np.uint8))


def test_label_ids_become_train_ids():
    # The table of cityscapesScripts, as pairs (id, train id).
    pairs = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14,
             28: 15, 31: 16, 32: 17, 33: 18}  # fmt: skip
    assert {id: train for id, train in enumerate(cityscapes.TRAIN_IDS) if train != 255} == pairs
    assert len(cityscapes.TRAIN_IDS) == 34 and len(cityscapes.CLASSES) == 19


def test_snippets_come_in_order_and_are_found_by_gaps(tmp_path):
    put_frames(tmp_path, "bochum_000001", range(100, 130))
    put_frames(tmp_path, "bochum_000000", [*range(30), *range(90, 150)])  # two of them next to each other
    put_frames(tmp_path, "aachen_000002", range(5))
    snippets = cityscapes.list_snippets(tmp_path, "train")
    assert [(snippet.name, len(snippet.frames)) for snippet in snippets] == [
        ("aachen_000002_000000", 5),
        ("bochum_000000_000000", 30),
        ("bochum_000000_000090", 30),
        ("bochum_000000_000120", 30),
        ("bochum_000001_000100", 30),
    ]
    assert [frame.number for frame in snippets[2].frames] == list(range(90, 120))
    assert [s.name for s in cityscapes.list_snippets(tmp_path, "train", cities=["aachen"])] == ["aachen_000002_000000"]


def test_a_frame_that_is_there_twice_counts_once(tmp_path):
    put_frames(tmp_path, "aachen_000000", [0, 1], suffix="jpg")
    put_frames(tmp_path, "aachen_000000", [1, 2])
    (tmp_path / "leftImg8bit_sequence/train/aachen/notes.txt").touch()
    frames = cityscapes.list_frames(tmp_path, "train")
    assert [(frame.number, frame.path.suffix) for frame in frames] == [(0, ".jpg"), (1, ".png"), (2, ".png")]


def test_labels_find_their_frame_in_either_folder(tmp_path):
    put_frames(tmp_path, "aachen_000000", [18, 19])
    put_frames(tmp_path, "aachen_000001", [19], folder="leftImg8bit", suffix="jpg")
    put_labels(tmp_path, "aachen_000000_000019")
    put_labels(tmp_path, "aachen_000001_000019", ids=1)
    put_labels(tmp_path, "aachen_000000_000018", kind="pseudo", ids=26)
    fine = cityscapes.list_labelled(tmp_path, "train")
    assert [file.name for file in fine] == ["aachen_000000_000019", "aachen_000001_000019"]
    source = LabelledFiles(fine)
    assert len(source) == 2
    assert [int(sample.labels.max()) for sample in source] == [0, 255]
    (pseudo,) = cityscapes.list_labelled(tmp_path, "train", labels="pseudo")
    assert (pseudo.read().labels == 13).all()


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"leftImg8bit_sequence/train: is not a folder"):
        cityscapes.list_snippets(tmp_path, "train")
    put_frames(tmp_path, "aachen_000000", [19])
    with pytest.raises(InputError, match="has no city ulm, only aachen"):
        cityscapes.list_frames(tmp_path, "train", cities=["ulm"])
    (frame,) = cityscapes.list_frames(tmp_path, "train")
    with pytest.raises(InputError, match=r"aachen_000000_000019_gtFine_labelIds.png: is missing"):
        cityscapes.labelled_file(tmp_path, frame)
    put_labels(tmp_path, "aachen_000003_000019")
    with pytest.raises(InputError, match=r"aachen_000003_000019 \(1 in all\) has labels but no frame"):
        cityscapes.list_labelled(tmp_path, "train")
    with pytest.raises(InputError, match=r"no label file .* of these cities"):
        cityscapes.list_labelled(tmp_path, "train", cities=["ulm"])
    (tmp_path / "leftImg8bit_sequence/val/ulm").mkdir(parents=True)
    with pytest.raises(InputError, match="no frame in it is called like"):
        cityscapes.list_frames(tmp_path, "val")


def test_labels_out_of_range_or_of_another_size_are_refused(tmp_path):
    put_frames(tmp_path, "aachen_000000", [19])
    put_labels(tmp_path, "aachen_000000_000019", ids=40)
    (file,) = cityscapes.list_labelled(tmp_path, "train")
    with pytest.raises(InputError, match=r"labelIds.png: holds label 40, expected 0 to 33 or 255"):
        file.read()
    put_labels(tmp_path, "aachen_000000_000019", shape=(4, 7))
    with pytest.raises(InputError, match=r"is 7 × 4, but .* is 6 × 4"):
        file.read()


def test_camvid_classes_go_to_cityscapes_and_come_back():
    names = [cityscapes.CLASSES[train] for train in camvid.TRAIN_IDS[:-1]]
    assert names == ["sky", "building", "pole", "road", "sidewalk", "vegetation", "traffic sign", "fence", "car",
                     "person", "rider"]  # fmt: skip
    there = np.array(camvid.TRAIN_IDS, np.uint8)
    np.testing.assert_array_equal(camvid.to_camvid(there), camvid.OWN_IDS)
    every = camvid.to_camvid(np.arange(256, dtype=np.uint8))
    assert (every[:19] < 11).all() and (every[19:] == 255).all()
    back = {name: camvid.CLASSES[every[index]] for index, name in enumerate(cityscapes.CLASSES)}
    assert back["motorcycle"] == back["bicycle"] == "bicyclist"
    assert (back["traffic light"], back["terrain"], back["bus"], back["wall"]) == ("sign", "tree", "car", "building")


def put_camvid(root, split, stems, ids=3):
    for folder in (split, f"{split}annot"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem in stems:
        write_png(root / split / f"{stem}.png", GREY)
        write_png(root / f"{split}annot" / f"{stem}.png", np.full((4, 6), ids, np.uint8))


def test_camvid_frames_sort_by_sequence_and_number(tmp_path):
    put_camvid(tmp_path, "train", ["0016E5_08000", "0016E5_00990", "0006R0_f00960", "0001TP_010000", "0001TP_009999"])
    files = camvid.list_labelled(tmp_path, "train")
    assert [file.name for file in files] == [
        "0001TP_009999", "0001TP_010000", "0006R0_f00960", "0016E5_00990", "0016E5_08000",
    ]  # fmt: skip
    assert (files[0].read().labels == 0).all()
    assert (camvid.list_labelled(tmp_path, "train", train_ids=camvid.OWN_IDS)[0].read().labels == 3).all()


def test_camvid_frames_and_labels_must_pair(tmp_path):
    put_camvid(tmp_path, "val", ["0016E5_07959", "0016E5_07961"])
    (tmp_path / "valannot/0016E5_07961.png").unlink()
    with pytest.raises(InputError, match=r"valannot/0016E5_07961.png: is missing, expected labels"):
        camvid.list_labelled(tmp_path, "val")
    (tmp_path / "val/0016E5_07961.png").unlink()
    (tmp_path / "val/0016E5_07959.png").rename(tmp_path / "val/0016E5_07963.png")
    (tmp_path / "valannot/0016E5_07959.png").rename(tmp_path / "valannot/0016E5_07963.png")
    write_png(tmp_path / "valannot/0016E5_00001.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(InputError, match="labels without a frame 0016E5_00001"):
        camvid.list_labelled(tmp_path, "val")
    with pytest.raises(InputError, match="test: is not a folder"):
        camvid.list_labelled(tmp_path, "test")


@pytest.mark.data
def test_real_cityscapes(data):
    root = data / "cityscapes"
    snippets = cityscapes.list_snippets(root, "train")
    assert [snippet.sequence for snippet in snippets] == [f"aachen_{n:06d}" for n in range(6)]
    assert {len(snippet.frames) for snippet in snippets} == {30}
    fine = cityscapes.list_labelled(root, "train")
    assert len(fine) == 8 and len(cityscapes.list_labelled(root, "train", labels="pseudo")) == 180
    labelled = snippets[0].frames[cityscapes.LABELLED_FRAME]
    assert labelled.name == fine[0].name
    true = fine[0].read()
    assert true.image.shape == (1024, 2048, 3)
    assert (true.labels[500:] == 0).mean() > 0.3  # road, mostly
    pseudo = cityscapes.labelled_file(root, labelled, "pseudo").read().labels
    known = true.labels != 255
    assert (pseudo == true.labels)[known].mean() > 0.95


@pytest.mark.data
def test_real_camvid(data):
    train, val = (camvid.list_labelled(data / "camvid", split) for split in ("train", "val"))
    assert (len(train), len(val)) == (367, 101)
    assert [file.name for file in val] == [f"0016E5_{number:05d}" for number in range(7959, 8160, 2)]
    sample = val[50].read()
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.labels)) <= {*camvid.TRAIN_IDS}
    assert (sample.labels[-60:] == 0).mean() > 0.5


def test_train_ids_alone_are_read_as_such(tmp_path):
    """As whoever ran createTrainIdLabelImgs.py and kept nothing else."""
    ids = np.arange(20, dtype=np.uint8).reshape(4, 5)
    ids[ids == 19] = 255
    for folder in ("leftImg8bit_sequence", "gtFine"):
        (tmp_path / folder / "val" / "aachen").mkdir(parents=True)
    stem = "aachen_000000_000019"
    write_png(tmp_path / "leftImg8bit_sequence/val/aachen" / f"{stem}_leftImg8bit.png", np.zeros((4, 5, 3), np.uint8))
    write_png(tmp_path / "gtFine/val/aachen" / f"{stem}_gtFine_labelTrainIds.png", ids)
    [file] = cityscapes.list_labelled(tmp_path, "val")
    np.testing.assert_array_equal(file.read().labels, ids)
    [clip] = clips.clip_set(f"cityscapes:{tmp_path}:val")
    np.testing.assert_array_equal(clip[0].labels, ids)


def test_train_ids_that_are_called_label_ids_are_told(tmp_path):
    ids = np.full((8, 8), 0, np.uint8)
    ids[:3], ids[3:5], ids[7] = 10, 2, 255  # sky, building; road; void
    write_png(tmp_path / "a_gtFine_labelIds.png", ids)
    with pytest.warns(InputNotice, match="look like Cityscapes' train ids"):
        read_train_ids(tmp_path / "a_gtFine_labelIds.png", cityscapes.TRAIN_IDS)
    true = np.array([label for label in range(34)], np.uint8)[None]  # every label once, void ones too
    write_png(tmp_path / "b_gtFine_labelIds.png", true)
    read_train_ids(tmp_path / "b_gtFine_labelIds.png", cityscapes.TRAIN_IDS)
