"""Data sets of other papers: a tiny tree of each, its clips and labels, and what is missing or coded otherwise."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tiny_sets
from made_videos import distance, encode, mark
from PIL import Image

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.cityscapes import TRAIN_IDS
from dvsnet_jax.datasets.clips import clip_set, named_clips
from dvsnet_jax.datasets.codings import read_ids
from dvsnet_jax.datasets.labelled_sets import labelled_set
from dvsnet_jax.datasets.readers import a2d2, apolloscape, bdd100k_videos, idd, kitti_step, vistas, vspw
from dvsnet_jax.datasets.readers.named import KINDS, clips_of, own_classes
from dvsnet_jax.datasets.samples import LabelledFile, read_train_ids
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.evaluation.clips.labelled import labelled_clips
from dvsnet_jax.media.images import write_png
from dvsnet_jax.visualize import CITYSCAPES_COLORS

VOID = 255


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    written = tiny_sets.write_all(root)
    tiny_sets.leave_behind(root)
    return written


def left_half(labels):
    """The one train id of the left half; None where all is void. The right half is void in every tree."""
    assert (labels[:, labels.shape[1] // 2 :] == VOID).all()
    (found,) = np.unique(labels[:, : labels.shape[1] // 2])
    return None if found == VOID else int(found)


def test_every_set_has_a_tree(trees):
    assert {spec.split(":")[0] for spec in trees} == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_clips_frames_and_labels(trees, kind):
    (spec,) = (spec for spec in trees if spec.startswith(f"{kind}:"))
    clips = named_clips([spec])
    assert {name: [left_half(frame.labels) for frame in clip] for name, clip in clips} == trees[spec]
    assert [name for name, _ in clips] == [*trees[spec]]
    assert all(frame.image.shape == (*tiny_sets.SIZE, 3) for _, clip in clips for frame in clip)

    labelled = [label for frames in trees[spec].values() for label in frames if label is not None]
    assert [left_half(frame.labels) for frame in labelled_set(spec)] == labelled
    (half, *_) = clip_set(f"{spec}@0.5")
    assert half[0].labels.shape == (32, 48)
    names = [file.name for _, files in clips_of(*spec.split(":", 1)) for file in files]
    assert len(set(names)) == len(names)


def test_policies_take_the_videos_and_refuse_pictures(trees):
    for spec, clips in trees.items():
        videos = {
            name: labels for name, frames in clips.items() if len(labels := [x for x in frames if x is not None]) > 1
        }
        if videos:
            found = labelled_clips(spec)
            assert {clip.name: [left_half(frame.labels) for frame in clip.frames] for clip in found} == videos
        else:
            with pytest.raises(InputError, match="do not follow one another, expected labelled video"):
                labelled_clips(spec)
    (spec,) = (spec for spec in trees if spec.startswith("vspw:"))
    with pytest.raises(InputError, match=r"none of its \d+ begins with nothing; they are called like"):
        labelled_clips(spec, only=["nothing"])


def test_own_classes_where_a_network_has_as_many(trees):
    root = {spec.split(":")[0]: spec.split(":")[1] for spec in trees}
    (_, (first, *_)), *_ = vspw.list_clips(root["vspw"], "val", num_classes=124)
    assert left_half(first.read().labels) == vspw.CLASSES.index("wall") == 0
    (_, (first,)), *_ = vistas.list_clips(root["vistas"], "validation", num_classes=65)
    assert left_half(first.read().labels) == vistas.CLASSES.index("Road") == 13
    (_, (first,)), *_ = idd.list_clips(root["idd"], "val", num_classes=26)
    labels = first.read().labels
    assert np.unique(labels).tolist() == [idd.CLASSES.index("wall"), idd.CLASSES.index("billboard")]
    (_, (first, *_)), *_ = apolloscape.list_clips(root["apolloscape"], "val", num_classes=22)
    assert left_half(first.read().labels) == apolloscape.CLASSES.index("road") == 9
    (_, (first,)), *_ = a2d2.list_clips(root["a2d2"], "all", num_classes=38)
    labels = first.read().labels
    assert np.unique(labels).tolist() == [a2d2.CLASSES.index(name) for name in ("RD normal street", "Blurred area")]


def test_class_maps_name_classes_that_are_there():
    assert len(vspw.CLASSES) == 124 == len(set(vspw.CLASSES)) and len(vspw.TRAIN_IDS) == 125 == len(vspw.OWN_IDS)
    assert vspw.CLASSES[18] == "road" and vspw.CLASSES[60] == "person" and vspw.CLASSES[123] == "train"
    assert len(vistas.CLASSES) == 65 and len(vistas.TRAIN_IDS) == 66
    assert [vistas.CLASSES.index(name) for name in ("Road", "Person", "Pole", "Car", "Ego Vehicle")] == [
        13,
        19,
        45,
        55,
        64,
    ]
    assert len(idd.CLASSES) == 26
    assert len(apolloscape.CLASSES) == 22 and len(a2d2.CLASSES) == 38 == len({*a2d2.CLASSES})
    own = {49: 9, 33: 1, 161: 1, 168: 8, 113: 21, 98: VOID, 0: VOID, 2: -1}  # label_apollo.py's own train ids
    assert {label: apolloscape.OWN_IDS[label] for label in own} == own and len(apolloscape.OWN_IDS) == 169
    assert sum(label != -1 for label in apolloscape.OWN_IDS) == 35  # the table's, without 255
    there = {CITYSCAPES[label] for label in apolloscape.TRAIN_IDS if label not in (-1, VOID)}
    assert there == {*CITYSCAPES} - {"terrain", "train"}
    missing = {"rider", "wall", "fence", "terrain", "bus", "train"}
    assert {CITYSCAPES[label] for label in a2d2.FROM_OWN if label != VOID} == {*CITYSCAPES} - missing
    assert {CITYSCAPES[label] for label in vspw.TRAIN_IDS if label != VOID} == {*CITYSCAPES} - {"traffic sign", "rider"}
    assert {CITYSCAPES[label] for label in vistas.TRAIN_IDS if label != VOID} == {*CITYSCAPES}


def test_classes_have_names_in_tables():
    assert own_classes(["vspw", "vspw"], 124) == vspw.CLASSES
    assert own_classes(["vspw"], 19) is own_classes(["vspw", "idd"], 26) is own_classes(["camvid"], 124) is None


def test_idd_is_read_by_the_coding_that_names_tell(tmp_path):
    """IDD's table: id 5, non-drivable fallback, is terrain; id 17 is a train; id 4, rail track, nothing."""
    tiny_sets.picture(tmp_path / "leftImg8bit/val/7/a_leftImg8bit.jpg", 0)
    labels = tmp_path / "gtFine/val/7"
    tiny_sets.ids(labels / "a_gtFine_labellevel3Ids.png", 12, 255)
    tiny_sets.ids(labels / "a_gtFine_labelids.png", 17, 4)

    def first():
        return left_half(idd.list_clips(tmp_path, "val")[0][1][0].read().labels)

    assert first() == CITYSCAPES.index("train")
    tiny_sets.ids(labels / "a_gtFine_labelids.png", 5, 35)
    assert first() == CITYSCAPES.index("terrain")
    tiny_sets.ids(labels / "a_gtFine_labelcsTrainIds.png", 13, 255)
    assert first() == CITYSCAPES.index("car")
    (labels / "b_gtFine_labelcsTrainIds.png").write_bytes((labels / "a_gtFine_labelids.png").read_bytes())
    with pytest.raises(InputError, match=r"7/b_leftImg8bit\.png: is missing"):
        idd.list_clips(tmp_path, "val")


def test_idd_in_cityscapes_label_ids(tmp_path):
    """createLabels.py's csId: 26 is a car, 9 parking; id 5, terrain, is 255 in it, so label files of ids go first."""
    tiny_sets.picture(tmp_path / "leftImg8bit/val/7/a_leftImg8bit.png", 0)
    tiny_sets.ids(tmp_path / "gtFine/val/7/a_gtFine_labelcsIds.png", 26, 9)

    def labels():
        return idd.list_clips(tmp_path, "val")[0][1][0].read().labels

    assert left_half(labels()) == CITYSCAPES.index("car") and (labels()[:, -1] == VOID).all()
    tiny_sets.ids(tmp_path / "gtFine/val/7/a_gtFine_labelids.png", 5, 35)
    assert left_half(labels()) == CITYSCAPES.index("terrain")


def test_idd_lite_has_seven_classes_of_its_own(tmp_path):
    """As its archive and AutoNUE/public-code's idd_lite_evaluate_mIoU.py have it; 3 is vehicles."""
    for stem, left in (("024541", 3), ("001782", 6)):
        tiny_sets.picture(tmp_path / f"leftImg8bit/train/0/{stem}_image.jpg", left)
        tiny_sets.ids(tmp_path / f"gtFine/train/0/{stem}_label.png", left, 255)
        tiny_sets.ids(tmp_path / f"gtFine/train/0/{stem}_inst_label.png", 0, 255)
    clips = clips_of("idd", f"{tmp_path}:train", num_classes=7)
    assert [name for name, _ in clips] == ["0_001782", "0_024541"]
    assert [left_half(file.read().labels) for _, (file,) in clips] == [6, 3]
    assert own_classes(["idd"], 7)[3] == "vehicles" and len(own_classes(["idd"], 26)) == 26
    for classes in (19, 26):
        with pytest.raises(InputError, match="IDD Lite, whose seven classes"):
            clips_of("idd", f"{tmp_path}:train", num_classes=classes)
    tiny_sets.ids(tmp_path / "gtFine/train/0/024541_label.png", 7, 255)
    with pytest.raises(InputError, match="holds label 7, expected 0 to 6"):
        clips[1][1][0].read()


def test_idd_at_level_1(tmp_path):
    tiny_sets.picture(tmp_path / "leftImg8bit/val/7/a_leftImg8bit.png", 0)
    tiny_sets.ids(tmp_path / "gtFine/val/7/a_gtFine_labellevel1Ids.png", 2, 255)
    ((name, (file,)),) = clips_of("idd", f"{tmp_path}:val", num_classes=7)
    assert name == "7_a" and left_half(file.read().labels) == 2


def test_kitti_step_as_its_archives_have_it(tmp_path):
    """KITTI's tracking images and the panoptic maps unpacked into one folder, or as far as DeepLab2's steps come."""
    (spec,) = tiny_sets.kitti_step(tmp_path)
    moved = clips_of("kitti-step", spec.partition(":")[2])
    expected = [(name, [file.read().labels.tolist() for file in files]) for name, files in moved]
    for number, (images, maps) in enumerate(
        (
            ("training/image_02", "kitti-step/panoptic_maps/val"),
            ("images/training/image_02", "panoptic_maps/val"),
        )
    ):
        root = tmp_path / f"unpacked_{number}"
        shutil.copytree(tmp_path / "images/val", root / images)
        shutil.copytree(tmp_path / "panoptic_maps/val", root / maps)
        (root / images / "0000").mkdir()  # of the other split
        found = clips_of("kitti-step", f"{root}:val")
        assert [(name, [file.read().labels.tolist() for file in files]) for name, files in found] == expected
        shutil.rmtree(root / images)
        with pytest.raises(InputError, match=r"images/val: is not a folder, .* or training/image_02 of KITTI"):
            clips_of("kitti-step", f"{root}:val")


def test_bdd100k_of_2018(tmp_path):
    tiny_sets.picture(tmp_path / "seg/images/train/00a1.jpg", 0)
    tiny_sets.ids(tmp_path / "seg/labels/train/00a1_train_id.png", 13, 255)
    ((name, (file,)),) = clips_of("bdd100k", f"{tmp_path}:train")
    assert name == "00a1" and left_half(file.read().labels) == 13


def test_vistas_before_version_2(tmp_path):
    tiny_sets.picture(tmp_path / "training/images/x.jpg", 0)
    tiny_sets.ids(tmp_path / "training/labels/x.png", 55, 65, palette=True)
    ((_, (file,)),) = clips_of("vistas", f"{tmp_path}:train")
    assert left_half(file.read().labels) == CITYSCAPES.index("car")
    (tmp_path / "training/labels").rename(tmp_path / "training/v2.0")
    with pytest.raises(InputError, match=r"has only v2\.0/, whose classes are others"):
        clips_of("vistas", f"{tmp_path}:training")


def test_kitti_steps_ids_are_in_green_and_blue(trees):
    (spec,) = (spec for spec in trees if spec.startswith("kitti-step:"))
    labels, things = kitti_step.read_panoptic(clips_of(*spec.split(":", 1))[0][1][0].labels)
    assert left_half(labels) == 0 and np.unique(things).tolist() == [0, 300]


def test_cityscapes_vps_without_all_its_frames(tmp_path):
    tiny_sets.cityscapes_vps(tmp_path)
    for path in (tmp_path / "val/img_all").iterdir():
        path.unlink()
    ((_, files),) = clips_of("cityscapes-vps", f"{tmp_path}:val")
    assert [left_half(file.read().labels) for file in files] == [0, 1, 2]
    for path in (tmp_path / "val/labelmap").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"0005_0025_frankfurt_000000_001736_final_mask\.png: is missing, and 2 more"):
        clips_of("cityscapes-vps", f"{tmp_path}:val")
    (tmp_path / "val/labelmap").rmdir()
    with pytest.raises(InputError, match=r"has cls/, which holds colours, .*create_panoptic_labels\.py"):
        clips_of("cityscapes-vps", f"{tmp_path}:val")


def test_apolloscape_of_a_road_and_as_its_page_has_it(tmp_path):
    tiny_sets.apolloscape(tmp_path)
    (first, files), (_, (alone,)) = clips_of("apolloscape", f"{tmp_path}:road01_ins")
    assert first == "road01_ins_Record001_170908_061500408_Camera_5"
    assert [left_half(file.read().labels) for file in files] == [0, 1, CITYSCAPES.index("car"), 2]
    assert alone.image.parent.name == "Camera 6"
    for kind in ("ColorImage", "Label"):
        (tmp_path / kind).mkdir()
        (tmp_path / "road01_ins" / kind).rename(tmp_path / kind / "road01_ins")
    for split, count in (("road01_ins", 2), ("val", 3)):
        clips = clips_of("apolloscape", f"{tmp_path}:{split}")
        assert len(clips) == count and left_half(clips[0][1][1].read().labels) == 1
    with pytest.raises(InputError, match="are 255 all over"):
        clips_of("apolloscape", f"{tmp_path}:test")
    (tmp_path / "road01_ins_val.lst").write_text("a.jpg b.png\n")
    with pytest.raises(InputError, match=r"road01_ins_val\.lst: line 1 is 'a\.jpg b\.png', expected two paths"):
        clips_of("apolloscape", f"{tmp_path}:val")


def test_an_id_that_apolloscape_has_not_is_another_coding(tmp_path):
    tiny_sets.apolloscape(tmp_path)
    tiny_sets.ids(tmp_path / "road01_ins/Label/Record001/Camera 6/170908_061500408_Camera_6_bin.png", 13, 49)
    *_, (_, (file,)) = clips_of("apolloscape", f"{tmp_path}:val")
    with pytest.raises(
        InputError, match=r"holds label 13, expected 35 ids from 0 to 168, such as 0, 1, 17, 33, 34, or"
    ):
        file.read()


def test_a2d2_by_drive_and_by_camera(tmp_path):
    tiny_sets.a2d2(tmp_path)

    def numbers(split):
        return [int(name[-1]) for name, _ in clips_of("a2d2", f"{tmp_path}:{split}")]

    assert numbers("20180807_145028") == [0, 1] and numbers("cam_front_center") == [0, 2]
    assert numbers("20180807_145028,cam_rear_center") == [1] and numbers("20180810_142822,20180807_145028") == [0, 1, 2]
    with pytest.raises(
        InputError, match="has no drive or camera val, only 20180807_145028, 20180810_142822 … and cam_"
    ):
        numbers("val")


def test_a2d2s_cars_side_by_side_are_one_class_and_other_colours_none(tmp_path):
    tiny_sets.a2d2(tmp_path)
    path = tmp_path / "20180810_142822/label/cam_front_center/20180810142822_label_frontcenter_000000002.png"
    (_, (file,)), *_ = clips_of("a2d2", f"{tmp_path}:20180810_142822")
    tiny_sets.coloured(path, "#ff0000", "#c80000")
    assert (file.read().labels == CITYSCAPES.index("car")).all()
    tiny_sets.coloured(path, "#c80000", "#000000")
    assert left_half(file.read().labels) == CITYSCAPES.index("car")
    tiny_sets.coloured(path, "#ff0001", "#c80000")
    with pytest.raises(InputError, match="3072 of its pixels have a colour that the data set has not, such as #ff0001"):
        file.read()
    colours(path)
    with pytest.raises(InputError, match="they look like Cityscapes' colours"):
        file.read()
    tiny_sets.ids(path, 13, 255)
    with pytest.raises(InputError, match="has a single channel, as ids have, but these labels are RGB images"):
        file.read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "is no list of colours"), ('{"red": "Car 1"}', "is no list of colours"), ("{", "is no list of colours"),
        ('{"#ff0000": "Bus 1"}', "names the class 'Bus', which A2D2 has not"),
    ],
)  # fmt: skip
def test_a2d2s_list_of_colours_is_checked(tmp_path, text, message):
    tiny_sets.a2d2(tmp_path)
    (tmp_path / "class_list.json").write_text(text)
    with pytest.raises(InputError, match=f"class_list.json: {message}"):
        clips_of("a2d2", f"{tmp_path}:all")


def test_bdd100ks_video_is_turned_and_its_labelled_frame_found(tmp_path):
    """By the documentation it is the frame at ten seconds; users found it a few frames from there."""
    expected = tiny_sets.bdd100k_videos(tmp_path)
    with pytest.warns(InputNotice, match="1 of 2 labelled pictures have no video here"):
        (moment,) = bdd100k_videos.list_moments(tmp_path, "val")
    (frames,) = expected.values()
    samples = list(moment)
    assert {
        moment.name: [left_half(sample.labels) if (sample.labels != VOID).any() else None for sample in samples]
    } == frames
    for number, sample in enumerate(samples, 68):
        assert distance(sample.image, tiny_sets.drive(number)) < 8
    assert [sample.image.tobytes() for sample in moment] == [sample.image.tobytes() for sample in samples]
    coded = list(moment.coded())
    assert len(coded) == 30 and sum(motion is not None for _, motion in coded) > 20


@pytest.mark.filterwarnings("ignore::dvsnet_jax.errors.InputNotice")
def test_a_video_that_is_not_the_pictures_own_is_refused(tmp_path):
    tiny_sets.bdd100k_videos(tmp_path, labelled=90)  # a second before
    (moment,) = bdd100k_videos.list_moments(tmp_path, "val")
    with pytest.raises(
        InputError, match=r"no frame within 0\.5 s of its 10th second is 0000f77c-6257be58\.jpg \(the nea"
    ):
        list(moment)
    path = tmp_path / "videos/train/0000f77c-6257be58.mov"
    mark(path, (1, 0, 0, 1))
    with pytest.raises(
        InputError, match=r"is shown 64 × 96, but .* is 96 × 64; it has lost the mark of how to turn it"
    ):
        list(moment)
    encode(path, [tiny_sets.blocks(number) for number in range(20)], rate=10)
    with pytest.raises(InputError, match=r"\(it ends before that\)"):
        list(moment)
    path.unlink()
    with pytest.raises(InputError, match=r"holds the video of none of 2 labelled pictures, expected SPLIT/0000f77c"):
        bdd100k_videos.list_moments(tmp_path, "val")


@pytest.mark.parametrize(
    ("kind", "lost", "message"),
    [
        ("vspw", "val.txt", "the names of the videos"),
        ("vspw", "data/9_-cJ7tFPIb8c/mask/00000001.png", "00000001.png: is missing, expected a mask for every frame"),
        ("vspw", "data/9_-cJ7tFPIb8c/mask", "which its test split comes without"),
        ("kitti-step", "panoptic_maps/val/0002/000001.png", "expected a panoptic map for every frame"),
        ("kitti-step", "panoptic_maps/val", "panoptic maps, of train or val"),
        ("kitti-step", "images/val/0006", "the frames of sequence 0006"),
        ("cityscapes-vps", "val/img", "fetch_city_images.py"),
        ("apolloscape", "road01_ins_val.lst", "neither lists such as road01_ins_val.lst nor a folder val/ColorImage"),
        ("apolloscape", "road01_ins/Label/Record001/Camera 6/*", "expected labels of each frame"),
        ("apolloscape", "road01_ins/ColorImage/Record001/Camera 6/*", "expected the frames of the split"),
        ("a2d2", "class_list.json", "the names of the label files' colours"),
        ("a2d2", "20180807_145028/camera/cam_rear_center/*", "expected the picture of a label file"),
        ("bdd100k", "labels/sem_seg/masks/val", "neither labels/sem_seg/masks/val nor seg/labels/val"),
        ("bdd100k", "images/10k/val/7d06fefd-f7be05a6.jpg", "7d06fefd-f7be05a6.jpg: is missing"),
        ("vistas", "validation/v1.2/labels", "has no labels, expected v1.2/labels"),
        ("vistas", "validation/v1.2/labels/kp0_abc.png", "expected labels for every picture"),
        ("idd", "leftImg8bit/val/119/903127_leftImg8bit.png", "903127_leftImg8bit.png: is missing"),
        ("idd", "gtFine/val/*/*.png", "createLabels.py of AutoNUE/public-code makes them"),
    ],
)
def test_what_is_missing_is_named(tmp_path, kind, lost, message):
    getattr(tiny_sets, kind.replace("-", "_"))(tmp_path)
    (paths := [*tmp_path.glob(lost)]) or pytest.fail(f"{lost} is not in the tree")
    for path in paths:
        path.rename(tmp_path / f"lost-{path.parent.name}-{path.name}")
    with pytest.raises(InputError, match=message):
        clips_of(kind, f"{tmp_path}:{'all' if kind == 'a2d2' else 'val'}")


def test_a_spec_of_another_form_is_refused():
    with pytest.raises(InputError, match="vspw:folder: names no data set; expected vspw:ROOT:SPLIT"):
        named_clips(["vspw:folder"])
    with pytest.raises(InputError, match=r"expected camvid:ROOT:SPLIT.*vspw\|kitti-step"):
        labelled_set("vspw:folder")


# Labels in another coding


def colours(path):
    """What gtFine_color and colormaps are."""
    picture = np.array(CITYSCAPES_COLORS, np.uint8)[np.arange(64 * 96).reshape(64, 96) // 400]
    Image.fromarray(picture).save(path)


def instances(path):
    """Cityscapes' instanceIds: label id times 1000 and a number, in 16 bits."""
    ids = np.full((64, 96), 26003, np.uint16)
    ids[:32] = 7
    Image.fromarray(ids).save(path)


def bitmask(path):
    Image.fromarray(np.zeros((64, 96, 4), np.uint8), "RGBA").save(path)


def grey_as_rgb(path):
    Image.fromarray(np.full((64, 96, 3), 7, np.uint8)).save(path)


@pytest.mark.parametrize(("classes", "cut"), [(3, 3), (5, 15), (11, 15)])
def test_void_that_pillow_cut_off_is_named(tmp_path, classes, cut):
    labels = np.arange(64 * 96, dtype=np.uint32).reshape(64, 96).astype(np.uint8) % classes
    labels[:8] = 255
    picture = Image.fromarray(labels)
    picture.putpalette(bytes(range(3 * classes)))
    picture.save(tmp_path / "a.png")
    with pytest.raises(InputError, match=rf"a\.png: holds label {cut}, expected .*; {cut} may be void, whose 255"):
        read_train_ids(tmp_path / "a.png", range(classes))
    write_png(tmp_path / "a.png", labels, np.zeros((classes, 3), np.uint8))
    np.testing.assert_array_equal(read_train_ids(tmp_path / "a.png", range(classes)), labels)
    # Where there is void as well, it is another class.
    labels[0, 0] = cut
    write_png(tmp_path / "a.png", labels)
    with pytest.raises(InputError, match=f"holds label {cut}, .*neither colours nor another data set's"):
        read_train_ids(tmp_path / "a.png", range(classes))


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (colours, "is an RGB image of Cityscapes' colours, but labels are one 8-bit channel of ids"),
        (instances, "is a 16-bit image with values up to 26003, which look like instance ids"),
        (bitmask, "is an RGBA image, as bitmasks of instances are"),
        (grey_as_rgb, "is an RGB image of three equal channels"),
        (lambda path: tiny_sets.panoptic(path, 0, 255, 5), "is an RGB image, of colours or a panoptic map"),
        (lambda path: tiny_sets.ids(path, 26, 7), "labels 26.*look like Cityscapes' labelIds"),
        (lambda path: tiny_sets.ids(path, 40, 7), "holds label 40.*neither colours nor another data set's"),
    ],
)
def test_other_codings_are_named_and_not_scored(tmp_path, write, message):
    tiny_sets.picture(tmp_path / "a.jpg", 0)
    write(tmp_path / "a.png")
    file = LabelledFile("a", tmp_path / "a.jpg", tmp_path / "a.png", tuple(range(19)))
    with pytest.raises(InputError, match=message.replace("labels 26", "holds label 26")):
        file.read()


def test_a_panoptic_map_is_told_from_colours_and_from_ids(tmp_path):
    colours(tmp_path / "a.png")
    with pytest.raises(InputError, match="holds Cityscapes' colours, expected a panoptic map"):
        read_ids(tmp_path / "a.png", 0)
    tiny_sets.ids(tmp_path / "b.png", 3, 255)
    with pytest.raises(InputError, match="has a single channel, expected a panoptic map"):
        read_ids(tmp_path / "b.png", 0)
    # BDD100K's bitmasks: category, attributes and the two bytes of an id.
    bits = np.stack([tiny_sets.halves(each, 0) for each in (3, 8, 0, 1)], -1)
    Image.fromarray(bits).save(tmp_path / "c.png")
    with pytest.raises(InputError, match=r"is an RGBA image, as bitmasks of instances are .*, expected a panoptic"):
        read_ids(tmp_path / "c.png", 0)
    Image.fromarray(np.dstack([tiny_sets.halves(11, 0)] * 3)).save(tmp_path / "d.png")
    with pytest.raises(InputError, match="three equal channels, ids that were saved as a picture, expected a panoptic"):
        read_ids(tmp_path / "d.png", 0)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "road.png")
    assert not read_ids(tmp_path / "road.png", 0).any()


def sorted_by_colour(path, labels, colours):
    """As oxipng leaves a palette PNG of these ids (findings): colours that occur, sorted, and pixels by their place."""
    used = np.unique(labels)
    order = sorted(used.tolist(), key=lambda label: tuple(colours[label]))
    place = np.zeros(256, np.uint8)
    place[order] = np.arange(len(order))
    image = Image.fromarray(place[labels])
    image.putpalette(colours[order].tobytes())
    image.save(path)


@pytest.mark.parametrize(
    ("train_ids", "labels"),
    [(tuple(range(19)), [[0, 1, 2, 8], [0, 13, 10, 255]]), (TRAIN_IDS, [[7, 8, 11, 21], [7, 26, 23, 0]])],
)
def test_palettes_that_an_optimiser_sorted_are_told(tmp_path, train_ids, labels):
    colours, labels = np.zeros((256, 3), np.uint8), np.array(labels, np.uint8)
    colours[: len(train_ids)] = [(0, 0, 0) if each == VOID else CITYSCAPES_COLORS[each] for each in train_ids]
    write_png(tmp_path / "a.png", labels, colours)
    read_train_ids(tmp_path / "a.png", train_ids)
    sorted_by_colour(tmp_path / "b.png", labels, colours)
    with pytest.raises(InputError, match=r"b\.png: its palette has Cityscapes' colours in another order than its ids"):
        read_train_ids(tmp_path / "b.png", train_ids)


def test_palettes_of_few_colours_are_taken_as_they_are(tmp_path):
    """In the ids' own order, and in that of a set of other classes."""
    labels = np.arange(10, dtype=np.uint8).reshape(2, 5) % 5
    for order, num_classes in ((slice(5), 19), (slice(None, None, -1), 5)):
        image = Image.fromarray(labels)
        image.putpalette(np.array(CITYSCAPES_COLORS[:5][order], np.uint8).tobytes())
        image.save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_train_ids(tmp_path / "a.png", tuple(range(num_classes))), labels)


def test_labels_in_a_jpeg_are_refused(tmp_path):
    Image.fromarray(np.full((16, 16), 3, np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: is a JPEG, in which ids change at every outline"):
        read_ids(tmp_path / "a.jpg")


def test_version_2_of_vistas_is_told_by_its_ids(tmp_path):
    tiny_sets.vistas(tmp_path)
    tiny_sets.ids(tmp_path / "validation/v1.2/labels/kp0_abc.png", 115, 20, palette=True)
    (_, (file,)), _ = clips_of("vistas", f"{tmp_path}:val")
    with pytest.raises(InputError, match=r"version 2\.0 of Mapillary Vistas"):
        file.read()
