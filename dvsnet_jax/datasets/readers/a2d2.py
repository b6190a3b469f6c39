"""A2D2's semantic segmentation: pictures of six cameras, labels as colours, which `class_list.json` names.

    class_list.json                                                                     {"#ff0000": "Car 1", …}
    20180807_145028/camera/cam_front_center/20180807145028_camera_frontcenter_000001617.png
    20180807_145028/label/cam_front_center/20180807145028_label_frontcenter_000001617.png

Geyer et al., A2D2: Audi Autonomous Driving Dataset, 2020; layout by its README-SemSeg.txt. 55 colours are 38 classes:
objects side by side have colours of their own, "Car 1" to "Car 4". There is no official split, so a split is `all`, or
the names of drives (`20180807_145028`) and cameras (`cam_front_center`) with commas between. The labelled pictures are
picked out of the drives and do not follow one another.

Which of Cityscapes' classes each is read as is a choice, made here once by what Cityscapes' labelling policy says of
such things; what is not named is void:

| A2D2 | → train id |
|---|---|
| RD normal street, Drivable cobblestone, Slow drive area, RD restricted area, Speed bumper | road |
| Solid line, Dashed line, Zebra crossing, Painted driv. instr. | road |
| Sidewalk, Curbstone | sidewalk |
| Buildings, Poles, Sky, Nature object | building, pole, sky, vegetation |
| Traffic signal, Signal corpus; Traffic sign | traffic light; traffic sign |
| Pedestrian, Car, Truck, Bicycle | person, car, truck, bicycle |
| Small vehicles, which are motorcycles and the like | motorcycle |

So void are, among others, Parking area, Non-drivable street, Sidebars, Grid structure, Traffic guide obj., Utility
vehicle, Tractor and Ego car. A2D2 has no rider, wall, fence, terrain, bus or train.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.codings import Colour
from dvsnet_jax.datasets.samples import VOID, LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name

CLASSES = (
    "Car", "Bicycle", "Pedestrian", "Truck", "Small vehicles", "Traffic signal", "Traffic sign", "Utility vehicle",
    "Sidebars", "Speed bumper", "Curbstone", "Solid line", "Irrelevant signs", "Road blocks", "Tractor",
    "Non-drivable street", "Zebra crossing", "Obstacles / trash", "Poles", "RD restricted area", "Animals",
    "Grid structure", "Signal corpus", "Drivable cobblestone", "Electronic traffic", "Slow drive area",
    "Nature object", "Parking area", "Sidewalk", "Ego car", "Painted driv. instr.", "Traffic guide obj.",
    "Dashed line", "RD normal street", "Sky", "Buildings", "Blurred area", "Rain dirt",
)  # fmt: skip
"""Its classes, in the order of class_list.json, without the numbers of objects side by side."""

_TO_CITYSCAPES = {
    "RD normal street": "road", "Drivable cobblestone": "road", "Slow drive area": "road", "RD restricted area": "road",
    "Speed bumper": "road", "Solid line": "road", "Dashed line": "road", "Zebra crossing": "road",
    "Painted driv. instr.": "road", "Sidewalk": "sidewalk", "Curbstone": "sidewalk", "Buildings": "building",
    "Poles": "pole", "Sky": "sky", "Nature object": "vegetation", "Traffic signal": "traffic light",
    "Signal corpus": "traffic light", "Traffic sign": "traffic sign", "Pedestrian": "person", "Car": "car",
    "Truck": "truck", "Bicycle": "bicycle", "Small vehicles": "motorcycle",
}  # fmt: skip
FROM_OWN = tuple(CITYSCAPES.index(_TO_CITYSCAPES[name]) if name in _TO_CITYSCAPES else VOID for name in CLASSES)
"""Cityscapes train id of each class."""
_DRIVE = re.compile(r"\d{8}_\d{6}")
_NUMBERED = re.compile(r" \d+$")


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The labelled pictures that `split` chooses, in order of drive, camera and name; in A2D2's own classes with
    `num_classes` 38.

    Raises `InputError` for what is missing, for a colour list that cannot be read or names another class, and for a
    drive or camera that is not there.
    """
    base = folder_of(Path(root), "A2D2's camera_lidar_semantic: class_list.json and folders such as 20180807_145028")
    colours, names = _colours(base / "class_list.json")
    to = range(len(CLASSES)) if num_classes == len(CLASSES) else FROM_OWN
    ids = tuple(to[CLASSES.index(name)] for name in names)
    folders = sorted(path for path in base.glob("*/label/*") if path.is_dir() and _DRIVE.fullmatch(path.parts[-3]))
    files = []
    for folder in _chosen(base, folders, split):
        drive, _, camera = folder.parts[-3:]
        pictures = base / drive / "camera" / camera
        labels = sorted(path for path in folder.iterdir() if is_image_name(path) and "_label_" in path.name)
        images = [pictures / path.name.replace("_label_", "_camera_") for path in labels]
        check_files(images, "the picture of a label file")
        files += [
            LabelledFile(image.stem, image, path, ids, colours=colours)
            for image, path in zip(images, labels, strict=True)
        ]
    if not files:
        raise InputError(f"{base}: holds no label file …_label_frontcenter_000001617.png of {split}; check the root")
    return [(file.name, [file]) for file in files]


def _chosen(base: Path, folders: list[Path], split: str) -> list[Path]:
    wanted = set() if split == "all" else {word for word in split.split(",") if word}
    drives, cameras = ({folder.parts[place] for folder in folders} for place in (-3, -1))
    if lost := sorted(wanted - drives - cameras):
        raise InputError(
            f"{base}: has no drive or camera {', '.join(lost)}, only {', '.join(sorted(drives)[:3])} … and "
            f"{', '.join(sorted(cameras))}; name some of these, or all"
        )
    return [
        folder for folder in folders
        if folder.parts[-3] in (wanted & drives or drives) and folder.parts[-1] in (wanted & cameras or cameras)
    ]  # fmt: skip


def _colours(path: Path) -> tuple[tuple[Colour, ...], list[str]]:
    """Colours and the classes that they stand for."""
    check_files([path], "the names of the label files' colours")
    try:
        said = json.loads(path.read_text(encoding="utf-8-sig"))
        packed = [int(re.fullmatch("#([0-9a-fA-F]{6})", colour)[1], 16) for colour in said]  # type: ignore[index]
        names = [_NUMBERED.sub("", name) for name in said.values()]
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise InputError(
            f'{path}: is no list of colours such as {{"#ff0000": "Car 1"}} ({error}); copy it again'
        ) from error
    if strange := [name for name in names if name not in CLASSES]:
        raise InputError(f"{path}: names the class {strange[0]!r}, which A2D2 has not; take the data set's own list")
    return tuple((each >> 16, each >> 8 & 255, each & 255) for each in packed), names
