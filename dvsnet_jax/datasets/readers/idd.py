"""IDD, unpacked as Cityscapes is: `leftImg8bit/SPLIT/DRIVE/…_leftImg8bit.png` and `gtFine/SPLIT/DRIVE/…_gtFine_….png`.

Varma et al., IDD: A Dataset for Exploring Problems of Autonomous Navigation in Unconstrained Environments, WACV 2019;
layout and ids by AutoNUE/public-code, helpers/anue_labels.py. The release has polygons alone; its createLabels.py
makes the label files, in a coding that their names tell:

| ends in | what is stored | is read as |
|---|---|---|
| `labelcsTrainIds.png` | Cityscapes' train ids | they are |
| `labelids.png` | IDD's 40 ids | the train ids that IDD's table gives |
| `labellevel3Ids.png` | the 26 classes that IDD is measured in | its own with `num_classes` 26, else train ids |

The first of them that is there for a split is read, with 26 classes the last alone. IDD calls soil and grass beside the
road "non-drivable fallback", which is Cityscapes' terrain in its table; at level 3 rail tracks are in the same class,
animals are with persons, and background is with the sky. The pictures do not follow one another.
"""

from __future__ import annotations

import os
from pathlib import Path

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.samples import VOID, LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name

CLASSES = (
    "road", "drivable fallback", "sidewalk", "non-drivable fallback", "person", "rider", "motorcycle", "bicycle",
    "autorickshaw", "car", "truck", "bus", "vehicle fallback", "curb", "wall", "fence", "guard rail", "billboard",
    "traffic sign", "traffic light", "pole", "obs-str-bar-fallback", "building", "bridge", "vegetation", "sky",
)  # fmt: skip
"""Names of the 26 classes of level 3."""
_ALSO = {"non-drivable fallback": "terrain"}
FROM_LEVEL_3 = tuple(
    CITYSCAPES.index(_ALSO.get(name, name)) if _ALSO.get(name, name) in CITYSCAPES else VOID for name in CLASSES
)
_OF_IDS = (
    0, VOID, VOID, 1, VOID, 9, 11, VOID, 12, 17, 18, VOID, 13, 14, 15, VOID, VOID, 16, VOID, VOID, 3, 4, VOID, VOID, 7,
    6, 5, VOID, VOID, 2, VOID, VOID, 8, 10, VOID, VOID, VOID, VOID, VOID, VOID,
)  # fmt: skip
"""The table's csTrainId of the ids 0 to 39."""

_OWN = ("labellevel3Ids", tuple(range(len(CLASSES))))
_CODINGS = (
    ("labelcsTrainIds", tuple(range(len(CITYSCAPES)))),
    ("labelids", _OF_IDS),
    ("labellevel3Ids", FROM_LEVEL_3),
)


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The labelled pictures of `train` or `val`, in order of drive and name.

    Raises `InputError` for what is missing, and where there are polygons but no label files.
    """
    base = folder_of(Path(root) / "gtFine" / split, "IDD's gtFine with a split, train or val")
    codings = (_OWN,) if num_classes == len(CLASSES) else _CODINGS
    for coding, ids in codings:  # noqa: B007
        if labels := sorted(base.glob(f"*/[!.]*_gtFine_{coding}.png")):
            break
    else:
        hint = ""
        if any(base.glob("*/*_polygons.json")):
            hint = "; there are polygons, of which preperation/createLabels.py of AutoNUE/public-code makes them"
        raise InputError(
            f"{base}: holds no label file *_gtFine_{' or '.join(coding for coding, _ in codings)}.png{hint}"
        )
    pictures = {}
    for path in (Path(root) / "leftImg8bit" / split).glob("*/*"):
        if is_image_name(path):
            pictures[path.parent.name, path.stem.removesuffix("_leftImg8bit")] = path
    files = []
    for path in labels:
        drive, stem = path.parent.name, path.name.removesuffix(f"_gtFine_{coding}.png")
        lost = Path(root) / "leftImg8bit" / split / drive / f"{stem}_leftImg8bit.png"
        check_files([pictures.get((drive, stem), lost)], "the picture of a label file")
        name = f"{drive}_{stem}"
        files.append((name, [LabelledFile(name, pictures[drive, stem], path, ids)]))
    return files
