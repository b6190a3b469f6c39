"""Whole flow sets as they are unpacked: a tiny tree of each, its files written by OpenCV, h5py and numpy."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_sets import leave_behind

from dvsnet_jax.datasets.flow.layouts import KINDS, list_layout
from dvsnet_jax.datasets.flow.sets import flow_set
from dvsnet_jax.errors import InputError, InputNotice

SIZE = (6, 8)


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def picture(path: Path) -> None:
    """Grey, of the number in its name, so that a pair tells which frames it has."""
    number = int(re.findall(r"\d+", path.stem)[-1])
    cv2.imwrite(str(made(path)), np.full((*SIZE, 3), number, np.uint8))


def constant(moves: float, scale: int = 1) -> np.ndarray:
    return np.full((scale * SIZE[0], scale * SIZE[1], 2), (moves, -moves), np.float32)


def flo(path: Path, moves: float) -> None:
    cv2.writeOpticalFlow(str(made(path)), constant(moves))


def mask(path: Path, row: int) -> None:
    marks = np.zeros(SIZE, np.uint8)
    marks[row] = 255
    cv2.imwrite(str(made(path)), marks)


def kitti_png(path: Path, moves: float, unknown: int) -> None:
    """OpenCV's channels are blue, green and red: valid, v and u. So many pixels are not known."""
    channels = np.full((*SIZE, 3), (1, round(-64 * moves) + 2**15, round(64 * moves) + 2**15), np.uint16)
    channels.reshape(-1, 3)[:unknown] = 0
    cv2.imwrite(str(made(path)), channels)


def flo5(path: Path, moves: float) -> None:
    flow = constant(moves, 2)
    flow[:2, :2] = np.nan
    h5py = pytest.importorskip("h5py")
    with h5py.File(made(path), "w") as file:
        file.create_dataset("flow", data=flow)


def sintel(root: Path) -> str:
    for scene in ("alley_1", "bamboo_2"):
        for number in (1, 2, 3):
            for which in ("clean", "final"):
                picture(root / "training" / which / scene / f"frame_{number:04d}.png")
            mask(root / "training/invalid" / scene / f"frame_{number:04d}.png", 0)
        for number in (1, 2):
            flo(root / "training/flow" / scene / f"frame_{number:04d}.flo", number)
            mask(root / "training/occlusions" / scene / f"frame_{number:04d}.png", 1)
    return f"sintel:{root}:final"


def things(root: Path) -> str:
    for number in (6, 7):
        picture(root / "frames_cleanpass/TRAIN/A/0000/left" / f"{number:04d}.png")
        for direction, name in (("into_future", "Future"), ("into_past", "Past")):
            path = root / f"optical_flow/TRAIN/A/0000/{direction}/left/OpticalFlowInto{name}_{number:04d}_L.pfm"
            # OpenCV turns the rows upside down and writes blue first, so that red, the first channel, is u.
            flow = np.dstack([constant(number), np.zeros(SIZE, np.float32)])
            assert cv2.imwrite(str(made(path)), flow[..., ::-1])
    return f"things:{root}:TRAIN:clean"


def things_subset(root: Path) -> str:
    for number in (3, 4, 9):
        picture(root / "val/image_final/left" / f"{number:07d}.png")
        flo(root / "val/flow/left/into_future" / f"{number:07d}.flo", number)
        flo(root / "val/flow/left/into_past" / f"{number:07d}.flo", number)
    return f"things:{root}:TEST:final"


def kitti(root: Path, images: str = "image_2") -> str:
    for name in ("000000", "000001"):
        for number in (10, 11):
            picture(root / "training" / images / f"{name}_{number}.png")
        kitti_png(root / "training/flow_occ" / f"{name}_10.png", 2.5, unknown=5)
        kitti_png(root / "training/flow_noc" / f"{name}_10.png", 2.5, unknown=9)
    return f"kitti:{root}"


def hd1k(root: Path) -> str:
    for sequence, count in (("000000", 3), ("000001", 2)):
        for number in range(count):
            picture(root / "hd1k_input/image_2" / f"{sequence}_{number:04d}.png")
            kitti_png(root / "hd1k_flow_gt/flow_occ" / f"{sequence}_{number:04d}.png", number, unknown=3)
    return f"hd1k:{root}"


def spring(root: Path) -> str:
    for number in (1, 2, 3):
        picture(root / "train/0001/frame_left" / f"frame_left_{number:04d}.png")
        if number < 3:
            flo5(root / "train/0001/flow_FW_left" / f"flow_FW_left_{number:04d}.flo5", number)
        if number > 1:
            flo5(root / "train/0001/flow_BW_left" / f"flow_BW_left_{number:04d}.flo5", number)
    return f"spring:{root}"


def viper(root: Path) -> str:
    for number, suffix in ((1, "jpg"), (2, "jpg"), (3, "jpg"), (9, "jpg")):
        picture(root / "val/img/001" / f"001_{number:05d}.{suffix}")
        flow = constant(number).astype(np.float16)
        flow[0, 0] = np.inf
        for folder in ("flow", "flowbw"):
            path = made(root / "val" / folder / "001" / f"001_{number:05d}.npz")
            np.savez_compressed(path, u=flow[..., 0], v=flow[..., 1])
    (root / "val/flow/001/001_00002.npz").write_bytes(b"")
    return f"viper:{root}:val"


def tartanair(root: Path) -> str:
    old, new = root / "abandonedfactory/Easy/P000", root / "House/Data_easy/P001"
    for number in (0, 1, 2):
        picture(old / "image_left" / f"{number:06d}_left.png")
        picture(new / "image_lcam_front" / f"{number:06d}_lcam_front.png")
    marks = np.zeros(SIZE, np.uint8)
    marks[0] = 10
    for number in (0, 1):
        stem = f"{number:06d}_{number + 1:06d}"
        np.save(made(old / "flow" / f"{stem}_flow.npy"), constant(number))
        np.save(old / "flow" / f"{stem}_mask.npy", marks)
        channels = np.dstack([np.round(64 * constant(number) + 2**15), marks]).astype(np.uint16)
        cv2.imwrite(str(made(new / "flow_lcam_front" / f"{stem}_flow.png")), channels)
    return f"tartanair:{root}"


# Of each pair its two frames, how far it moves, and how many pixels are not known.
EXPECTED = {
    sintel: [(1, 2, 1, 8), (2, 3, 2, 8)] * 2,
    things: [(6, 7, 6, 0), (7, 6, 7, 0)],
    things_subset: [(3, 4, 3, 0), (4, 3, 4, 0)],
    kitti: [(10, 11, 2.5, 5)] * 2,
    hd1k: [(0, 1, 0, 3), (1, 2, 1, 3), (0, 1, 0, 3)],
    spring: [(1, 2, 1, 1), (2, 1, 2, 1), (2, 3, 2, 1), (3, 2, 3, 1)],
    viper: [(1, 2, 1, 1), (2, 1, 2, 1), (3, 2, 3, 1)],
    tartanair: [(0, 1, 0, 8), (1, 2, 1, 8)] * 2,
}


def told(pair) -> tuple[float, ...]:
    np.testing.assert_array_equal(pair.flow[..., 0], -pair.flow[..., 1])
    moves = np.unique(pair.flow[pair.valid][:, 0])
    assert len(moves) == 1 and not pair.flow[~pair.valid].any()
    return int(pair.first[0, 0, 0]), int(pair.second[0, 0, 0]), float(moves[0]), int((~pair.valid).sum())


@pytest.mark.filterwarnings("ignore::dvsnet_jax.errors.InputNotice")
@pytest.mark.parametrize("make", EXPECTED, ids=lambda make: make.__name__)
def test_pairs_of_a_set(tmp_path, make):
    root = tmp_path / "with:colon"
    spec = make(root)
    leave_behind(root)
    source = flow_set(spec)
    assert [told(pair) for pair in source] == EXPECTED[make]
    assert all(pair.flow.shape == (*SIZE, 2) for pair in source)
    names = [file.name for file in list_layout(spec)]
    assert len(set(names)) == len(names)


def test_every_layout_has_a_tree(tmp_path):
    assert {make(tmp_path / make.__name__).partition(":")[0] for make in EXPECTED} == KINDS


def test_hidden_points_are_left_out_on_request(tmp_path):
    assert [told(pair)[3] for pair in flow_set(f"{sintel(tmp_path / 's')}:noc")] == [16] * 4
    assert [told(pair)[3] for pair in flow_set(f"{kitti(tmp_path / 'k', 'colored_0')}:noc")] == [9] * 2


def test_things_in_webp(tmp_path):
    """The smaller archives of its pictures, whose folder is called so."""
    spec = things(tmp_path)
    (tmp_path / "frames_cleanpass").rename(tmp_path / "frames_cleanpass_webp")
    for path in [*tmp_path.rglob("*.png")]:
        assert cv2.imwrite(str(path.with_suffix(".webp")), cv2.imread(str(path)), [cv2.IMWRITE_WEBP_QUALITY, 101])
        path.unlink()
    assert [told(pair) for pair in flow_set(spec)] == EXPECTED[things]


def test_tartanairs_flow_without_its_masks_is_told(tmp_path):
    spec = tartanair(tmp_path)
    (mask,) = tmp_path.rglob("000001_000002_mask.npy")
    mask.unlink()
    with pytest.warns(InputNotice, match=r"000001_000002_flow\.npy: has no mask .*\(1 such\)"):
        assert len(list_layout(spec)) == 4


def test_vipers_empty_files_are_told(tmp_path):
    with pytest.warns(
        InputNotice, match=r"001_00002\.npz: is empty, as some of VIPER's flow files were released \(1 here"
    ):
        flow_set(viper(tmp_path))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sintel:{}", r"names no flow set; clean\|final is missing"),
        ("sintel:{}:final:occ", r"names no flow set; clean\|final is missing"),
        ("viper:{}:test", r"train\|val is missing"),
        ("hd1k:{}/none", "is not a folder, expected the root of hd1k"),
        ("spring:{}", "holds no pair where spring has its own; check the root"),
        ("kitti:{}", "KITTI's training, of 2012 or 2015"),
    ],
)
def test_what_is_no_such_set_is_refused(tmp_path, spec, message):
    with pytest.raises(InputError, match=message):
        flow_set(spec.format(tmp_path))


def test_what_is_missing_of_a_pair_is_named(tmp_path):
    spec = sintel(tmp_path)
    (tmp_path / "training/invalid/alley_1/frame_0002.png").unlink()
    with pytest.raises(InputError, match=r"invalid/alley_1/frame_0002\.png: is missing, expected the mask"):
        flow_set(spec)
    (tmp_path / "training/final/bamboo_2/frame_0003.png").unlink()
    with pytest.raises(InputError, match=r"final/bamboo_2/frame_0003\.png: is missing, expected both pictures"):
        flow_set(spec)
    mask(tmp_path / "training/invalid/alley_1/frame_0002.png", 0)
    cv2.imwrite(str(tmp_path / "training/invalid/alley_1/frame_0001.png"), np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError, match=r"frame_0001\.png: is \[3, 3\], expected one channel of \[6, 8\]"):
        list_layout(f"sintel:{tmp_path}:clean")[0].read()
