"""Still images: whatever a file holds becomes uint8 RGB, and what is written is whole."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from PIL import Image

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import UnreadableFrame, read_image, read_labels, resize_image, write_png

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30), np.uint8)
RGB = RNG.integers(0, 256, (20, 30, 3), np.uint8)


def saved(tmp_path, image, name="image.png"):
    image.save(tmp_path / name)
    return read_image(tmp_path / name)


def test_rgb_comes_back_as_it_was(tmp_path):
    read = saved(tmp_path, Image.fromarray(RGB))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, RGB)


def test_grey_becomes_three_equal_channels(tmp_path):
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(GREY)), np.stack([GREY] * 3, -1))


def test_alpha_is_dropped(tmp_path):
    rgba = np.concatenate([RGB, GREY[..., None]], -1)
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(rgba)), RGB)
    la = np.stack([GREY, GREY[::-1]], -1)
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(la)), np.stack([GREY] * 3, -1))


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(256))])
def test_palette_images_show_their_colours(tmp_path, transparency):
    palette = RNG.integers(0, 256, (256, 3), np.uint8)
    image = Image.fromarray(GREY)
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "p.png", **({} if transparency is None else {"transparency": transparency}))
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), palette[GREY])


@pytest.mark.parametrize("name", ["image.png", "image.tif"])
def test_sixteen_bits_become_the_upper_eight(tmp_path, name):
    deep = RNG.integers(0, 65536, (20, 30), np.uint16)
    read = saved(tmp_path, Image.fromarray(deep), name)
    np.testing.assert_array_equal(read, np.stack([(deep >> 8).astype(np.uint8)] * 3, -1))


def test_big_endian_sixteen_bits(tmp_path):
    deep = RNG.integers(0, 65536, (20, 30), np.uint16)
    content = b"P5 30 20 65535\n" + deep.astype(">u2").tobytes()
    (tmp_path / "deep.pgm").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.pgm")[..., 0], deep >> 8)


def test_cmyk_and_black_and_white(tmp_path):
    assert saved(tmp_path, Image.fromarray(RGB).convert("CMYK"), "c.jpg").shape == RGB.shape
    bits = GREY > 127
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(bits), "b.png")[..., 0], bits * np.uint8(255))


def test_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(RGB).save(tmp_path / "e.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "e.png"), RGB)


def damaged(tmp_path, kind):
    path = tmp_path / f"{kind}.png"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
        return path
    if kind == "floating":
        path = path.with_suffix(".tif")
        Image.fromarray(RNG.random((8, 8), np.float32)).save(path)
        return path
    Image.fromarray(RGB).save(path)
    content = bytearray(path.read_bytes())
    if kind == "truncated":
        content = content[: len(content) // 2]
    elif kind == "empty":
        content = bytearray()
    elif kind == "text":
        content = bytearray(b"not an image at all\n" * 10)
    elif kind == "scribbled":
        content[60:200] = bytes(140)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["missing", "folder", "truncated", "empty", "text", "scribbled", "floating"])
def test_what_cannot_be_read_is_named_in_one_line(tmp_path, kind):
    path = damaged(tmp_path, kind)
    with pytest.raises(UnreadableFrame) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_truncated_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableFrame, match="truncated"):
        read_image(path)


def test_labels_keep_their_ids(tmp_path):
    palette = RNG.integers(0, 256, (256, 3), np.uint8)
    write_png(tmp_path / "ids.png", GREY)
    write_png(tmp_path / "colours.png", GREY, palette)
    np.testing.assert_array_equal(read_labels(tmp_path / "ids.png"), GREY)
    np.testing.assert_array_equal(read_labels(tmp_path / "colours.png"), GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "colours.png"), palette[GREY])
    write_png(tmp_path / "rgb.png", RGB)
    with pytest.raises(UnreadableFrame, match=r"rgb\.png.*one 8-bit channel of ids"):
        read_labels(tmp_path / "rgb.png")


@pytest.mark.parametrize("colours", [1, 2, 4, 11, 16, 17, 256])
def test_a_short_palette_keeps_void_and_every_other_id(tmp_path, colours):
    """Pillow alone writes 1, 2 or 4 bits a pixel with a palette of up to 16 colours: void would be read as 15."""
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    palette = RNG.integers(1, 256, (colours, 3), np.uint8)
    write_png(tmp_path / "a.png", labels, palette)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)
    shown = read_image(tmp_path / "a.png").reshape(-1, 3)
    np.testing.assert_array_equal(shown[:colours], palette)
    assert not shown[colours:].any()


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", GREY)

    def full(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match=r"a\.png: cannot be written \(No space left on device\)"):
        write_png(tmp_path / "a.png", 255 - GREY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), GREY)


def test_write_refuses_what_is_no_picture(tmp_path):
    with pytest.raises(ValueError, match=r"uint8 \[h, w\]"):
        write_png(tmp_path / "a.png", GREY.astype(np.float32))


def test_resize():
    assert resize_image(RGB, (40, 60)).shape == (40, 60, 3)
    assert resize_image(RGB, (20, 30)) is RGB
