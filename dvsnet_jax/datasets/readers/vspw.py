"""VSPW, 480p or original: `data/VIDEO/origin/*.jpg`, `data/VIDEO/mask/*.png`, and videos listed in `val.txt`.

Miao et al., VSPW: A Large-scale Dataset for Video Scene Parsing in the Wild, CVPR 2021; layout and ids by
VSPW-dataset/VSPW-dataset-download. Stored ids are 0 "others" and 255 void, which count nowhere, and 1 to 124: as
classes of its own they are 0 to 123. Without a mask are the videos of the test split.

Which of Cityscapes' classes each is read as otherwise is a choice, made here once; what is not named is void:

| VSPW | → train id |
|---|---|
| road, crosswalk | road |
| path | sidewalk |
| building, house | building |
| wall, handrail_or_fence, pole, traffic_light | wall, fence, pole, traffic light |
| tree, flower, other_plant | vegetation |
| grass | terrain |
| sky, person, car, truck, bus, train, motorcycle, bicycle | the same (a rider is a person) |

VSPW has no traffic sign and no rider: a network that predicts them is wrong there, or right without reward.
"""

from __future__ import annotations

import os
from pathlib import Path

from dvsnet_jax.datasets.cityscapes import CLASSES as CITYSCAPES
from dvsnet_jax.datasets.samples import VOID, LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import is_image_name
from dvsnet_jax.media.reading.names import in_order

CLASSES = (
    "wall", "ceiling", "door", "stair", "ladder", "escalator", "Playground_slide", "handrail_or_fence", "window",
    "rail", "goal", "pillar", "pole", "floor", "ground", "grass", "sand", "athletic_field", "road", "path", "crosswalk",
    "building", "house", "bridge", "tower", "windmill", "well_or_well_lid", "other_construction", "sky", "mountain",
    "stone", "wood", "ice", "snowfield", "grandstand", "sea", "river", "lake", "waterfall", "water",
    "billboard_or_Bulletin_Board", "sculpture", "pipeline", "flag", "parasol_or_umbrella", "cushion_or_carpet", "tent",
    "roadblock", "car", "bus", "truck", "bicycle", "motorcycle", "wheeled_machine", "ship_or_boat", "raft", "airplane",
    "tyre", "traffic_light", "lamp", "person", "cat", "dog", "horse", "cattle", "other_animal", "tree", "flower",
    "other_plant", "toy", "ball_net", "backboard", "skateboard", "bat", "ball", "cupboard_or_showcase_or_storage_rack",
    "box", "traveling_case_or_trolley_case", "basket", "bag_or_package", "trash_can", "cage", "plate",
    "tub_or_bowl_or_pot", "bottle_or_cup", "barrel", "fishbowl", "bed", "pillow", "table_or_desk", "chair_or_seat",
    "bench", "sofa", "shelf", "bathtub", "gun", "commode", "roaster", "other_machine", "refrigerator",
    "washing_machine", "Microwave_oven", "fan", "curtain", "textiles", "clothes", "painting_or_poster", "mirror",
    "flower_pot_or_vase", "clock", "book", "tool", "blackboard", "tissue", "screen_or_television", "computer",
    "printer", "Mobile_phone", "keyboard", "other_electronic_product", "fruit", "food", "instrument", "train",
)  # fmt: skip
"""Names of the stored ids 1 to 124."""

_TO_CITYSCAPES = {
    "road": "road", "crosswalk": "road", "path": "sidewalk", "building": "building", "house": "building",
    "wall": "wall", "handrail_or_fence": "fence", "pole": "pole", "traffic_light": "traffic light",
    "tree": "vegetation", "flower": "vegetation", "other_plant": "vegetation", "grass": "terrain", "sky": "sky",
    "person": "person", "car": "car", "truck": "truck", "bus": "bus", "train": "train", "motorcycle": "motorcycle",
    "bicycle": "bicycle",
}  # fmt: skip

OWN_IDS = (VOID, *range(len(CLASSES)))
TRAIN_IDS = (
    VOID,
    *(CITYSCAPES.index(_TO_CITYSCAPES[name]) if name in _TO_CITYSCAPES else VOID for name in CLASSES),
)
"""Cityscapes train id of each stored id 0 to 124."""


def list_clips(
    root: str | os.PathLike[str], split: str, *, num_classes: int = 19
) -> list[tuple[str, list[LabelledFile]]]:
    """The videos of a split, in the order of its list, with their frames; in its own classes with `num_classes` 124.

    Raises `InputError` for a list, video or mask that is missing.
    """
    base = folder_of(Path(root), "VSPW: data/, train.txt, val.txt")
    listed = base / f"{split}.txt"
    check_files([listed], f"the names of the videos of the split {split!r}, one a line")
    names = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names:
        raise InputError(f"{listed}: names no video; take the data set's own list")
    ids = OWN_IDS if num_classes == len(CLASSES) else TRAIN_IDS
    return [(name, _frames(base / "data" / name, name, ids)) for name in names]


def _frames(video: Path, name: str, ids: tuple[int, ...]) -> list[LabelledFile]:
    origin = folder_of(video / "origin", f"the frames of the video {name} of VSPW")
    folder_of(video / "mask", f"the masks of the video {name} of VSPW, which its test split comes without")
    # Some archives hold ._00000001.jpg beside the pictures.
    frames = in_order(path for path in origin.iterdir() if is_image_name(path))
    masks = [video / "mask" / f"{path.stem}.png" for path in frames]
    check_files(masks, "a mask for every frame")
    return [LabelledFile(f"{name}_{path.stem}", path, mask, ids) for path, mask in zip(frames, masks, strict=True)]
