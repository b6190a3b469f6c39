"""Clips by their specs, pairs drawn from them, and flow sets."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from tiny_files import clip, write_images, write_video

from dvsnet_jax.datasets.augment.key_pairs import draw_key_pair
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.clips import Part, Place, Places, clip_set, clip_sets, in_a_row, longest_run
from dvsnet_jax.datasets.flow.sets import flow_set
from dvsnet_jax.datasets.samples import LabelledFile
from dvsnet_jax.errors import DamagedInput, InputError
from dvsnet_jax.evaluation.clips.sources import evaluated_clips
from dvsnet_jax.media.images import write_png


def file(name):
    return LabelledFile(name, Path(name), Path(name), (0,))


def test_runs_break_where_numbers_do():
    names = ["a_001", "a_003", "a_005", "a_006", "b_001", "b_031"]
    found = [[each.name for each in run] for run in in_a_row([*map(file, names)])]
    assert found == [["a_001", "a_003", "a_005"], ["a_006"], ["b_001", "b_031"]]


def test_clips_break_where_names_or_steps_change():
    names = [
        "a_000",
        "a_002",
        "a_004",
        "a_010",
        "a_011",
        "a_012",
        "b_013",
        "b_014_x",
        "b_015_x",
        "c_00",
        "c_19",
        "c_20",
    ]
    clips = in_a_row([file(name) for name in names])
    assert [[file.name for file in clip] for clip in clips] == [
        names[:3], names[3:6], names[6:7], names[7:9], names[9:10], names[10:]
    ]  # fmt: skip
    numbers = [f"0006R0_f{number:05d}" for number in (930, 960, 990)]
    (clip,) = in_a_row([file(name) for name in numbers])
    assert len(clip) == 3
    with pytest.raises(InputError, match="no number in its name"):
        in_a_row([LabelledFile("frame", Path("frame.png"), Path(), ())])


def test_frames_and_videos_are_clips_without_labels(tmp_path):
    frames = clip(5)
    write_images(tmp_path / "images", frames)
    [images] = clip_set(f"frames:{tmp_path / 'images'}")
    assert len(images) == 5 and (images[3].image == frames[3]).all() and (images[3].labels == 255).all()
    write_video(tmp_path / "drive.mp4", frames)
    [video] = clip_set(f"video:{tmp_path / 'drive.mp4'}")
    off = [np.abs(video[2].image.astype(int) - frame).mean() for frame in frames]
    assert len(video) == 5 and np.argmin(off) == 2
    [half] = clip_set(f"video:{tmp_path / 'drive.mp4'}@0.5")
    assert half[0].image.shape == (32, 48, 3) and half[0].labels.shape == (32, 48)


def test_labels_beside_frames_are_read(tmp_path):
    write_images(tmp_path / "images", clip(3))
    for index in range(3):
        (tmp_path / "labels").mkdir(exist_ok=True)
        write_png(tmp_path / "labels" / f"street_{index:03d}.png", np.full((64, 96), index, np.uint8))
    [labelled] = clip_set(f"frames:{tmp_path / 'images'}:{tmp_path / 'labels'}")
    assert [int(labelled[index].labels.max()) for index in range(3)] == [0, 1, 2]


def test_clips_are_read_in_the_classes_that_are_asked_for(tmp_path):
    """CamVid in its own 11 or as Cityscapes' train ids, a folder's labels up to as many as the network has."""
    for folder, value in (("val", 90), ("valannot", 8)):
        (tmp_path / folder).mkdir()
        for number in range(2):
            write_png(tmp_path / folder / f"0001TP_{number:06d}.png", np.full((64, 96), value, np.uint8))
    spec = f"camvid:{tmp_path}:val"
    [cityscapes], [own] = clip_set(spec), clip_set(spec, num_classes=11)
    assert (int(cityscapes[1].labels.max()), int(own[1].labels.max())) == (13, 8)  # a car
    assert int(evaluated_clips([spec], num_classes=11)[0].frames[0].labels.max()) == 8
    (tmp_path / "many").mkdir()
    for path in (tmp_path / "val").iterdir():
        write_png(tmp_path / "many" / path.name, np.full((64, 96), 29, np.uint8))
    folder = f"frames:{tmp_path / 'val'}:{tmp_path / 'many'}"
    assert int(clip_set(folder, num_classes=30)[0][1].labels.max()) == 29
    with pytest.raises(InputError, match="holds label 29, expected 0 to 18"):
        clip_set(folder)[0][1]


@pytest.mark.parametrize(
    ("broken", "run"), [((), (0, 6)), ((0,), (1, 6)), ((1, 5), (2, 5)), ((2, 3), (0, 2)), ((1, 3), (4, 6))]
)
def test_the_most_frames_in_a_row_that_can_be_read(tmp_path, broken, run):
    write_images(tmp_path / "drive", clip(6))
    for number in broken:
        sorted((tmp_path / "drive").iterdir())[number].write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedInput)
        [drive] = clip_set(f"frames:{tmp_path / 'drive'}")
    assert longest_run(drive) == range(*run)
    assert longest_run(Part(drive, run[0], 6)) == range(run[1] - run[0])
    assert longest_run([*range(3)]) == range(3)


def test_street_drives_and_what_is_held_out():
    clips = clip_sets(["street:2:7:64x96"])
    assert len(clips) == 2 and len(clips[0]) == 10
    again = clip_set("street:2:7:64x96")
    assert (clips[1][4].image == again[1][4].image).all() and not (clips[0][4].image == clips[1][4].image).all()
    assert clip_set("street:2:7:64x96", only=["street_"]) and len(Places(clips)) == 20
    with pytest.raises(InputError, match="hold out less"):
        clip_set("street:2:7:64x96", hold_out=["street_"])
    with pytest.raises(InputError, match=r"none of its 2 begins with ulm; they are called like street_\d+: correct"):
        clip_set("street:2:7:64x96", only=["ulm"])
    with pytest.raises(InputError, match="street:0:7: holds nothing"):
        clip_set("street:0:7")


def test_labels_that_are_named_are_there(tmp_path):
    """Without, every label would be void, and nothing measured."""
    for name in ("leftImg8bit_sequence", "pseudo"):
        (tmp_path / name / "val" / "ulm").mkdir(parents=True)
    picture = np.zeros((64, 96, 3), np.uint8)
    write_png(tmp_path / "leftImg8bit_sequence/val/ulm/ulm_000000_000019_leftImg8bit.png", picture)
    assert len(clip_set(f"cityscapes:{tmp_path}:val")) == len(clip_set(f"cityscapes:{tmp_path}:val:pseudo")) == 1
    with pytest.raises(InputError, match="psuedo/val: is not a folder"):
        clip_set(f"cityscapes:{tmp_path}:val:psuedo")


@pytest.mark.parametrize("spec", ["moving:x", "street:2", "street:a:b", "cityscapes:only", "frames:x@half"])
def test_what_names_no_clips_is_refused(spec):
    with pytest.raises(InputError, match="expected video:FILE"):
        clip_set(spec)


def test_flow_sets_are_named_too(tmp_path):
    assert flow_set("street:3:1:64x96")[2].flow.shape == (64, 96, 2)
    with pytest.raises(InputError, match="expected pairs:FOLDER"):
        flow_set("chairs:x")
    with pytest.raises(InputError, match="whole numbers"):
        flow_set("street:3:x")
    with pytest.raises(InputError, match="street:COUNT:SEED:HEIGHTxWIDTH in whole numbers from 0 up"):
        flow_set("street:3:-1")
    with pytest.raises(InputError):
        flow_set(f"pairs:{tmp_path / 'missing'}")


class Numbered:
    """A clip whose frames tell their number."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        image = np.full((64, 96, 3), 10 * index, np.uint8)
        image[:, :, 0] = np.arange(96)
        return type("Frame", (), {"image": image, "labels": np.full((64, 96), index, np.uint8)})()


def test_places_and_parts_count_their_frames():
    places = Places([Numbered(), Part(Numbered(), 4, 9)])
    assert len(places) == 17 and places[12].position == 0 and places[12].clip[0].labels[0, 0] == 4
    with pytest.raises(IndexError):
        places[17]


def test_pairs_reach_back_as_far_as_asked_and_are_cropped_alike():
    limits = LabelledAugmentation(crop=(32, 48))
    seen = set()
    for seed in range(60):
        pair = draw_key_pair(Place(Numbered(), 10), np.random.default_rng(seed), limits, distances=(2, 5))
        known = pair.labels != 255
        assert (pair.labels[known] == 10).all() and pair.key.shape == pair.current.shape == (32, 48, 3)
        seen.add(int(np.median(pair.current[..., 1])) - int(np.median(pair.key[..., 1])) > 0)
    assert seen == {True}
    plain = LabelledAugmentation(crop=(64, 96), scale=(1, 1), stretch=0, flip=0, color=limits.color.scaled(0))
    drawn = [draw_key_pair(Place(Numbered(), 10), np.random.default_rng(s), plain, distances=(2, 5)) for s in range(60)]
    distances = {10 - int(pair.key[0, 0, 1]) // 10 for pair in drawn}
    assert distances == {2, 3, 4, 5}
    first = draw_key_pair(Place(Numbered(), 0), np.random.default_rng(0), plain)
    assert (first.key == first.current).all()


def test_an_at_sign_in_a_folder_is_no_scale(tmp_path):
    folder = tmp_path / "drive@2x" / "images"
    write_images(folder, clip(2))
    [whole] = clip_set(f"frames:{folder}")
    [half] = clip_set(f"frames:{folder}@0.5")
    assert (whole[0].image.shape, half[0].image.shape) == ((64, 96, 3), (32, 48, 3))
    for wrong in ("half", "-1", "nan", "inf"):
        with pytest.raises(InputError, match=wrong):
            clip_set(f"frames:{folder}@{wrong}")


def test_going_through_a_clip_ends_where_it_does():
    [drive] = clip_set("street:1:0:64x96")
    part = Part(drive, 2, 5)
    assert len(list(part)) == 3  # by IndexError
    np.testing.assert_array_equal(part[0].image, drive[2].image)
    for each, index in ((drive, -1), (drive, len(drive)), (part, 3), (part, -1), (Places([part]), 3)):
        with pytest.raises(IndexError):
            each[index]


def test_what_is_held_out_is_there():
    with pytest.raises(InputError, match="gone: to be held out, but no clip of street:1:0:64x96 is called so"):
        clip_set("street:1:0:64x96", hold_out=["gone"])
