"""Mapillary Vistas, version 1: `training/images/*.jpg` with `training/v1.2/labels/*.png` or `training/labels`.

Neuhold et al., The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes, ICCV 2017. Stored ids are
those of the first 66 labels in its config.json, the last of which, 65, is unlabelled. `instances` are 16-bit files,
and the ids of version 2.0 are others: neither is read. The pictures do not follow one another.

Which of Cityscapes' classes each is read as is a choice, made here once by what Cityscapes' labelling policy says of
such things; what is not named is void:

| Vistas | → train id |
|---|---|
| road, service lane, plain crosswalk, both lane markings, manhole, pothole, catch basin | road |
| sidewalk, pedestrian area, curb, curb cut | sidewalk |
| building, wall, fence, terrain, sky, vegetation, person | the same |
| pole, utility pole | pole |
| traffic light, front of traffic sign | traffic light, traffic sign |
| bicyclist, motorcyclist, other rider | rider |
| car, truck, bus, motorcycle, bicycle, on rails | the same, on rails is train |

So void are, among others, parking, bike lane, guard rail, barrier, bridge, street light, sand, snow, caravan and
trailer.
"""

from __future__ import annotations

import os
from pathlib import Path

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.samples import VOID, LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name

CLASSES = (
    "Bird", "Ground Animal", "Curb", "Fence", "Guard Rail", "Barrier", "Wall", "Bike Lane", "Crosswalk - Plain",
    "Curb Cut", "Parking", "Pedestrian Area", "Rail Track", "Road", "Service Lane", "Sidewalk", "Bridge", "Building",
    "Tunnel", "Person", "Bicyclist", "Motorcyclist", "Other Rider", "Lane Marking - Crosswalk",
    "Lane Marking - General", "Mountain", "Sand", "Sky", "Snow", "Terrain", "Vegetation", "Water", "Banner", "Bench",
    "Bike Rack", "Billboard", "Catch Basin", "CCTV Camera", "Fire Hydrant", "Junction Box", "Mailbox", "Manhole",
    "Phone Booth", "Pothole", "Street Light", "Pole", "Traffic Sign Frame", "Utility Pole", "Traffic Light",
    "Traffic Sign (Back)", "Traffic Sign (Front)", "Trash Can", "Bicycle", "Boat", "Bus", "Car", "Caravan",
    "Motorcycle", "On Rails", "Other Vehicle", "Trailer", "Truck", "Wheeled Slow", "Car Mount", "Ego Vehicle",
)  # fmt: skip
"""Names of the stored ids 0 to 64; 65 is unlabelled."""

_TO_CITYSCAPES = {
    "Road": "road", "Service Lane": "road", "Crosswalk - Plain": "road", "Lane Marking - Crosswalk": "road",
    "Lane Marking - General": "road", "Manhole": "road", "Pothole": "road", "Catch Basin": "road",
    "Sidewalk": "sidewalk", "Pedestrian Area": "sidewalk", "Curb": "sidewalk", "Curb Cut": "sidewalk",
    "Building": "building", "Wall": "wall", "Fence": "fence", "Terrain": "terrain", "Sky": "sky",
    "Vegetation": "vegetation", "Person": "person", "Pole": "pole", "Utility Pole": "pole",
    "Traffic Light": "traffic light", "Traffic Sign (Front)": "traffic sign", "Bicyclist": "rider",
    "Motorcyclist": "rider", "Other Rider": "rider", "Car": "car", "Truck": "truck", "Bus": "bus",
    "Motorcycle": "motorcycle", "Bicycle": "bicycle", "On Rails": "train",
}  # fmt: skip

OWN_IDS = (*range(len(CLASSES)), VOID)
TRAIN_IDS = (
    *(CITYSCAPES.index(_TO_CITYSCAPES[name]) if name in _TO_CITYSCAPES else VOID for name in CLASSES),
    VOID,
)
"""Cityscapes train id of each stored id 0 to 65."""
_SPLITS = {"train": "training", "val": "validation"}


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The pictures of `training` (also `train`) or `validation` (`val`); in its own classes with `num_classes` 65.

    Raises `InputError` for what is missing, and where only version 2.0 is there. The testing split has no labels.
    """
    base = folder_of(Path(root) / _SPLITS.get(split, split), "Mapillary Vistas' training or validation")
    folder = next((each for each in (base / "v1.2/labels", base / "labels") if each.is_dir()), None)
    if folder is None:
        there = "only v2.0/, whose classes are others" if (base / "v2.0").is_dir() else "no labels"
        raise InputError(f"{base}: has {there}, expected v1.2/labels or labels; unpack these too")
    images = folder_of(base / "images", "the pictures")
    pictures = {path.stem: path for path in sorted(images.iterdir()) if is_image_name(path)}
    if not pictures:
        raise InputError(f"{images}: holds no picture; check the root")
    labels = {stem: folder / f"{stem}.png" for stem in pictures}
    check_files(labels.values(), "labels for every picture")
    ids = OWN_IDS if num_classes == len(CLASSES) else TRAIN_IDS
    return [(stem, [LabelledFile(stem, path, labels[stem], ids)]) for stem, path in pictures.items()]
