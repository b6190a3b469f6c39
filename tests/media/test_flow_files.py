"""Flow files: what is written comes back, and what is damaged is refused in one line that says what to do."""

import contextlib
import errno
import struct
import zlib
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dvsnet_jax.errors import InputError
from dvsnet_jax.media import flow_files
from dvsnet_jax.media.flow_files import read_flo, read_flow, read_kitti_flow, write_flo, write_flow, write_kitti_flow


def some_flow(height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 40, (height, width, 2)).astype(np.float32)


def flo_bytes(width: int, height: int, values: bytes, *, magic: bytes = b"PIEH", order: str = "<") -> bytes:
    return magic + struct.pack(f"{order}ii", width, height) + values


def png_bytes(pixels: np.ndarray, *, size: tuple[int, int] | None = None, colour: int = 2, extra: bytes = b"") -> bytes:
    """A 16-bit PNG by the specification, written without the encoder under test; `size` is what its header claims."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = size or pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def refused(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# .flo


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 7)])
def test_flo_comes_back_bit_for_bit(tmp_path, size):
    flow = some_flow(*size)
    write_flo(tmp_path / "a.flo", flow)
    back = read_flo(tmp_path / "a.flo")
    assert back.dtype == np.float32 and back.flags.writeable
    assert back.tobytes() == flow.tobytes()


def test_flo_bytes_are_middleburys(tmp_path):
    write_flo(tmp_path / "a.flo", np.array([[[1, -2], [3, 0.5]]]))
    expected = flo_bytes(2, 1, struct.pack("<ffff", 1, -2, 3, 0.5))
    assert (tmp_path / "a.flo").read_bytes() == expected
    assert struct.unpack("<f", expected[:4]) == (202021.25,)


def test_flo_takes_arrays_of_any_real_kind(tmp_path):
    for flow in (some_flow().astype(np.int16), jnp.asarray(some_flow()), jnp.ones((2, 3, 2), jnp.bfloat16)):
        write_flo(str(tmp_path / "a.flo"), flow)
        np.testing.assert_array_equal(read_flo(str(tmp_path / "a.flo")), np.asarray(flow).astype(np.float32))


def test_flo_unknown_is_nan(tmp_path):
    values = struct.pack("<10f", 1e10, 1e10, 0, -1.7e9, 1e9, -1e9, float("nan"), 2, float("-inf"), 0)
    (tmp_path / "a.flo").write_bytes(flo_bytes(5, 1, values))
    flow = read_flo(tmp_path / "a.flo")
    assert np.isnan(flow).all(-1).tolist() == [[True, True, False, True, True]]
    assert flow[0, 2].tolist() == [1e9, -1e9]
    write_flo(tmp_path / "b.flo", flow)
    np.testing.assert_array_equal(read_flo(tmp_path / "b.flo"), flow)
    stored = np.frombuffer((tmp_path / "b.flo").read_bytes()[12:], "<f4")
    assert stored[:4].tolist() == [1e10] * 4 and np.isfinite(stored).all()


def test_writing_leaves_the_callers_array_alone(tmp_path):
    flow = some_flow().astype(np.float64)
    flow[0, 0, 0] = np.nan
    before = flow.copy()
    write_flow(tmp_path / "a.flo", flow)
    write_flow(tmp_path / "a.png", flow)
    np.testing.assert_array_equal(flow, before)


_VALUES = bytes(6 * 8)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "starts with b''", id="empty"),
        pytest.param(b"PI", "starts with b'PI'", id="two bytes"),
        pytest.param(b"PIEH\2\0", "ends inside its 12-byte header", id="half a header"),
        pytest.param(flo_bytes(3, 2, _VALUES[:-1]), "holds 59 bytes, but 3 × 2 pixels need 60: it is cut", id="cut"),
        pytest.param(flo_bytes(3, 2, b""), "is cut short", id="header alone"),
        pytest.param(flo_bytes(3, 2, _VALUES + b"\n"), "has bytes after the flow", id="trailing"),
        pytest.param(flo_bytes(3, 2, _VALUES, magic=b"HEIP", order=">"), "big-endian", id="big-endian"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "it is a PNG", id="png"),
        pytest.param(flo_bytes(3, 2, _VALUES, magic=b"abcd"), "starts with b'abcd', but", id="magic"),
        pytest.param(flo_bytes(2**31 - 1, 2**31 - 1, _VALUES), "need 36893488113059364884", id="absurd"),
        pytest.param(flo_bytes(0, 2, b""), "0 × 2 pixels", id="no width"),
        pytest.param(flo_bytes(-3, -2, _VALUES), "-3 × -2 pixels", id="negative, though the product fits"),
    ],
)
def test_flo_refuses(tmp_path, content, said):
    path = tmp_path / "a.flo"
    path.write_bytes(content)
    message = refused(read_flo, path)
    assert message.startswith(f"{path}: ") and said in message


# KITTI


def test_kitti_comes_back_to_the_nearest_step(tmp_path):
    flow, valid = some_flow(), np.random.default_rng(1).random((5, 7)) > 0.3
    write_kitti_flow(tmp_path / "a.png", flow, valid)
    back, back_valid = read_kitti_flow(tmp_path / "a.png")
    assert back.dtype == np.float32 and back_valid.dtype == bool
    np.testing.assert_array_equal(back_valid, valid)
    np.testing.assert_array_equal(back[valid], np.rint(flow[valid] * 64) / 64)
    assert not back[~valid].any()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (300, 200)])
def test_kitti_exact_steps_come_back_exactly(tmp_path, size):
    flow = np.random.default_rng(2).integers(-(2**15), 2**15, (*size, 2)) / 64
    flow.flat[:2] = -512, 511.984375  # both ends
    write_kitti_flow(tmp_path / "a.png", flow)
    back, valid = read_kitti_flow(tmp_path / "a.png")
    np.testing.assert_array_equal(back, flow)
    assert valid.all()


def test_kitti_reads_a_png_of_another_writer(tmp_path):
    pixels = np.array([[[2**15, 2**15, 1], [2**15 + 64, 2**15 - 32, 7]], [[0, 65535, 1], [9, 9, 0]]], np.uint16)
    (tmp_path / "a.png").write_bytes(png_bytes(pixels))
    flow, valid = read_kitti_flow(tmp_path / "a.png")
    assert flow.tolist() == [[[0, 0], [1, -0.5]], [[-512, 511.984375], [0, 0]]]
    assert valid.tolist() == [[True, True], [True, False]]


def test_kitti_is_read_by_another_reader(tmp_path):
    flow = some_flow(30, 40)
    write_kitti_flow(tmp_path / "a.png", flow)
    steps = np.rint(flow * 64).astype(int) + 2**15
    with Image.open(tmp_path / "a.png") as image:  # Pillow keeps the high byte of each channel
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels[..., :2], steps >> 8)
    assert not pixels[..., 2].any()
    assert (tmp_path / "a.png").read_bytes()[24:26] == bytes([16, 2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 512, -512.01, 511.993, 1e300])
def test_kitti_refuses_what_it_cannot_hold(tmp_path, bad):
    flow = some_flow().astype(np.float64)
    flow[3, 4, 1] = bad
    message = refused(write_kitti_flow, tmp_path / "a.png", flow)
    assert "1 of 35 pixels, first at row 3, column 4" in message
    assert left_in(tmp_path) == []
    valid = np.ones((5, 7), bool)
    valid[3, 4] = False
    write_kitti_flow(tmp_path / "a.png", flow, valid)
    back, back_valid = read_kitti_flow(tmp_path / "a.png")
    np.testing.assert_array_equal(back_valid, valid)
    assert back[3, 4].tolist() == [0, 0]


@pytest.mark.parametrize("valid", [np.ones((7, 5), bool), np.ones((5, 7)), np.ones((5, 7, 1), bool)])
def test_kitti_refuses_another_mask(tmp_path, valid):
    assert "expected bool [5, 7]" in refused(write_kitti_flow, tmp_path / "a.png", some_flow(), valid)


_PIXELS = np.random.default_rng(3).integers(0, 2**16, (4, 6, 3), dtype=np.uint16)
_TRANSPARENT = b"\0\0\0\6tRNS" + bytes(6) + struct.pack(">I", zlib.crc32(b"tRNS" + bytes(6)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "starts with b''", id="empty"),
        pytest.param(b"PIEH" + bytes(60), "starts with b'PIEH", id="flo"),
        pytest.param(png_bytes(_PIXELS)[:20], "KITTI flow is a PNG", id="half a header"),
        pytest.param(png_bytes(_PIXELS[..., 0], colour=0), "16-bit grey PNG, expected 16-bit RGB", id="disparity"),
        pytest.param(png_bytes(_PIXELS, size=(2**31 - 1, 2**31 - 1)), "cannot hold", id="absurd"),
        pytest.param(png_bytes(_PIXELS, size=(400, 6)), "damaged or cut short", id="most rows missing"),
        pytest.param(png_bytes(_PIXELS, extra=_TRANSPARENT), "has 4 channels", id="transparency"),
    ],
)
def test_kitti_refuses(tmp_path, content, said):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    message = refused(read_kitti_flow, path)
    assert message.startswith(f"{path}: ") and said in message


def test_kitti_refuses_an_eight_bit_picture(tmp_path):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "a.png")
    assert "8-bit RGB PNG" in refused(read_kitti_flow, tmp_path / "a.png")


def test_kitti_refuses_every_cut_and_every_flipped_byte(tmp_path):
    path, good = tmp_path / "a.png", png_bytes(_PIXELS)
    path.write_bytes(good)
    expected = read_kitti_flow(path)[0]
    for length in range(len(good) - 12):  # IEND, the last 12 bytes, holds nothing
        path.write_bytes(good[:length])
        refused(read_kitti_flow, path)
    for place in range(len(good) - 12):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        refused(read_kitti_flow, path)
    path.write_bytes(good[:-12])
    with contextlib.suppress(InputError):  # either is right; wrong numbers are not
        np.testing.assert_array_equal(read_kitti_flow(path)[0], expected)


def test_kitti_rows_left_out_are_not_valid(tmp_path):
    (tmp_path / "a.png").write_bytes(png_bytes(_PIXELS | 1, size=(5, 6)))
    flow, valid = read_kitti_flow(tmp_path / "a.png")
    assert valid.all(-1).tolist() == [True, True, True, True, False]
    assert not valid[-1].any() and not flow[-1].any()


# chosen by suffix


@pytest.mark.parametrize("name", ["a.flo", "A.FLO", "a.png", "a.PNG"])
def test_suffix_chooses_and_nan_is_unknown(tmp_path, name):
    flow = np.rint(some_flow() * 64) / 64
    flow[1, 2, 0] = np.nan
    write_flow(tmp_path / name, flow)
    start = (tmp_path / name).read_bytes()[:4]
    assert start == (b"PIEH" if name.lower().endswith("flo") else b"\x89PNG")
    flow[1, 2] = np.nan
    np.testing.assert_array_equal(read_flow(tmp_path / name), flow)


def test_infinite_flow_is_not_unknown(tmp_path):
    flow = some_flow()
    flow[0, 1] = np.inf
    for name in ("a.flo", "a.png"):
        assert "1 of 35 pixels, first at row 0, column 1" in refused(write_flow, tmp_path / name, flow)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.flo.gz", ".flo"])
def test_other_suffixes_are_refused(tmp_path, name):
    assert "expected .flo" in refused(read_flow, tmp_path / name)
    assert "expected .flo" in refused(write_flow, tmp_path / name, some_flow())


@pytest.mark.parametrize("name", ["a.flo", "a.png"])
@pytest.mark.parametrize(
    "flow",
    [
        np.zeros((5, 7)),
        np.zeros((2, 5, 7)),
        np.zeros((1, 5, 7, 2)),
        np.zeros((0, 7, 2)),
        np.zeros((5, 7, 2), complex),
        np.zeros((5, 7, 2), bool),
        [[["1", "2"]]],
    ],
    ids=["no axis", "channels first", "batch", "empty", "complex", "bool", "text"],
)
def test_other_arrays_are_refused(tmp_path, name, flow):
    assert "expected real numbers [height, width, 2]" in refused(write_flow, tmp_path / name, flow)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", ["a.flo", "a.png"])
def test_what_is_not_there_is_said(tmp_path, name):
    assert "No such file" in refused(read_flow, tmp_path / name)
    assert "No such file" in refused(write_flow, tmp_path / "nowhere" / name, some_flow())
    (tmp_path / name).mkdir()
    assert "Is a directory" in refused(read_flow, tmp_path / name)
    assert "directory" in refused(write_flow, tmp_path / name, some_flow())
    assert left_in(tmp_path) == [name]


# all or nothing


@pytest.mark.parametrize("name", ["a.flo", "a.png"])
def test_a_failed_write_leaves_the_file_whole(tmp_path, name, monkeypatch):
    path = tmp_path / name
    write_flow(path, some_flow())
    before = path.read_bytes()

    def full(target: Path, content: bytes) -> int:
        with target.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    message = refused(write_flow, path, some_flow() + 1)
    assert str(path) in message and "No space left" in message
    assert path.read_bytes() == before
    assert left_in(tmp_path) == [name]


def test_no_memory_is_taken_for_a_lying_header(tmp_path, monkeypatch):
    (tmp_path / "a.flo").write_bytes(flo_bytes(30000, 30000, _VALUES))
    (tmp_path / "a.png").write_bytes(png_bytes(_PIXELS, size=(30000, 30000)))
    monkeypatch.setattr(flow_files, "np", None)
    monkeypatch.setattr(flow_files, "av", None)
    for name in ("a.flo", "a.png"):
        refused(read_flow, tmp_path / name)


@pytest.mark.data
def test_real_flow_is_plausible(data):
    paths = sorted((data / "flow").glob("*.flo"))
    if not paths:
        pytest.skip("no flow in the data folder")
    for path in paths:
        flow = read_flow(path)
        assert flow.shape == (384, 512, 2) and flow.dtype == np.float32
        length = np.hypot(flow[..., 0], flow[..., 1])
        assert np.isfinite(flow).all() and 0.1 < length.mean() < 100 and length.max() < 512


@pytest.mark.data
def test_real_flow_survives_both_formats(data, tmp_path):
    path = data / "flow" / "pair0_flow.flo"
    flow = read_flo(path)
    write_flow(tmp_path / "a.flo", flow)
    assert (tmp_path / "a.flo").read_bytes() == path.read_bytes()
    write_flow(tmp_path / "a.png", flow)
    assert np.abs(read_flow(tmp_path / "a.png") - flow).max() <= 1 / 128


# Other data sets' files


def pfm_bytes(flow: np.ndarray, *, order: str = "<", kind: bytes = b"PF", scale: str = "1.0") -> bytes:
    """By the description of the format, rows from the bottom up; FlyingThings' third channel is zero."""
    height, width = flow.shape[:2]
    rows = np.concatenate([flow, np.zeros((height, width, 1), np.float32)], -1)[::-1]
    sign = "-" if order == "<" else ""
    header = kind + f"\n{width} {height}\n{sign}{scale}\n".encode()
    return header + rows.astype(f"{order}f4").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("scale", ["1.0", "0.0039"])
def test_pfm_is_upside_down_and_its_sign_is_the_byte_order(tmp_path, order, scale):
    flow = some_flow()
    (tmp_path / "a.pfm").write_bytes(pfm_bytes(flow, order=order, scale=scale))
    back = read_flow(tmp_path / "a.pfm")
    assert back.dtype == np.float32 and back.flags.writeable
    np.testing.assert_array_equal(back, flow)


def test_pfm_of_another_program(tmp_path):
    """OpenCV's arrays are blue, green, red; files are red, green, blue."""
    cv2 = pytest.importorskip("cv2")
    flow = some_flow()
    picture = np.concatenate([np.zeros((*flow.shape[:2], 1), np.float32), flow[..., ::-1]], -1)
    assert cv2.imwrite(str(tmp_path / "a.pfm"), picture)
    np.testing.assert_array_equal(read_flow(tmp_path / "a.pfm"), flow)


def test_what_no_pfm_of_flow_is_is_refused(tmp_path):
    whole, path = pfm_bytes(some_flow()), tmp_path / "a.pfm"
    for content, message in (
        (b"\x89PNG\r\n", "a .pfm starts with PF"),
        (pfm_bytes(some_flow(), kind=b"Pf"), "has one channel, as disparity has"),
        (whole[:-1], "7 × 5 pixels of three channels need"),
        (whole + b"x", "7 × 5 pixels of three channels need"),
        (b"PF\n99999999 99999999\n-1.0\n" + bytes(80), "99999999 × 99999999 pixels"),
        (b"PF\n0 0\n-1.0\n", "0 × 0 pixels"),
    ):
        path.write_bytes(content)
        assert message in refused(read_flow, path)
    assert "cannot be read (No such file" in refused(read_flow, tmp_path / "b.pfm")


def test_unknown_is_nan_in_every_format(tmp_path):
    flow = some_flow(3, 4)
    flow[0, 0, 1], flow[1, 2, 0], flow[2, 3] = np.nan, np.inf, 2e9
    (tmp_path / "a.pfm").write_bytes(pfm_bytes(flow))
    np.save(tmp_path / "a.npy", flow)
    np.savez_compressed(tmp_path / "a.npz", u=flow[..., 0], v=flow[..., 1])
    for name in ("a.pfm", "a.npy", "a.npz"):
        back = read_flow(tmp_path / name)
        unknown = np.isnan(back).all(-1)
        assert [place.tolist() for place in unknown.nonzero()] == [[0, 1, 2], [0, 2, 3]], name
        np.testing.assert_array_equal(back[~unknown], flow[~unknown])


def test_vipers_and_other_npz(tmp_path):
    flow = some_flow().astype(np.float16)
    np.savez(tmp_path / "a.npz", u=flow[..., 0], v=flow[..., 1])
    np.savez(tmp_path / "b.npz", flow=flow)
    for name in ("a.npz", "b.npz"):
        np.testing.assert_array_equal(read_flow(tmp_path / name), flow.astype(np.float32))
    np.savez(tmp_path / "c.npz", depth=flow)
    assert "holds depth, expected u and v, or flow" in refused(read_flow, tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", u=flow[..., 0], v=flow[:2, :, 1])
    assert "u is [5, 7] and v [2, 7]" in refused(read_flow, tmp_path / "d.npz")


def test_tartanairs_mask_lies_beside_its_flow(tmp_path):
    flow, mask = some_flow(), np.zeros((5, 7), np.uint8)
    mask[0, 0], mask[1, 1], mask[2, 2] = 1, 10, 100
    np.save(tmp_path / "000000_000001_flow.npy", flow)
    np.testing.assert_array_equal(read_flow(tmp_path / "000000_000001_flow.npy"), flow)
    np.save(tmp_path / "000000_000001_mask.npy", mask)
    back = read_flow(tmp_path / "000000_000001_flow.npy")
    assert (np.isnan(back).all(-1) == (mask > 0)).all()
    np.testing.assert_array_equal(back[mask == 0], flow[mask == 0])
    np.save(tmp_path / "000000_000001_mask.npy", mask[:3])
    assert "000000_000001_mask.npy: is [3, 7], expected [5, 7]" in refused(
        read_flow, tmp_path / "000000_000001_flow.npy"
    )


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pickled"),)


def test_arrays_are_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = np.array([[[Evil(), Evil()]]], object)
    np.save("a.npy", evil, allow_pickle=True)
    np.savez("a.npz", u=evil, v=evil)
    for name in ("a.npy", "a.npz"):
        assert "is no file of numpy's arrays, or damaged" in refused(read_flow, Path(name))
    assert left_in(tmp_path) == ["a.npy", "a.npz"]


def test_damaged_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", some_flow())
    whole = (tmp_path / "a.npy").read_bytes()
    for content in (b"", whole[:40], whole[:-8], b"text"):
        (tmp_path / "a.npy").write_bytes(content)
        assert "is no file of numpy's arrays, or damaged" in refused(read_flow, tmp_path / "a.npy")
    np.savez_compressed(tmp_path / "a.npz", u=some_flow()[..., 0], v=some_flow()[..., 1])
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    assert "is no file of numpy's arrays, or damaged" in refused(read_flow, tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", np.zeros((2, 5, 7), np.float32))
    assert "holds float32 [2, 5, 7], expected real numbers [height, width, 2]" in refused(read_flow, tmp_path / "a.npy")


def test_springs_flow_is_twice_as_large_as_its_pictures(tmp_path):
    """Every second pixel, in pixels of the pictures as they are, as Spring's loader gives it."""
    h5py = pytest.importorskip("h5py")
    flow = some_flow(10, 14)
    flow[2, 4] = np.nan
    with h5py.File(tmp_path / "a.flo5", "w") as file:
        file.create_dataset("flow", data=flow, compression="gzip", compression_opts=9)
    np.testing.assert_array_equal(read_flow(tmp_path / "a.flo5"), flow)
    np.testing.assert_array_equal(read_flow(tmp_path / "a.flo5", (5, 7)), flow[::2, ::2])
    np.testing.assert_array_equal(read_flow(tmp_path / "a.flo5", (10, 14)), flow)
    write_flo(tmp_path / "a.flo", some_flow(10, 14))
    assert read_flow(tmp_path / "a.flo", (5, 7)).shape == (10, 14, 2)  # no other kind is made smaller
    with h5py.File(tmp_path / "b.flo5", "w") as file:
        file.create_dataset("disparity", data=flow[..., 0])
    assert "holds disparity, expected flow" in refused(read_flow, tmp_path / "b.flo5")
    (tmp_path / "c.flo5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20))
    assert "is no HDF5 file, or damaged" in refused(read_flow, tmp_path / "c.flo5")


def test_without_h5py_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert "needs h5py; pip install 'dvsnet-jax[spring]'" in refused(read_flow, tmp_path / "a.flo5")


def test_tartanairs_second_version_is_told_from_kittis(tmp_path):
    """OpenCV wrote u, v and the mask as blue, green and red. Read as KITTI's, all flow would be 512 pixels long."""
    flow = np.round(some_flow(4, 6) * 64) / 64
    mask = np.zeros((4, 6), np.uint16)
    mask[1, 2], mask[3, 3] = 1, 200
    channels = np.concatenate([mask[..., None], (flow[..., ::-1] * 64 + 2**15).astype(np.uint16)], -1)
    (tmp_path / "a_flow.png").write_bytes(png_bytes(channels))
    back = read_flow(tmp_path / "a_flow.png")
    assert (np.isnan(back).all(-1) == (mask > 0)).all()
    np.testing.assert_array_equal(back[mask == 0], flow[mask == 0])
    assert "is TartanAir's flow" in refused(read_kitti_flow, tmp_path / "a_flow.png")


def test_a_suffix_that_is_none_of_them(tmp_path):
    message = refused(read_flow, tmp_path / "a.txt")
    assert (
        "expected .flo (Middlebury), .png (KITTI), .pfm (FlyingThings), .flo5 (Spring), .npz (VIPER) or .npy" in message
    )
    assert "expected .flo (Middlebury) or .png (KITTI)" in refused(write_flow, tmp_path / "a.pfm", some_flow())
