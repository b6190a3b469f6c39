"""Still images: any readable file to uint8 RGB, and PNGs that appear whole or not at all.

Arrays are numpy, `[height, width, 3]` RGB or `[height, width]`, 0..255.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.most_pixels import too_large
from dvsnet_jax.media.reading.names import is_hidden
from dvsnet_jax.media.reading.stored_values import Coding, coding_of, stored_values

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff", ".tga", ".webp"}
    | {".avif", ".jp2", ".j2k"}
)
"""What counts as an image where files are chosen by name (lower case)."""

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_DARK = 4096  # 12 bits in 16
_MOST_ASKEW = 4  # a pixel that is said to be longer than that is a resolution that nobody set
_ORIENTATION = 0x0112
_TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip
"""From a picture as its EXIF orientation has it shown to how it is stored."""
# Level 1 is several times as fast as the default 6, and label maps are small at any level.
_PNG_LEVEL = 1
_PALETTE_BYTES = 256 * 3


class UnreadableFrame(InputError):
    """One frame of an input cannot be read; the frames around it may be fine."""

    seconds: float | None = None
    """When it would be shown, where that is known."""
    advice = "mend or remove it, or pass --skip-unreadable to go on past it"
    """What may be done about it."""


class MissingFrame(UnreadableFrame):
    """A frame that its video counts, and that never was in this file: whoever passes over it loses nothing."""


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether the file is called like an image; one with a dot in front is not, as what a Mac leaves beside each."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES and not is_hidden(Path(path))


def read_image(path: str | os.PathLike[str], *, upright: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """An image file as RGB, whatever it holds.

    Grey and palette images become RGB, 16 bits become the upper 8, CMYK and others are converted, alpha is dropped;
    pixels that are not square, and 16 bits of which few are used, are told.
    Of several pages or animation frames the first is taken, and that is told. An EXIF orientation is applied where it
    is to be `upright`; else pixels stay where they are stored, as labels made for them expect.

    Raises `UnreadableFrame` for a file that is missing, truncated, corrupt, no image, or of numbers without a fixed
    range: floating point, or integers beyond 16 bits.
    """

    def convert(image: Image.Image, coding: Coding) -> Image.Image:
        if upright:
            image = ImageOps.exif_transpose(image)
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # whose others are depth or the like
            _tell(path, "pictures of several frames or pages, of which the first is taken; of all make a video first")
        if not 0.99 < (wide := _pixel_shape(image)) < 1.01:
            _tell(
                path,
                f"pictures whose pixels are not square, but {wide:.3g} times as wide as high, and which are segmented "
                "as they are stored; scale them first",
            )
        pixels = _to_rgb(image, coding)
        grey = image.mode in _SIXTEEN_BIT and not coding.inverted
        most = int(np.asarray(image).max()) if grey else 256 * int(np.asarray(pixels).max()) if coding.halved else 0
        if 0 < most < _DARK:
            _tell(path, "pictures of 16 bits that use few of them, and come out dark; scale their values to 0..65535")
        return pixels

    return np.array(_decode(path, convert, upright=upright))


def read_labels(path: str | os.PathLike[str]) -> UInt8[np.ndarray, "height width"]:
    """A single-channel label image (grey or palette, 8 bits or less) as its stored ids, colours ignored.

    Raises `UnreadableFrame` as `read_image` does, and for an image that has colours in place of ids.
    """
    return np.array(_decode(path, _to_ids))


def read_stored(path: str | os.PathLike[str]) -> np.ndarray:
    """An image file's numbers as they are stored: `[h, w]` uint8 ids of grey and palette images of 8 bits or
    less, int32 of 16 and float32, or `[h, w, channels]` uint8. For telling which kind of labels a file holds.

    Raises `UnreadableFrame` for a file that is missing, truncated, corrupt or no image, and for a JPEG of any name.
    """
    return np.array(_decode(path, _as_stored))


def read_palette(path: str | os.PathLike[str]) -> UInt8[np.ndarray, "colours 3"] | None:
    """The colours of a palette PNG that can be read, as many as the file has; None for every other image."""
    with Path(path).open("rb") as file, Image.open(file) as image:
        if image.mode != "P" or image.format != "PNG" or image.palette is None:
            return None
        return np.frombuffer(image.palette.getdata()[1], np.uint8).reshape(-1, 3)


def write_png(
    path: str | os.PathLike[str],
    image: UInt8[np.ndarray, "height width *channels"],
    palette: UInt8[np.ndarray, "colours 3"] | None = None,
) -> None:
    """Writes ids `[h, w]` or RGB `[h, w, 3]` as PNG, atomically.

    With a `palette` of up to 256 RGB colours the ids are written as a palette image: it shows the colours, costs a
    third of an RGB image, and still holds the ids; those past the palette, as void's 255 may be, are black. Raises
    `InputError` where the file cannot be written.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (palette is not None and image.ndim != 2):
        raise ValueError(f"{path}: image is {image.dtype}{list(image.shape)}, expected uint8 [h, w], or [h, w, 3] RGB")
    picture = Image.fromarray(image)
    if palette is not None:
        # Of a shorter one Pillow makes 1, 2 or 4 bits a pixel, and cuts off what does not fit: 255 would be read as 15.
        picture.putpalette(palette.tobytes().ljust(_PALETTE_BYTES, b"\0"))
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=_PNG_LEVEL)


def resize_image(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"]:
    """Bilinear, to (height, width), for looking at; the networks' own resizes are in `dvsnet_jax.ops.resize`."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def resize_labels(labels: UInt8[np.ndarray, "h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """To (height, width), each pixel the nearest one's."""
    rows, columns = (
        ((np.arange(new) + 0.5) / new * old).astype(int) for new, old in zip(size, labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def _pixel_shape(image: Image.Image) -> float:
    """The width of a pixel over its height, by the densities across and down that a file names; else 1."""
    across, down = next(filter(None, map(image.info.get, ("jfif_density", "dpi", "aspect"))), (1, 1))
    shape = float(down) / float(across) if across > 0 and down > 0 else 1.0
    return shape if 1 / _MOST_ASKEW <= shape <= _MOST_ASKEW else 1.0


def _to_rgb(image: Image.Image, coding: Coding) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image).astype(np.int32)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("integers below 0 or above 65535 have no fixed range; convert it to 8 or 16 bits")
        # Pillow's own conversion clips at 255, so that nearly everything would come out white.
        upper = (65535 - values if coding.inverted else values) >> 8
        return Image.fromarray(upper.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; convert it to 8 or 16 bits")
    if image.mode == "P":
        image = image.convert("RGBA")  # by way of RGBA, else Pillow warns about transparent palettes
    return image.convert("RGB")


def _as_stored(image: Image.Image, coding: Coding) -> np.ndarray:
    if image.format in ("JPEG", "MPO"):
        raise ValueError("it is a JPEG, in which ids change at every outline, whatever its name; labels are PNGs")
    if image.mode in ("1", "L", *_SIXTEEN_BIT):
        return stored_values(np.asarray(image), coding)
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    return np.asarray(image)


def _to_ids(image: Image.Image, coding: Coding) -> np.ndarray:
    if image.mode not in ("1", "L", "P"):
        raise ValueError(f"it is a {image.mode} image, but labels are one 8-bit channel of ids")
    return _as_stored(image, coding)


def _tell(path: str | os.PathLike[str], what: str) -> None:
    """Once for a folder, as a rule."""
    warnings.warn(f"{Path(path).parent}: holds {what}", InputNotice, stacklevel=4)


def _decode(path: str | os.PathLike[str], convert: object, *, upright: bool = False) -> Image.Image | np.ndarray:
    try:
        # Given its name Pillow maps a file, which scrambles a TIFF of one channel that is to be turned by a quarter.
        with Path(path).open("rb") as file, Image.open(file) as image:
            if (wrong := too_large(image.height, image.width)) is not None:
                raise ValueError(wrong)
            coding = coding_of(image)
            # Of a TIFF alone Pillow turns the pixels in loading them, and forgets that they were marked.
            turned = image.getexif().get(_ORIENTATION, 1) if image.format == "TIFF" and not upright else 1
            image.load()
            stored = image.transpose(_TURNED_BACK[turned]) if turned in _TURNED_BACK else image
            return convert(stored, coding)  # type: ignore[operator]
    except Image.UnidentifiedImageError as error:
        raise UnreadableFrame(f"{path}: not an image, or its beginning is damaged") from error
    except InputNotice:
        raise
    except Exception as error:  # decoders of damaged files raise OSError, SyntaxError, ValueError, struct.error, …
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableFrame(f"{path}: cannot be read ({' '.join(reason.split())})") from error
