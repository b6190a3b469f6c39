"""ApolloScape's scene parsing: records of a drive, a frame each metre, all labelled, by two cameras.

    road01_ins/ColorImage/Record001/Camera 5/170908_061502408_Camera_5.jpg          date, time, camera
    road01_ins/Label/Record001/Camera 5/170908_061502408_Camera_5_bin.png           one channel of its own ids
    road01_ins_train.lst, road01_ins_val.lst, …                                     frame and label file, a tab between

Huang et al., The ApolloScape Open Dataset for Autonomous Driving and its Application, TPAMI 2019; layout by its page
(apolloscape.auto/scene.html), which has `ColorImage/road01_ins/…` where the archives have `road01_ins/ColorImage/…`:
both are read. Ids are those of its label_apollo.py. `…_instanceIds.png` has 16 bits, `Labels_road…` of the lane
markings colours: neither is read. The labels of the test split are 255 all over.

A split is what all lists of that name say, or all of one road (`road02_seg`), most of which have no list. A clip ends
where frames of its folder are not in the list. The group of a thing ("car_groups") is read as the thing; things in the
table that are left out, and bridge, tunnel, overpass and the car itself, are void:

| ApolloScape | → train id |
|---|---|
| road, sidewalk, building, wall, fence, pole | the same |
| traffic_light, traffic_sign, vegetation, sky | the same |
| person, rider, car, truck, bus, motorbicycle, bicycle | the same |

So tricycles, cones, road piles, dustbins and billboards are void. There is no terrain and no train.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.samples import NO_SUCH_ID, VOID, LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name

CLASSES = (
    "sky", "car", "motorbicycle", "bicycle", "person", "rider", "truck", "bus", "tricycle", "road", "sidewalk",
    "traffic_cone", "road_pile", "fence", "traffic_light", "pole", "traffic_sign", "wall", "dustbin", "billboard",
    "building", "vegetation",
)  # fmt: skip
"""Names of its 22 train ids."""
_IDS = (17, 33, 34, 35, 36, 37, 38, 39, 40, 49, 50, 65, 66, 67, 81, 82, 83, 84, 85, 86, 97, 113)
_GROUPS = 128  # a group's id is so much above the thing's
_WITH_GROUPS = range(33, 41)
_NOT_COUNTED = (0, 1, 98, 99, 100)  # others, the car itself, bridge, tunnel, overpass
_CALLED = {"traffic_light": "traffic light", "traffic_sign": "traffic sign", "motorbicycle": "motorcycle"}

FROM_OWN = tuple(
    CITYSCAPES.index(_CALLED.get(name, name)) if _CALLED.get(name, name) in CITYSCAPES else VOID for name in CLASSES
)
"""Cityscapes train id of each of the 22 classes."""


def _by_id(to: tuple[int, ...]) -> tuple[int, ...]:
    """What each stored id 0 to 168 is, where the 22 classes are `to`."""
    table = [NO_SUCH_ID] * (_GROUPS + _WITH_GROUPS[-1] + 1)
    for label in _NOT_COUNTED:
        table[label] = VOID
    for label, meaning in zip(_IDS, to, strict=True):
        table[label] = meaning
        if label in _WITH_GROUPS:
            table[label + _GROUPS] = meaning
    return tuple(table)


OWN_IDS = _by_id(tuple(range(len(CLASSES))))
TRAIN_IDS = _by_id(FROM_OWN)
"""Cityscapes train id of each stored id 0 to 168."""
_KINDS = ("ColorImage", "Label")


class _Frame(NamedTuple):
    """Where a frame lies; frames sort in the order they were taken, camera by camera."""

    road: str
    record: str
    camera: str
    """Its folder's name, `Camera 5`."""
    image: Path
    labels: Path


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The frames of a split, or of one road, in clips called as their first frame; in its own classes with
    `num_classes` 22.

    Raises `InputError` for what is missing, for a split that has neither list nor folder, and for `test`.
    """
    base = folder_of(Path(root), "ApolloScape: folders such as road01_ins, and the image lists")
    if split == "test":
        raise InputError(f"{base}: the labels of ApolloScape's test split are 255 all over; name train, val or a road")
    lists = sorted([*base.glob(f"road*_{split}.lst"), *base.glob(f"*/road*_{split}.lst")])
    found = (frame for each in lists for frame in _listed(base, each)) if lists else _of_road(base, split)
    frames = sorted(found)
    if not frames:
        raise InputError(
            f"{base}: has neither lists such as road01_ins_{split}.lst nor a folder {split}/ColorImage with frames; "
            "unpack the image lists, or name a road such as road02_seg"
        )
    check_files((frame.image for frame in frames), "the frames of the split")
    check_files((frame.labels for frame in frames), "labels of each frame")
    ids = OWN_IDS if num_classes == len(CLASSES) else TRAIN_IDS
    clips = []
    for _, together in groupby(frames, key=lambda frame: frame[:3]):
        for run in _in_a_row(list(together)):
            files = [LabelledFile(f"{each.road}_{each.record}_{each.image.stem}", *each[3:], ids) for each in run]
            clips.append((files[0].name, files))
    return clips


def _listed(base: Path, path: Path) -> Iterator[_Frame]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        places = [Path(each).parts for each in line.strip().split("\t")]
        if len(places) != 2 or {len(parts) for parts in places} != {5}:
            raise InputError(
                f"{path}: line {number} is {line!r}, expected two paths ROAD/ColorImage/RECORD/CAMERA/… and "
                "ROAD/Label/RECORD/CAMERA/… with a tab between; take the data set's own list"
            )
        (road, _, record, camera, image), (*_, labels) = places
        pictures, maps = (_folder(base, road, kind) / record / camera for kind in _KINDS)
        yield _Frame(road, record, camera, pictures / image, maps / labels)


def _of_road(base: Path, road: str) -> Iterator[_Frame]:
    pictures, maps = (_folder(base, road, kind) for kind in _KINDS)
    for image in pictures.glob("*/*/*"):
        if is_image_name(image):
            record, camera = image.parts[-3:-1]
            yield _Frame(road, record, camera, image, maps / record / camera / f"{image.stem}_bin.png")


def _folder(base: Path, road: str, kind: str) -> Path:
    """As the archives have it, or as the page has."""
    return base / kind / road if (base / kind / road).is_dir() else base / road / kind


def _in_a_row(frames: list[_Frame]) -> Iterator[list[_Frame]]:
    """Cut where the folder holds frames that are not among these."""
    there = sorted(path.name for path in frames[0].image.parent.iterdir() if is_image_name(path))
    place = {name: number for number, name in enumerate(there)}
    numbered = enumerate(frames)
    for _, run in groupby(numbered, key=lambda each: place[each[1].image.name] - each[0]):
        yield [frame for _, frame in run]
