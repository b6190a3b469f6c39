"""IDD, unpacked as Cityscapes is: `leftImg8bit/SPLIT/DRIVE/…_leftImg8bit.png` and `gtFine/SPLIT/DRIVE/…_gtFine_….png`.

Varma et al., IDD: A Dataset for Exploring Problems of Autonomous Navigation in Unconstrained Environments, WACV 2019;
layout and ids by AutoNUE/public-code, helpers/anue_labels.py. The release has polygons alone; its createLabels.py
makes the label files, in a coding that their names tell:

| ends in | what is stored | is read as |
|---|---|---|
| `labelcsTrainIds.png` | Cityscapes' train ids | they are |
| `labelids.png` | IDD's 40 ids | the train ids that IDD's table gives |
| `labelcsIds.png` | Cityscapes' label ids; soil and grass are void | the train ids of those |
| `labellevel3Ids.png` | the 26 classes that IDD is measured in | its own with `num_classes` 26, else train ids |
| `labellevel1Ids.png` | 7 classes, the "constrained" task's | its own with `num_classes` 7 |

The first of them that is there for a split is read, with 26 or 7 classes that of these alone. IDD Lite has the 7
classes ready made, as `gtFine/SPLIT/DRIVE/024541_label.png` of `leftImg8bit/SPLIT/DRIVE/024541_image.jpg`. Neither has
a map to Cityscapes' classes. Part I has .png, part II .jpg; both may be in one folder. IDD calls soil and grass beside
the road "non-drivable fallback", which is Cityscapes' terrain in its table; at level 3 rail tracks are in the same
class, animals are with persons, and background is with the sky. The pictures do not follow one another.
"""

from __future__ import annotations

import os
from pathlib import Path

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.cityscapes import TRAIN_IDS
from dvsnet_jax.datasets.samples import VOID, LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name

CLASSES = (
    "road", "drivable fallback", "sidewalk", "non-drivable fallback", "person", "rider", "motorcycle", "bicycle",
    "autorickshaw", "car", "truck", "bus", "vehicle fallback", "curb", "wall", "fence", "guard rail", "billboard",
    "traffic sign", "traffic light", "pole", "obs-str-bar-fallback", "building", "bridge", "vegetation", "sky",
)  # fmt: skip
"""Names of the 26 classes of level 3."""
LEVEL_1 = (
    "drivable", "non-drivable", "living things", "vehicles", "roadside objects", "far objects", "sky",
)  # fmt: skip
"""Names of the 7 classes of level 1, which are IDD Lite's."""
_ALSO = {"non-drivable fallback": "terrain"}
FROM_LEVEL_3 = tuple(
    CITYSCAPES.index(_ALSO.get(name, name)) if _ALSO.get(name, name) in CITYSCAPES else VOID for name in CLASSES
)
_OF_IDS = (
    0, VOID, VOID, 1, VOID, 9, 11, VOID, 12, 17, 18, VOID, 13, 14, 15, VOID, VOID, 16, VOID, VOID, 3, 4, VOID, VOID, 7,
    6, 5, VOID, VOID, 2, VOID, VOID, 8, 10, VOID, VOID, VOID, VOID, VOID, VOID,
)  # fmt: skip
"""The table's csTrainId of the ids 0 to 39."""

_IMAGE = "leftImg8bit"
_INSTANCES = "_inst_label"  # IDD Lite's
_OWN = {
    len(CLASSES): (("_gtFine_labellevel3Ids", _IMAGE, tuple(range(len(CLASSES)))),),
    len(LEVEL_1): (
        ("_gtFine_labellevel1Ids", _IMAGE, tuple(range(len(LEVEL_1)))),
        ("_label", "image", tuple(range(len(LEVEL_1)))),
    ),
}
"""By the number of classes: how label files end, how their pictures do, and what is stored."""
_CODINGS = (
    ("_gtFine_labelcsTrainIds", _IMAGE, tuple(range(len(CITYSCAPES)))),
    ("_gtFine_labelids", _IMAGE, _OF_IDS),
    ("_gtFine_labelcsIds", _IMAGE, TRAIN_IDS),
    ("_gtFine_labellevel3Ids", _IMAGE, FROM_LEVEL_3),
)


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The labelled pictures of `train` or `val`, in order of drive and name; in its own classes with `num_classes` 26
    or 7.

    Raises `InputError` for what is missing, and where there are polygons but no label files.
    """
    base = folder_of(Path(root) / "gtFine" / split, "IDD's gtFine with a split, train or val")
    codings = _OWN.get(num_classes, _CODINGS)
    for coding, kind, ids in codings:  # noqa: B007
        labels = sorted(path for path in base.glob(f"*/[!.]*{coding}.png") if not path.stem.endswith(_INSTANCES))
        if labels:
            break
    else:
        if any(base.glob(f"*/*{_INSTANCES}.png")):
            raise InputError(
                f"{base}: is IDD Lite, whose seven classes are neither Cityscapes' nor those of level 3; measure and "
                "train networks of 7 classes on it"
            )
        hint = ""
        if any(base.glob("*/*_polygons.json")):
            hint = "; there are polygons, of which preperation/createLabels.py of AutoNUE/public-code makes them"
        raise InputError(f"{base}: holds no label file *{' or '.join(coding for coding, *_ in codings)}.png{hint}")
    pictures = {}
    for path in (Path(root) / "leftImg8bit" / split).glob("*/*"):
        if is_image_name(path):
            pictures[path.parent.name, path.stem.removesuffix(f"_{kind}")] = path
    files = []
    for path in labels:
        drive, stem = path.parent.name, path.name.removesuffix(f"{coding}.png")
        lost = Path(root) / "leftImg8bit" / split / drive / f"{stem}_{kind}.{'png' if kind == _IMAGE else 'jpg'}"
        check_files([pictures.get((drive, stem), lost)], "the picture of a label file")
        name = f"{drive}_{stem}"
        files.append((name, [LabelledFile(name, pictures[drive, stem], path, ids)]))
    return files
