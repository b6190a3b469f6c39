"""Plain folders of labelled frames, and flow pairs."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.datasets import folders
from dvsnet_jax.datasets.samples import LabelledFiles
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.flow_files import write_flow
from dvsnet_jax.media.images import write_png

RNG = np.random.default_rng(0)


def picture(height=6, width=8):
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


def labelled(tmp_path, stems, ids=None):
    frames, labels = tmp_path / "frames", tmp_path / "labels"
    for folder in (frames, labels):
        folder.mkdir(exist_ok=True)
    for number, stem in enumerate(stems):
        write_png(frames / f"{stem}.png", picture())
        write_png(labels / f"{stem}.png", np.full((6, 8), number if ids is None else ids, np.uint8))
    return frames, labels


def test_frames_and_labels_of_the_same_stem(tmp_path):
    frames, labels = labelled(tmp_path, ["a_2", "a_1", "b"])
    write_png(frames / "not_labelled.png", picture())
    (labels / "notes.txt").touch()
    source = LabelledFiles(folders.list_labelled(frames, labels, num_classes=3))
    assert [file.name for file in source.files] == ["a_1", "a_2", "b"]
    assert [int(sample.labels[0, 0]) for sample in source] == [1, 0, 2]
    assert source[0].image.shape == (6, 8, 3)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    frames, labels = labelled(tmp_path, ["a"], ids=7)
    with pytest.raises(InputError, match=r"a.png: holds label 7, expected 0 to 4 or 255 \(void\)"):
        folders.list_labelled(frames, labels, num_classes=5)[0].read()
    write_png(labels / "a.png", np.zeros((6, 9), np.uint8))
    with pytest.raises(InputError, match=r"labels/a.png: is 9 × 6, but a.png is 8 × 6"):
        folders.list_labelled(frames, labels)[0].read()
    write_png(frames / "a.bmp", picture())
    with pytest.raises(InputError, match=r"a.png: has the name of a.bmp"):
        folders.list_labelled(frames, labels)
    (frames / "a.bmp").unlink()
    (frames / "a.png").unlink()
    with pytest.raises(InputError, match=r"labels/a.png: has no frame a\.\* in"):
        folders.list_labelled(frames, labels)
    (labels / "a.png").unlink()
    with pytest.raises(InputError, match="labels: holds no image"):
        folders.list_labelled(frames, labels)
    with pytest.raises(InputError, match="nowhere: is not a folder"):
        folders.list_labelled(tmp_path / "nowhere", labels)
    with pytest.raises(InputError, match="num_classes is 300"):
        folders.list_labelled(frames, labels, num_classes=300)


def flow_pair(folder, name, suffix="png", unknown=False, size=(6, 8)):
    for part in ("img1", "img2"):
        if suffix == "ppm":
            data = picture()
            (folder / f"{name}_{part}.ppm").write_bytes(b"P6 8 6 255\n" + data.tobytes())
        else:
            write_png(folder / f"{name}_{part}.png", picture())
    flow = RNG.normal(0, 3, (*size, 2)).astype(np.float32)
    if unknown:
        flow[0, 0] = np.nan
    write_flow(folder / f"{name}_flow.flo", flow)
    return flow


def test_flow_pairs_of_either_layout(tmp_path):
    second = flow_pair(tmp_path, "pair1", unknown=True)
    first = flow_pair(tmp_path, "00001", suffix="ppm")
    source = folders.FlowFiles(folders.list_flow_pairs(tmp_path))
    assert [file.name for file in source.files] == ["00001", "pair1"] and len(source) == 2
    np.testing.assert_array_equal(source[0].flow, first)
    assert source[0].valid.all()
    pair = source[1]
    assert not pair.valid[0, 0] and pair.valid.sum() == 47
    assert (pair.flow[0, 0] == 0).all() and np.isfinite(pair.flow).all()
    np.testing.assert_array_equal(pair.flow[1:], second[1:])


def test_flow_may_be_a_kitti_png(tmp_path):
    flow_pair(tmp_path, "a")
    (tmp_path / "a_flow.flo").unlink()
    write_flow(tmp_path / "a_flow.png", np.full((6, 8, 2), 1.5))
    (pair,) = folders.FlowFiles(folders.list_flow_pairs(tmp_path))
    assert (pair.flow == 1.5).all()


def test_a_pair_that_is_not_whole_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no pair"):
        folders.list_flow_pairs(tmp_path)
    flow_pair(tmp_path, "a", size=(6, 9))
    with pytest.raises(InputError, match=r"a_flow.flo: is 9 × 6, but a_img1.png is 8 × 6"):
        folders.list_flow_pairs(tmp_path)[0].read()
    (tmp_path / "a_img2.png").unlink()
    with pytest.raises(InputError, match=r"a_img2.png: is missing, expected each pair's"):
        folders.list_flow_pairs(tmp_path)


@pytest.mark.data
def test_real_flow_pairs(data):
    files = folders.list_flow_pairs(data / "flow")
    assert len(files) == 5
    pair = files[0].read()
    assert pair.first.shape == (384, 512, 3) and pair.valid.mean() > 0.9


def test_flow_may_be_any_kind_of_file(tmp_path):
    for name, suffix in (("a", "npy"), ("b", "npz"), ("c", "pfm")):
        flow_pair(tmp_path, name)
        (tmp_path / f"{name}_flow.flo").unlink()
        flow = np.full((6, 8, 2), 2.5, np.float32)
        path = tmp_path / f"{name}_flow.{suffix}"
        if suffix == "npy":
            np.save(path, flow)
        elif suffix == "npz":
            np.savez(path, u=flow[..., 0], v=flow[..., 1])
        else:
            path.write_bytes(b"PF\n8 6\n-1.0\n" + np.full((6, 8, 3), 2.5, "<f4").tobytes())
    pairs = [*folders.FlowFiles(folders.list_flow_pairs(tmp_path))]
    assert len(pairs) == 3 and all((pair.flow == 2.5).all() and pair.valid.all() for pair in pairs)


def test_springs_flow_is_read_at_its_pictures_size(tmp_path):
    h5py = pytest.importorskip("h5py")
    flow_pair(tmp_path, "a")
    (tmp_path / "a_flow.flo").unlink()
    flow = np.arange(12 * 16 * 2, dtype=np.float32).reshape(12, 16, 2)
    with h5py.File(tmp_path / "a_flow.flo5", "w") as file:
        file["flow"] = flow
    (pair,) = folders.FlowFiles(folders.list_flow_pairs(tmp_path))
    np.testing.assert_array_equal(pair.flow, flow[::2, ::2])
