"""Images whose numbers are other than a library gives them: 16 bits of which few are used, 0 as white, 32 bits; pixels
that are not square; labels that are JPEGs whatever their name."""

from __future__ import annotations

import struct
import warnings
import zlib

import numpy as np
import pytest
from made_videos import frames_of
from PIL import Image

from dvsnet_jax.datasets.codings import read_ids
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.images import UnreadableFrame, read_image

_Y, _X = np.mgrid[:12, :20]
RGB = np.stack([10 + 12 * _X, 240 - 18 * _Y, 4 * _X + 9 * _Y], -1).astype(np.uint8)
GREY = RGB[..., :1].repeat(3, 2)
_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's numbers, by channels


def png16(values: np.ndarray) -> bytes:
    """Values [h, w, channels] as a PNG of 16 bits a channel, which Pillow does not write."""
    height, width, channels = values.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def tiff(values: np.ndarray, photometric: int, signed: bool = False) -> bytes:
    """Values [h, w] or RGB as an uncompressed TIFF of as many bits as their type has."""
    channels = values.shape[2] if values.ndim == 3 else 1
    content = values.astype(values.dtype.newbyteorder("<")).tobytes()
    bits = 8 * values.dtype.itemsize
    place = 8 + len(content)  # of the directory; the bits of three channels, which do not fit into it, come before
    tags = [(256, 4, values.shape[1]), (257, 4, values.shape[0]), (259, 3, 1), (262, 3, photometric), (273, 4, 8)]
    tags += [(277, 3, channels), (278, 4, values.shape[0]), (279, 4, len(content)), (339, 3, 2 if signed else 1)]
    entries = [(tag, struct.pack("<HHII", tag, kind, 1, value)) for tag, kind, value in tags]
    lengths = struct.pack("<3H", bits, bits, bits)
    entries.append((258, struct.pack("<HHII", 258, 3, channels, place if channels == 3 else bits)))
    directory = struct.pack("<H", len(entries)) + b"".join(entry for _, entry in sorted(entries)) + bytes(4)
    return b"II*\0" + struct.pack("<I", place + len(lengths)) + content + lengths + directory


@pytest.mark.parametrize("kind", ["rgb.png", "rgba.png", "la.png", "rgb.tif"])
def test_sixteen_bits_of_colours_of_which_few_are_used_are_told(tmp_path, kind):
    """As industrial cameras of 12 bits have them: Pillow gives the upper eight bits, which are nearly black."""

    def content(times: int) -> bytes:
        values = RGB.astype(np.uint16) * times
        opaque = np.full((*RGB.shape[:2], 1), 65535, np.uint16)
        if kind.endswith("tif"):
            return tiff(values, 2)
        return png16(
            {"rgb": values, "rgba": np.dstack([values, opaque])}.get(kind[:-4], np.dstack([values[..., :1], opaque]))
        )

    path = tmp_path / kind
    path.write_bytes(content(257))
    np.testing.assert_array_equal(read_image(path), GREY if kind == "la.png" else RGB)
    path.write_bytes(content(16))
    with pytest.warns(InputNotice, match="holds pictures of 16 bits that use few of them"):
        read_image(path)


@pytest.mark.parametrize("bits", [8, 16])
def test_zero_is_white_where_the_file_says_so(tmp_path, bits):
    values = GREY[..., 0].astype(f"u{bits // 8}") * (257 if bits == 16 else 1)
    (tmp_path / "a.tif").write_bytes(tiff(2**bits - 1 - values, 0))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), GREY)


@pytest.mark.parametrize("kind", ["<i2", "<i4", "<u4"])
def test_numbers_without_a_fixed_range_are_refused(tmp_path, kind):
    """Signed ones, and those of 32 bits, which would be cut off at 0 and 65535."""
    values = (GREY[..., 0].astype(np.int64) - (255 if kind == "<i2" else 0)) * (1 if kind == "<i2" else 1_000_000)
    (tmp_path / "a.tif").write_bytes(tiff(values.astype(kind), 1, signed=kind[1] == "i"))
    with pytest.raises(UnreadableFrame, match=r"a\.tif: cannot be read \(integers below 0 or above 65535 have no"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_pixels_that_are_not_square_are_told(tmp_path, name):
    Image.fromarray(RGB).save(tmp_path / name, dpi=(300, 200))
    with pytest.warns(InputNotice, match=r"pixels are not square, but 0\.667 times as wide as high"):
        read_image(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dpi in ((300, 300), (72, 1)):  # the latter was set by nobody
            Image.fromarray(RGB).save(tmp_path / name, dpi=dpi)
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["labels.png", "labels.tif"])
def test_labels_that_are_jpegs_by_another_name_are_refused(tmp_path, name):
    Image.fromarray(RGB[..., 0] % 19).save(tmp_path / name, format="JPEG")
    with pytest.raises(InputError, match="it is a JPEG, in which ids change at every outline"):
        read_ids(tmp_path / name)


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "mpo", "j2k", "tga"])
def test_other_names_of_images(tmp_path, suffix):
    """Browsers save JPEGs as .jfif; as a video such a picture would not be turned by its EXIF orientation."""
    kind = {"j2k": "JPEG2000", "tga": "TGA"}.get(suffix, "JPEG")
    exif = {} if kind != "JPEG" else {"exif": Image.Exif()}
    if exif:
        exif["exif"][0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(RGB, 1)) if exif else RGB
    for number in (1, 2, 10):
        Image.fromarray(stored).save(tmp_path / f"a{number}.{suffix}", format=kind, **exif)
    frames = frames_of(tmp_path)
    assert [frame.name for frame in frames] == ["a1", "a2", "a10"]
    (alone,) = frames_of(tmp_path / f"a1.{suffix}")
    for frame in (*frames, alone):
        assert frame.time is None and np.abs(frame.image.astype(int) - RGB).mean() < 12
