"""Images and lists as cameras, scanners, labelling tools and other systems write them."""

from __future__ import annotations

import struct
import unicodedata
import zlib

import numpy as np
import pytest
from made_heic import tiled_heic
from made_videos import frames_of
from motion_files import picture
from PIL import Image

from dvsnet_jax.datasets.pair_lists import read_pairs
from dvsnet_jax.datasets.unlabelled import KeptFrames, UnlabelledClip
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.images import read_image, read_labels, read_stored, write_png
from dvsnet_jax.media.reading.opened import Reading
from dvsnet_jax.media.sources import open_source

IDS = np.arange(24, dtype=np.uint8).reshape(4, 6)
RGB = picture(12, 20)


def packed(ids: np.ndarray, bits: int) -> list[bytes]:
    """Rows of ids of so many bits, each to whole bytes."""
    return [np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes() for row in ids]


def grey_png(ids: np.ndarray, bits: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row for row in packed(ids, bits))
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def grey_tiff(ids: np.ndarray, bits: int, white_is_zero: bool) -> bytes:
    rows = b"".join(packed(ids, bits))
    rows += b"\0" * (len(rows) % 2)
    tags = [(256, ids.shape[1]), (257, ids.shape[0]), (258, bits), (259, 1), (262, 0 if white_is_zero else 1), (273, 8)]
    tags += [(277, 1), (278, ids.shape[0]), (279, len(rows))]
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(rows)) + rows + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ids_of_few_bits_are_those_of_the_file(tmp_path, bits):
    ids = (IDS.astype(int) % 2**bits).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(grey_png(ids, bits))
    for white_is_zero in (False, True):
        (tmp_path / f"{white_is_zero}.tif").write_bytes(grey_tiff(ids, bits, white_is_zero))
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_labels(path), ids, err_msg=path.name)
        assert read_stored(path).dtype == np.uint8


@pytest.mark.parametrize("most", [18, 255, 300, 65535])
def test_ids_of_a_pgm_are_those_of_the_file(tmp_path, most):
    ids = IDS % 19
    (tmp_path / "a.pgm").write_bytes(b"P5\n6 4\n%d\n" % most + ids.astype(">u2" if most > 255 else "u1").tobytes())
    np.testing.assert_array_equal(read_stored(tmp_path / "a.pgm"), ids)


@pytest.mark.parametrize("colours", [2, 4, 16, 256])
def test_palettes_hold_ids_of_any_depth(tmp_path, colours):
    image = Image.fromarray(IDS % min(colours, 24))
    image.putpalette(np.arange(3 * colours, dtype=np.uint8).tobytes())
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), IDS % min(colours, 24))


def test_sixteen_bits_of_which_few_are_used_are_told(tmp_path):
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 16).save(tmp_path / "a.png")
    with pytest.warns(InputNotice, match="holds pictures of 16 bits that use few of them"):
        read_image(tmp_path / "a.png")
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 257).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), RGB)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_segmented_upright(tmp_path, orientation, name):
    turns = [
        lambda f: f, lambda f: f[:, ::-1], lambda f: np.rot90(f, 2), lambda f: f[::-1],
        lambda f: f.swapaxes(0, 1), lambda f: np.rot90(f, 1), lambda f: np.rot90(f, 2).swapaxes(0, 1),
        lambda f: np.rot90(f, -1),
    ]  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    (tmp_path / "drive").mkdir()
    stored = np.ascontiguousarray(turns[orientation - 1](RGB))
    Image.fromarray(stored).save(tmp_path / "drive" / name, exif=exif)
    (tmp_path / "list.txt").write_text(f"drive/{name}\n")
    for place in ("drive", "list.txt", f"drive/{name}"):
        np.testing.assert_array_equal(frames_of(tmp_path / place)[0].image, RGB)
        np.testing.assert_array_equal(frames_of(tmp_path / place, Reading(rotate=False))[0].image, stored)
    np.testing.assert_array_equal(read_image(tmp_path / "drive" / name), stored)  # as labels expect
    clip = UnlabelledClip(str(tmp_path / "drive"), kept=KeptFrames(1))
    np.testing.assert_array_equal(clip[0].image, RGB)


@pytest.mark.parametrize("orientation", [2, 6, 8])
def test_labels_in_a_tiff_stay_as_stored(tmp_path, orientation):
    """Pillow turns a TIFF's pixels in loading them, and scrambles those of one channel (findings)."""
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(IDS).save(tmp_path / "a.tif", exif=exif)
    Image.fromarray(IDS).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), IDS)
    np.testing.assert_array_equal(read_stored(tmp_path / "a.tif"), IDS)
    upright = read_image(tmp_path / "a.png", upright=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", upright=True), upright)


def test_a_photo_in_tiles_is_refused(tmp_path):
    """FFmpeg has each tile as a video stream, of which the first would be taken for the photo."""
    photo = tiled_heic(tmp_path / "IMG_0001.heic", picture(128, 192), 64)
    with pytest.raises(InputError, match=r"IMG_0001\.heic: is a picture in 6 tiles, as phones' HEIC has it"):
        frames_of(photo)
    with pytest.raises(InputError, match="in 6 tiles"):
        frames_of(photo, Reading(stream=0))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "avif"])
def test_an_animation_is_told(tmp_path, suffix):
    frames = [Image.fromarray(np.full((16, 24, 3), level, np.uint8)) for level in (40, 120, 200)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.warns(InputNotice, match="pictures of several frames or pages, of which the first is taken"):
        image = read_image(tmp_path / f"a.{suffix}")
    assert abs(int(image.mean()) - 40) < 4


def test_numbers_in_names_are_numbers_and_hidden_files_none(tmp_path):
    for number in range(12):
        write_png(tmp_path / f"frame_{number}.png", np.full((8, 8, 3), number, np.uint8))
        (tmp_path / f"._frame_{number}.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2")
    frames = frames_of(tmp_path)
    assert [frame.name for frame in frames] == [f"frame_{number}" for number in range(12)]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == list(range(12))


def test_a_hidden_file_that_is_named_is_read(tmp_path):
    write_png(tmp_path / ".hidden.png", RGB)
    np.testing.assert_array_equal(frames_of(tmp_path / ".hidden.png")[0].image, RGB)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize(
    "line", ["Seg\\a b\\{}", "Seg/a b/{},labels/{}", "Seg\\a b\\{};labels\\{}", '"Seg/a b/{}",x', "/Seg/a b/{}\tx"]
)
def test_lists_from_windows(tmp_path, line, encoding):
    (tmp_path / "Seg" / "a b").mkdir(parents=True)
    write_png(tmp_path / "Seg" / "a b" / "000.png", RGB)
    write_png(tmp_path / "Seg" / "a b" / "ü.png", RGB)
    text = "\r\n".join(line.format(name, name) for name in ("000.png", "ü.png"))
    (tmp_path / "list.txt").write_bytes((text + "\r\n").encode(encoding) + b"\x1a" * (encoding == "cp1252"))
    for frame in frames_of(tmp_path / "list.txt"):
        np.testing.assert_array_equal(frame.image, RGB)
    assert open_source(tmp_path / "list.txt").count == 2


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_lists_of_names_in_other_spelling(tmp_path, form):
    """Windows and a Mac find a file whatever its capitals, and accents that are put together in either way."""
    (tmp_path / "Straße").mkdir()
    for number, name in enumerate(("Bür_1.PNG", "bür_2.png", "Bür_2.png")):
        write_png(tmp_path / "Straße" / unicodedata.normalize(form, name), np.full((8, 8, 3), number, np.uint8))
    lines = [
        unicodedata.normalize("NFD", "STRASSE/bür_1.png"),
        "straße\\BÜR_1.png",
        "straße/bür_2.png",
        "straße/BÜR_2.png",
    ]
    (tmp_path / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    frames = frames_of(tmp_path / "list.txt")
    assert [None if each.image is None else int(each.image[0, 0, 0]) for each in frames] == [0, 0, 1, None]
    assert "line 4" in str(frames[3].error)  # which of two is not for us to say


def test_seconds_in_names_are_seconds(tmp_path):
    for name in ("1305031102.8", "1305031102.75", "1305031102.175304", "1305031101.9", "v1.10", "v1.9"):
        write_png(tmp_path / f"{name}.png", RGB)
    names = [frame.name.partition("_")[2] or frame.name for frame in frames_of(tmp_path)]
    assert names == ["1305031101.9", "1305031102.175304", "1305031102.75", "1305031102.8", "v1.9", "v1.10"]


def test_pair_lists_from_windows(tmp_path):
    for name in ("k", "c", "l"):
        write_png(tmp_path / "a" / f"{name}.png" if (tmp_path / "a").mkdir(exist_ok=True) is None else tmp_path, RGB)
    for text in ("a\\k.png a\\c.png a\\l.png", "\\a\\k.png,\\a\\c.png,\\a\\l.png", "a/k.png; a/c.png; a/l.png"):
        (tmp_path / "pairs.txt").write_bytes(f"{text}\r\n".encode("utf-16"))
        [pair] = read_pairs(tmp_path / "pairs.txt", tmp_path, check=True)
        assert [path.name for path in pair] == ["k.png", "c.png", "l.png"]
