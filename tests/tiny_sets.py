"""A tiny tree of every data set that has a reader, laid out and coded as the set's own documentation says.

`write_all` makes the trees and says what must be read of them: by spec, by clip, the train id of each frame's left half
(the right half is void), None for a frame without labels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from made_videos import TURNS, encode, mark
from PIL import Image

SIZE = (64, 96)
Expected = dict[str, dict[str, list[int | None]]]


def blocks(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def drive(number: int) -> np.ndarray:
    """A frame of a video that moves by two pixels a frame, and is the same again after 48."""
    return np.roll(blocks(7), 2 * number, axis=1)


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blocks(seed)).save(path)


def halves(left: int, right: int, dtype: type = np.uint8) -> np.ndarray:
    ids = np.full(SIZE, left, dtype)
    ids[:, SIZE[1] // 2 :] = right
    return ids


def ids(path: Path, left: int, right: int, *, palette: bool = False) -> None:
    """A single channel of 8 bits, as a palette image where the data set has such."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(halves(left, right))
    if palette:
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(path)


def panoptic(path: Path, left: int, right: int, thing: int) -> None:
    """Class in red, id / 256 in green, id % 256 in blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    things = halves(thing, 0, np.int64)
    Image.fromarray(np.stack([halves(left, right), things // 256, things % 256], -1).astype(np.uint8)).save(path)


def vspw(root: Path) -> Expected:
    # 19 road, 20 path and 23 house; 0 is "others", 255 void.
    for video, stored in {"1001_5z_ijQjUf_0": (19, 20, 23), "9_-cJ7tFPIb8c": (1, 8)}.items():
        for number, left in enumerate(stored):
            stem = f"{4 * number + 1:08d}"
            picture(root / "data" / video / "origin" / f"{stem}.jpg", number)
            ids(root / "data" / video / "mask" / f"{stem}.png", left, 0 if number % 2 else 255)
    (root / "data/1001_5z_ijQjUf_0/origin/._00000001.jpg").write_bytes(b"left by an archive")
    (root / "val.txt").write_text("9_-cJ7tFPIb8c\n1001_5z_ijQjUf_0\n")
    (root / "label_num_dic_final.json").write_text(json.dumps({"others": "0", "wall": "1"}))
    return {f"vspw:{root}:val": {"9_-cJ7tFPIb8c": [3, 4], "1001_5z_ijQjUf_0": [0, 1, 2]}}


def kitti_step(root: Path) -> Expected:
    for sequence, classes in {"0002": (0, 1, 2), "0006": (3,)}.items():
        for number, left in enumerate(classes):
            picture(root / "images/val" / sequence / f"{number:06d}.png", number)
            panoptic(root / "panoptic_maps/val" / sequence / f"{number:06d}.png", left, 255, 300)
    return {f"kitti-step:{root}:val": {"0002": [0, 1, 2], "0006": [3]}}


def cityscapes_vps(root: Path) -> Expected:
    """One snippet from its frame 1732 to the third labelled one; the last two have Cityscapes' 20th between them."""
    base, scene = root / "val", "frankfurt_000000"
    for index, (number, kind) in enumerate(((1736, "newImg8bit"), (1741, "newImg8bit"), (1746, "leftImg8bit"))):
        prefix = f"0005_{25 + index:04d}_{scene}_{number:06d}"
        picture(base / "img" / f"{prefix}_{kind}.png", number)
        mark = "final_mask" if kind == "newImg8bit" else "gtFine_color"
        ids(base / "labelmap" / f"{prefix}_{mark}.png", index, 255)
        ids(base / "cls" / f"{prefix}_{mark}.png", index, 255)
    for number in range(1731, 1748):  # the first and the last are of other snippets
        picture(base / "img_all" / f"{scene}_{number:06d}_leftImg8bit.png", number)
    picture(base / "img_all" / f"{scene}_{3000:06d}_leftImg8bit.png", 0)  # of another video
    frames = [None] * 4 + [0] + [None] * 4 + [1] + [None] * 4 + [2]
    return {f"cityscapes-vps:{root}:val": {f"0005_{scene}": frames}}


def bdd100k(root: Path, names: tuple[str, str] = ("7d06fefd-f7be05a6", "8d0f1e55-aa000000")) -> Expected:
    for number, name in enumerate(names):
        picture(root / "images/10k/val" / f"{name}.jpg", number)
        ids(root / "labels/sem_seg/masks/val" / f"{name}.png", 2 * number, 255)
    picture(root / "images/10k/val/fffff-unlabelled.jpg", 9)
    return {f"bdd100k:{root}:val": {names[0]: [0], names[1]: [2]}}


def vistas(root: Path) -> Expected:
    # 13 is road, 2 is curb, 65 unlabelled.
    for number, left in enumerate((13, 2)):
        picture(root / "validation/images" / f"kp{number}_abc.jpg", number)
        ids(root / "validation/v1.2/labels" / f"kp{number}_abc.png", left, 65, palette=True)
    return {f"vistas:{root}:val": {"kp0_abc": [0], "kp1_abc": [1]}}


def idd(root: Path) -> Expected:
    # At level 3, 22 is building, 14 wall and 17 billboard.
    for drive, stem, left in (("201", "frame0029", 22), ("119", "903127", 14)):
        picture(root / "leftImg8bit/val" / drive / f"{stem}_leftImg8bit.png", left)
        ids(root / "gtFine/val" / drive / f"{stem}_gtFine_labellevel3Ids.png", left, 17)
        (root / "gtFine/val" / drive / f"{stem}_gtFine_polygons.json").write_text("{}")
    return {f"idd:{root}:val": {"119_903127": [3], "201_frame0029": [2]}}


def apolloscape(root: Path) -> Expected:
    """49 is road, 50 sidewalk, 97 building, 161 a group of cars, 99 a tunnel. The list leaves the third frame out."""
    base = root / "road01_ins"
    lines = []
    for camera, stored in {"Camera 5": (49, 50, 161, 97), "Camera 6": (50,)}.items():
        for number, left in enumerate(stored):
            stem = f"170908_06150{number}408_{camera.replace(' ', '_')}"
            picture(base / "ColorImage/Record001" / camera / f"{stem}.jpg", number)
            ids(base / "Label/Record001" / camera / f"{stem}_bin.png", left, 99 if number else 255)
            if number != 2:
                folders = (f"road01_ins/{kind}/Record001/{camera}/{stem}" for kind in ("ColorImage", "Label"))
                lines.append("{}.jpg\t{}_bin.png".format(*folders))
    (root / "road01_ins_val.lst").write_text("\n".join(reversed(lines)) + "\n")
    first = "road01_ins_Record001_170908_06150"
    return {
        f"apolloscape:{root}:val": {
            f"{first}0408_Camera_5": [0, 1], f"{first}3408_Camera_5": [2], f"{first}0408_Camera_6": [1],
        }
    }  # fmt: skip


A2D2_COLOURS = {
    "#ff0000": "Car 1", "#c80000": "Car 2", "#ff00ff": "RD normal street", "#b496c8": "Sidewalk",
    "#60458f": "Blurred area",
}  # fmt: skip


def coloured(path: Path, left: str, right: str) -> None:
    """An RGB image of two colours, such as #ff0000."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.array([[int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in (left, right)], np.uint8)
    Image.fromarray(colours[halves(0, 1)]).save(path)


def a2d2(root: Path) -> Expected:
    frames: dict[str, list[int | None]] = {}
    places = (
        ("20180807_145028", "front_center", "#ff00ff"), ("20180807_145028", "rear_center", "#b496c8"),
        ("20180810_142822", "front_center", "#b496c8"),
    )  # fmt: skip
    for number, (drive, camera, left) in enumerate(places):
        stem = f"{drive.replace('_', '')}_{{}}_{camera.replace('_', '')}_{number:09d}.png"
        picture(root / drive / "camera" / f"cam_{camera}" / stem.format("camera"), number)
        coloured(root / drive / "label" / f"cam_{camera}" / stem.format("label"), left, "#60458f")
        frames[stem.format("camera").removesuffix(".png")] = [0 if left == "#ff00ff" else 1]
    (root / "class_list.json").write_text(json.dumps(A2D2_COLOURS))
    return {f"a2d2:{root}:all": frames}


def bdd100k_videos(root: Path, *, turn: str = "left", labelled: int = 97) -> Expected:
    """BDD100K's pictures, and of the first the video: lying on its side, in another split, ten frames a second, of
    which one three tenths of a second before the tenth is the picture. All moves to the right (`drive`)."""
    name = "0000f77c-6257be58"
    bdd100k(root, (name, "b1cd1e94-549d0bfe"))
    path = root / "videos/train" / f"{name}.mov"
    path.parent.mkdir(parents=True)
    stored, matrix = TURNS[turn]
    mark(encode(path, [stored(drive(number)) for number in range(108)], rate=10, crf=10), matrix)
    Image.fromarray(drive(labelled)).save(root / "images/10k/val" / f"{name}.jpg")
    return {f"bdd100k-videos:{root}:val": {name: [None] * 29 + [0]}}


def write_all(root: Path) -> Expected:
    """Those of `datasets.readers.named`."""
    expected: Expected = {}
    for make in (vspw, kitti_step, cityscapes_vps, apolloscape, bdd100k, vistas, idd, a2d2):
        expected |= make(root / make.__name__)
    return expected


def leave_behind(root: Path) -> None:
    """What a Mac and programs that look at pictures leave on a stick: a hidden file beside each, and hidden folders."""
    for path in list(root.rglob("*")):
        if path.is_dir():
            (path / ".thumbnails").mkdir()
        else:
            (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7")
